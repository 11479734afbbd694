// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

func TestAdd(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range flatLengths {
			for count := 1; count <= 4; count++ {
				for _, relu := range []bool{false, true} {
					xs, want := [][]float32{}, make([]float64, n)
					for i := range count {
						xs = append(xs, random[float32](uint64(i), n))
						want = plus(want, convert[float64](xs[i]))
					}
					if relu {
						want = relu64(want)
					}
					promises(t, func(int) (*Add[float32], [][]float32) {
						k := &Add[float32]{Xs: xs, ReLUOut: relu, Y: scratch[float32](n)}
						run(k)
						near(t, "Y", k.Y, want, tolerance[float32]())
						return k, [][]float32{k.Y}
					})
					k := &Add[float32]{Xs: append([][]float32{clone(xs[0])}, xs[1:]...), ReLUOut: relu}
					k.Y = k.Xs[0]
					run(k)
					near(t, "Y in place", k.Y, want, tolerance[float32]())
				}
			}
		}
	})
}
