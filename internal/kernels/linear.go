// SPDX-License-Identifier: Apache-2.0

package kernels

// Linear is Y = X·Weights + Bias: X is N,In, Weights In,Out, Y N,Out.
// Bias (Out) nil is 0.
type Linear[T Float] struct {
	N, In, Out          int
	X, Weights, Bias, Y []T
}

// Run computes Y.
func (k *Linear[T]) Run(p *Workers) {
	checkRows("linear", k.N*k.In, k.Out)
	need("linear", "X", k.X, k.N*k.In)
	need("linear", "Weights", k.Weights, k.In*k.Out)
	optional("linear", "Bias", k.Bias, k.Out)
	need("linear", "Y", k.Y, k.N*k.Out)
	p.For(k.N, (*linearTask[T])(k))
}

// linearTask does a row of Y.
type linearTask[T Float] Linear[T]

func (k *linearTask[T]) Do(n, _ int) {
	y := k.Y[n*k.Out:][:k.Out]
	start(y, nil, k.Bias)
	for i, x := range k.X[n*k.In:][:k.In] {
		addScaled(y, k.Weights[i*k.Out:], x)
	}
}

// addScaled is y += a·x for len(y) elements.
func addScaled[T Float](y, x []T, a T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += a * v
	}
}

// LinearBackward is the gradient of [Linear]: DX, or DX + it if Add; DW (as
// Weights) and DB (as Bias). Each of the three may be nil.
type LinearBackward[T Float] struct {
	N, In, Out                 int
	Add                        bool
	X, Weights, DY, DX, DW, DB []T
}

// Run computes DX, DW and DB.
func (k *LinearBackward[T]) Run(p *Workers) {
	checkRows("linear backward", k.N*k.In, k.Out)
	need("linear backward", "DY", k.DY, k.N*k.Out)
	if k.DX != nil {
		need("linear backward", "Weights", k.Weights, k.In*k.Out)
		need("linear backward", "DX", k.DX, k.N*k.In)
		p.For(k.N, (*linearBackwardDataTask[T])(k))
	}
	if k.DW != nil {
		need("linear backward", "X", k.X, k.N*k.In)
		need("linear backward", "DW", k.DW, k.In*k.Out)
		p.For(k.In, (*linearBackwardWeightsTask[T])(k))
	}
	if k.DB != nil {
		need("linear backward", "DB", k.DB, k.Out)
		db := k.DB[:k.Out]
		clear(db)
		for n := range k.N {
			addScaled(db, k.DY[n*k.Out:], 1)
		}
	}
}

// linearBackwardDataTask does a row of DX.
type linearBackwardDataTask[T Float] LinearBackward[T]

func (k *linearBackwardDataTask[T]) Do(n, _ int) {
	dy, dx := k.DY[n*k.Out:][:k.Out], k.DX[n*k.In:][:k.In]
	for i := range dx {
		var sum T
		for o, w := range k.Weights[i*k.Out:][:k.Out] {
			sum += w * dy[o]
		}
		if k.Add {
			sum += dx[i]
		}
		dx[i] = sum
	}
}

// linearBackwardWeightsTask does a row of DW.
type linearBackwardWeightsTask[T Float] LinearBackward[T]

func (k *linearBackwardWeightsTask[T]) Do(i, _ int) {
	dw := k.DW[i*k.Out:][:k.Out]
	clear(dw)
	for n := range k.N {
		addScaled(dw, k.DY[n*k.Out:], k.X[n*k.In+i])
	}
}
