// SPDX-License-Identifier: Apache-2.0

package kernels

// Add is the sum of one or more tensors, left to right, for len(Y) elements,
// and a ReLU if ReLUOut. Y may be Xs[0].
type Add[T Float] struct {
	Xs      [][]T
	ReLUOut bool
	Y       []T
}

// Run computes Y.
func (k *Add[T]) Run(p *Workers) {
	if len(k.Xs) == 0 {
		panic("kernels: add: nothing to add")
	}
	for _, x := range k.Xs {
		need("add", "Xs", x, len(k.Y))
	}
	p.For(flatPieces(len(k.Y)), (*addTask[T])(k))
}

type addTask[T Float] Add[T]

func (k *addTask[T]) Do(piece, _ int) {
	m := loops[T]()
	i, end := flatAt(piece, len(k.Y))
	y, last := k.Y[i:end], len(k.Xs)-1
	if last == 0 {
		copy(y, k.Xs[0][i:])
		if k.ReLUOut {
			m.relu(y, y)
		}
		return
	}
	sum := k.Xs[0][i:end]
	for j, x := range k.Xs[1:] {
		m.add(y, sum, x[i:end], floorOf[T](k.ReLUOut && j+1 == last))
		sum = y
	}
}
