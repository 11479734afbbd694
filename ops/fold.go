// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"fmt"
	"math"
)

// FoldWeights returns the weights of a fused graph, given those of the graph
// that was fused: where a batch norm was folded,
//
//	weight' = weight·γ/√(var+ε),  bias' = β + (bias − mean)·γ/√(var+ε)
//
// per output channel. Other tensors are shared with w. It returns an error if
// a tensor is missing or has another size.
func (g *Graph) FoldWeights(w Weights) (Weights, error) {
	out := Weights{}
	for _, n := range g.Nodes {
		if len(n.Folded) > 0 {
			if err := g.foldConv(n, w, out); err != nil {
				return nil, err
			}
			continue
		}
		for _, p := range g.Params(n) {
			data, err := w.data(p.Name, p.Len())
			if err != nil {
				return nil, err
			}
			out[p.Name] = Tensor{Dims: p.Dims, Data: data}
		}
	}
	return out, nil
}

// data returns the elements of a tensor, which must be this many.
func (w Weights) data(name string, size int) ([]float32, error) {
	t, ok := w[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("ops: weights: %s is missing", name)
	case len(t.Data) != size:
		return nil, fmt.Errorf("ops: weights: %s has %d elements: want %d", name, len(t.Data), size)
	}
	return t.Data, nil
}

// foldConv adds weight and bias of a convolution with folded batch norms to out.
func (g *Graph) foldConv(n Node, w, out Weights) error {
	params := g.Params(n) // weight and bias
	weight, err := w.data(params[0].Name, params[0].Len())
	if err != nil {
		return err
	}
	scale, shift := make([]float64, n.Shape.C), make([]float64, n.Shape.C)
	for o := range scale {
		scale[o] = 1
	}
	if n.Bias {
		bias, err := w.data(params[1].Name, n.Shape.C)
		if err != nil {
			return err
		}
		for o, v := range bias {
			shift[o] = float64(v)
		}
	}
	for _, bn := range n.Folded {
		if err := bn.fold(scale, shift, w); err != nil {
			return err
		}
	}
	folded, bias := make([]float32, len(weight)), make([]float32, n.Shape.C)
	for i, v := range weight {
		folded[i] = float32(float64(v) * scale[i*n.Shape.C/len(weight)])
	}
	for o, v := range shift {
		bias[o] = float32(v)
	}
	out[params[0].Name] = Tensor{Dims: params[0].Dims, Data: folded}
	out[params[1].Name] = Tensor{Dims: params[1].Dims, Data: bias}
	return nil
}

// fold appends the batch norm to the affine map y = scale·x + shift.
func (bn Folded) fold(scale, shift []float64, w Weights) error {
	own := func(param string) ([]float32, error) {
		data, err := w.data(bn.Name+param, bn.Channels)
		if err != nil {
			return nil, err
		}
		return data[bn.First:][:len(scale)], nil
	}
	mean, err := own(".running_mean")
	if err != nil {
		return err
	}
	variance, err := own(".running_var")
	if err != nil {
		return err
	}
	for o := range scale {
		f := 1 / math.Sqrt(float64(variance[o])+BatchNormEpsilon)
		scale[o], shift[o] = scale[o]*f, (shift[o]-float64(mean[o]))*f
	}
	if !bn.Affine {
		return nil
	}
	gamma, err := own(".weight")
	if err != nil {
		return err
	}
	beta, err := own(".bias")
	if err != nil {
		return err
	}
	for o, g := range gamma {
		scale[o], shift[o] = scale[o]*float64(g), shift[o]*float64(g)+float64(beta[o])
	}
	return nil
}
