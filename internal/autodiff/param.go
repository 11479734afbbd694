// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"errors"
	"fmt"
	"strings"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ErrIdle says that the last step did not reach a parameter, so that it has no
// gradient. That is not a gradient of zero: momentum and weight decay leave an
// idle parameter where it is.
var ErrIdle = errors.New("no gradient: not reached in the last step")

// Param is a stored tensor of a model. It satisfies gorgonia.ValueGrad.
type Param[T kernels.Float] struct {
	Name  string // as in ops: the node's name and ".weight", ".bias", ".running_mean" or ".running_var"
	Dims  []int  // as in ops: out,in,kernel,kernel for a convolution
	Learn bool   // false: running statistics
	W     []T    // the values, laid out for the kernels: kernel,kernel,in,out
	G     []T    // the gradient, laid out as W; nil unless Learn

	shape  tensor.Shape // of W
	active bool
}

var _ Learnable = (*Param[float32])(nil)

// NewParam makes a vector that learns and always has a gradient, for what is
// trained outside a model, as α is.
func NewParam[T kernels.Float](name string, w, g []T) *Param[T] {
	return &Param[T]{Name: name, Dims: []int{len(w)}, Learn: true, W: w, G: g, shape: tensor.Shape{len(w)}, active: true}
}

func newParam[T kernels.Float](d ops.Param) *Param[T] {
	p := &Param[T]{Name: d.Name, Dims: d.Dims, Learn: d.Learn, shape: tensor.Shape(d.Dims)}
	switch len(d.Dims) {
	case 2:
		p.shape = tensor.Shape{d.Dims[1], d.Dims[0]}
	case 4:
		p.shape = tensor.Shape{d.Dims[2], d.Dims[3], d.Dims[1], d.Dims[0]}
	}
	p.W = make([]T, size(p.shape))
	if d.Learn {
		p.G = make([]T, len(p.W))
	}
	if strings.HasSuffix(d.Name, ".running_var") {
		for i := range p.W {
			p.W[i] = 1
		}
	}
	return p
}

// Active says whether the last step computed a gradient.
func (p *Param[T]) Active() bool { return p.active }

// Value is the parameter's memory as Gorgonia sees it, in the shape of the kernels.
func (p *Param[T]) Value() gorgonia.Value { return valueFor(p.shape, p.W) }

// Grad is the gradient's memory, or [ErrIdle].
func (p *Param[T]) Grad() (gorgonia.Value, error) {
	if !p.active {
		return nil, fmt.Errorf("autodiff: %s: %w", p.Name, ErrIdle)
	}
	return valueFor(p.shape, p.G), nil
}

// window is the kernel's extent, for translations between layouts.
func (p *Param[T]) window() int {
	if len(p.Dims) == 4 {
		return p.Dims[2]
	}
	return 1
}

// set takes values in the order of Dims.
func (p *Param[T]) set(data []float32) {
	w := make([]T, len(data))
	for i, v := range data {
		w[i] = T(v)
	}
	if len(p.Dims) > 1 {
		kernels.OIHWToHWIO(p.W, w, p.Dims[0], p.Dims[1], p.window())
	} else {
		copy(p.W, w)
	}
}

// get gives src, which is laid out as W, in the order of Dims.
func (p *Param[T]) get(src []T) []float32 {
	w := append([]T(nil), src...)
	if len(p.Dims) > 1 {
		kernels.HWIOToOIHW(w, src, p.Dims[0], p.Dims[1], p.window())
	}
	data := make([]float32, len(w))
	for i, v := range w {
		data[i] = float32(v)
	}
	return data
}

// Load takes the values of all parameters, running statistics included. It
// changes nothing if one is missing or has other dimensions.
func (m *Model[T]) Load(w ops.Weights) error {
	if err := w.Check(m.graph); err != nil {
		return fmt.Errorf("autodiff: load: %w", err)
	}
	for _, p := range m.params {
		t := w[p.Name]
		if len(t.Data) != len(p.W) {
			return fmt.Errorf("autodiff: load: %s has %d elements: want %d", p.Name, len(t.Data), len(p.W))
		}
	}
	for _, p := range m.params {
		p.set(w[p.Name].Data)
	}
	return nil
}

// Weights copies the values of all parameters, running statistics included.
func (m *Model[T]) Weights() ops.Weights {
	w := ops.Weights{}
	for _, p := range m.params {
		w[p.Name] = ops.Tensor{Dims: append([]int(nil), p.Dims...), Data: p.get(p.W)}
	}
	return w
}
