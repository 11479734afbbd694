// SPDX-License-Identifier: Apache-2.0

package opstest

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/ops"
)

// Reference computes g by its definition: one loop for each axis, in float64 and
// N,C,H,W, without regard for speed. It takes an array for each Input node, in
// their order. The graph may be in training form (computed with running
// statistics) or fused. Reference panics where inputs or weights do not fit, and
// for a Mix, which has no value without an α.
func Reference(g *ops.Graph, w ops.Weights, inputs ...[]float64) []float64 {
	values := make([][]float64, len(g.Nodes))
	for i, n := range g.Nodes {
		if n.Kind == ops.Input {
			if len(inputs[0]) != n.Shape.Len() {
				panic(fmt.Sprintf("opstest: input %s: %d elements for shape %v", n.Name, len(inputs[0]), n.Shape))
			}
			values[i], inputs = inputs[0], inputs[1:]
			continue
		}
		r := node{Node: n, x: values[n.In[0]], xs: g.Shape(n.In[0]), w: w, y: make([]float64, n.Shape.Len())}
		if n.ReLUIn {
			x := make([]float64, len(r.x))
			for j, v := range r.x {
				x[j] = max(0, v)
			}
			r.x = x
		}
		switch n.Kind {
		case ops.Conv:
			r.conv()
		case ops.BatchNorm:
			r.batchNorm()
		case ops.ReLU:
			for j, v := range r.x {
				r.y[j] = max(0, v)
			}
		case ops.MaxPool, ops.AvgPool:
			r.pool()
		case ops.Add:
			for _, v := range n.In {
				for j := range r.y {
					r.y[j] += values[v][j]
				}
			}
		case ops.Zero:
		case ops.Concat:
			r.concat(g, values)
		case ops.GlobalAvgPool:
			r.globalAvgPool()
		case ops.Linear:
			r.linear()
		default:
			panic("opstest: " + n.Kind.String() + " " + n.Name)
		}
		if n.Accumulate {
			for j, v := range values[n.In[len(n.In)-1]] {
				r.y[j] += v
			}
		}
		if n.ReLUOut {
			for j, v := range r.y {
				r.y[j] = max(0, v)
			}
		}
		values[i] = r.y
	}
	return values[g.Out]
}

// node is one node with its first input and its output.
type node struct {
	ops.Node
	x, y []float64
	xs   ops.Shape // of x
	w    ops.Weights
}

// param is a parameter of the node, each element def where there is no such
// parameter.
func (r node) param(name string, n int, def float64) []float64 {
	p := make([]float64, n)
	t, ok := r.w[r.Name+name]
	for i := range p {
		p[i] = def
		if ok {
			p[i] = float64(t.Data[i])
		}
	}
	return p
}

// each calls f for all elements of the output.
func (r node) each(f func(at, n, c, h, w int)) {
	at := 0
	for n := range r.Shape.N {
		for c := range r.Shape.C {
			for h := range r.Shape.H {
				for w := range r.Shape.W {
					f(at, n, c, h, w)
					at++
				}
			}
		}
	}
}

// window calls f for those pixels of an image that the output pixel h, w sees.
func (r node) window(h, w int, f func(kh, kw, pixel int)) {
	for kh := range r.Window.Kernel {
		for kw := range r.Window.Kernel {
			ih := r.Window.Crop + h*r.Window.Stride - r.Window.Pad + kh*r.Window.Dilation
			iw := r.Window.Crop + w*r.Window.Stride - r.Window.Pad + kw*r.Window.Dilation
			if ih >= 0 && ih < r.xs.H && iw >= 0 && iw < r.xs.W {
				f(kh, kw, ih*r.xs.W+iw)
			}
		}
	}
}

// image is where channel c of image n begins in x.
func (r node) image(n, c int) int { return (n*r.xs.C + c) * r.xs.H * r.xs.W }

func (r node) conv() {
	in, out, k := r.xs.C/r.Groups, r.Shape.C/r.Groups, r.Window.Kernel
	weight, bias := r.param(".weight", r.Shape.C*in*k*k, math.NaN()), r.param(".bias", r.Shape.C, 0)
	r.each(func(at, n, c, h, w int) {
		sum := bias[c]
		for i := range in {
			image := r.image(n, c/out*in+i)
			r.window(h, w, func(kh, kw, pixel int) {
				sum += r.x[image+pixel] * weight[((c*in+i)*k+kh)*k+kw]
			})
		}
		r.y[at] = sum
	})
}

func (r node) batchNorm() {
	mean, variance := r.param(".running_mean", r.xs.C, math.NaN()), r.param(".running_var", r.xs.C, math.NaN())
	scale, shift := r.param(".weight", r.xs.C, 1), r.param(".bias", r.xs.C, 0)
	r.each(func(at, n, c, h, w int) {
		r.y[at] = (r.x[at]-mean[c])/math.Sqrt(variance[c]+ops.BatchNormEpsilon)*scale[c] + shift[c]
	})
}

func (r node) pool() {
	r.each(func(at, n, c, h, w int) {
		sum, most, count := 0.0, math.Inf(-1), 0.0
		r.window(h, w, func(_, _, pixel int) {
			v := r.x[r.image(n, c)+pixel]
			sum, most, count = sum+v, max(most, v), count+1
		})
		r.y[at] = most
		if r.Kind == ops.AvgPool {
			r.y[at] = sum / count
		}
	})
}

func (r node) concat(g *ops.Graph, values [][]float64) {
	first, pixels := 0, r.Shape.H*r.Shape.W
	for _, v := range r.In {
		c := g.Shape(v).C
		for n := range r.Shape.N {
			copy(r.y[(n*r.Shape.C+first)*pixels:], values[v][n*c*pixels:][:c*pixels])
		}
		first += c
	}
}

func (r node) globalAvgPool() {
	pixels := r.xs.H * r.xs.W
	r.each(func(at, n, c, _, _ int) {
		for _, v := range r.x[r.image(n, c):][:pixels] {
			r.y[at] += v / float64(pixels)
		}
	})
}

func (r node) linear() {
	weight, bias := r.param(".weight", r.Shape.C*r.xs.C, math.NaN()), r.param(".bias", r.Shape.C, math.NaN())
	r.each(func(at, n, c, _, _ int) {
		r.y[at] = bias[c]
		for i := range r.xs.C {
			r.y[at] += r.x[r.image(n, i)] * weight[c*r.xs.C+i]
		}
	})
}
