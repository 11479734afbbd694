// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// draw is draw of testdata/dump_torch.py.
func draw(name string, n int) []float32 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	h, out := hash.Sum64(), make([]float32, n)
	for i := range out {
		h += 0x9E3779B97F4A7C15
		z := h
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out[i] = float32(float64((z^z>>31)>>40)/(1<<23) - 1)
	}
	return out
}

// torchWeights are the parameters that dump_torch.py gives a network.
func torchWeights(g *ops.Graph) ops.Weights {
	w := ops.Weights{}
	for _, n := range g.Nodes {
		for _, p := range g.Params(n) {
			data := draw(p.Name, p.Len())
			for i := range data {
				switch {
				case len(p.Dims) > 1:
					data[i] *= float32(math.Sqrt(6 / float64(len(data)/p.Dims[0])))
				case strings.HasSuffix(p.Name, ".weight"), strings.HasSuffix(p.Name, ".running_var"):
					data[i] = 1 + data[i]/4
				default:
					data[i] /= 8
				}
			}
			w[p.Name] = ops.Tensor{Dims: p.Dims, Data: data}
		}
	}
	return w
}

// TestTorch: derived DARTS networks and their auxiliary heads compute what
// PyTorch does.
func TestTorch(t *testing.T) {
	file, err := os.ReadFile("testdata/darts_torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var torch struct {
		Published, Every struct{ Logits, Auxiliary []float64 }
	}
	if err := json.Unmarshal(file, &torch); err != nil {
		t.Fatal(err)
	}
	const published = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), " +
		"('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), " +
		"('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], " +
		"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), " +
		"('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
	s, err := arch.NewSpace("darts", arch.Size{Cells: 6, Channels: 4, Image: 32, Colours: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, notation    string
		logits, auxiliary []float64
	}{
		{"published", published, torch.Published.Logits, torch.Published.Auxiliary},
		{"every operation", genotype, torch.Every.Logits, torch.Every.Auxiliary},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.Parse(tt.notation)
			if err != nil {
				t.Fatal(err)
			}
			g, err := s.Training(c, 2)
			if err != nil {
				t.Fatal(err)
			}
			x := draw("images", g.Shape(0).Len())
			for i := range x {
				x[i] *= 2
			}
			head := &ops.Graph{Nodes: g.Nodes, Out: g.Aux}
			for _, out := range []struct {
				name string
				g    *ops.Graph
				want []float64
			}{{"logits", g, tt.logits}, {"auxiliary logits", head, tt.auxiliary}} {
				p, err := CompileTrained(out.g, torchWeights(out.g), newPool(t, 1))
				if err != nil {
					t.Fatal(err)
				}
				if err := opstest.Compare(p.Run(x), out.want, 1e-4); err != nil {
					t.Errorf("%s: %v", out.name, err)
				}
			}
		})
	}
}
