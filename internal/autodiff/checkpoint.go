// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/ops"
)

// momentumPrefix stands before the name of the parameter that a momentum is of.
const momentumPrefix = "momentum:"

// Checkpoint copies the values of all parameters and, under names that begin
// with "momentum:", what SGD remembers of them.
func (m *Model[T]) Checkpoint(sgd State[T]) ops.Weights {
	all := m.Weights()
	for name, moments := range sgd {
		data := make([]float32, len(moments.First))
		for i, v := range moments.First {
			data[i] = float32(v)
		}
		all[momentumPrefix+name] = ops.Tensor{Dims: []int{len(data)}, Data: data}
	}
	return all
}

// Restore loads the parameters of a Checkpoint and returns what SGD remembered
// of them. It changes nothing if a parameter is missing or has other
// dimensions, or if a momentum is of no parameter.
func (m *Model[T]) Restore(checkpoint ops.Weights) (sgd State[T], err error) {
	weights, sgd := ops.Weights{}, State[T]{}
	for name, t := range checkpoint {
		of, ok := strings.CutPrefix(name, momentumPrefix)
		if !ok {
			weights[name] = t
			continue
		}
		i := slices.IndexFunc(m.params, func(p *Param[T]) bool { return p.Learn && p.Name == of })
		if i < 0 || len(t.Data) != len(m.params[i].W) {
			return nil, fmt.Errorf("autodiff: restore: %s: no parameter of %d elements has this name", name, len(t.Data))
		}
		moments := &Moments[T]{Steps: 1, First: make([]T, len(t.Data))}
		for j, v := range t.Data {
			moments.First[j] = T(v)
		}
		sgd[of] = moments
	}
	return sgd, m.Load(weights)
}
