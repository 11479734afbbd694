// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// TestFuse checks on every case of the compliance suite that the fused network
// computes what the trained one does, and that nothing is left that a runtime
// would do for nothing.
func TestFuse(t *testing.T) {
	for _, c := range opstest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			f := ops.Fuse(c.Graph)
			w, err := f.FoldWeights(c.Weights)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Check(f); err != nil {
				t.Fatal(err)
			}
			x := opstest.Float64s(opstest.Input(c.Graph, 1))
			want := opstest.Reference(c.Graph, c.Weights, x)
			if err := opstest.Compare(opstest.Reference(f, w, x), want, 1e-6); err != nil {
				t.Error(err)
			}
			if len(f.Nodes) > len(c.Graph.Nodes) {
				t.Errorf("%d nodes: want at most %d", len(f.Nodes), len(c.Graph.Nodes))
			}
			wellFormed(t, f)
		})
	}
}
