// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"
)

// checkTape compares a step with Gorgonia's tape machine, which runs the same
// graph node by node on memory of each node's own.
func checkTape(t *testing.T, m *Model[float64]) {
	t.Helper()
	loss, _ := m.Step(Weights)
	vm := gorgonia.NewTapeMachine(m.reference.expr)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	compare := func(name string, got []float64, n *gorgonia.Node) {
		want, err := dataOf[float64](n.Value())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d elements, the tape machine has %d", name, len(got), len(want))
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-12+1e-10*math.Abs(want[i])) {
				t.Errorf("%s: element %d is %.17g, the tape machine's %.17g", name, i, got[i], want[i])
				return
			}
		}
	}
	compare("loss", []float64{loss}, m.reference.loss)
	for i, f := range m.leaves {
		compare(f.node.Name(), f.grad, m.reference.grads[i])
	}
}
