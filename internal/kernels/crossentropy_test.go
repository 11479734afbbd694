// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"testing"
)

func TestSoftmaxCrossEntropy(t *testing.T) {
	const n, classes = 5, 4
	labels := []int32{0, 3, 1, 2, 0}
	for _, smoothing := range []float64{0, 0.1} {
		logits := random[float64](1, n*classes)
		forward := func() []float64 {
			var loss float64
			for i := range n {
				var sum float64
				for _, v := range logits[i*classes:][:classes] {
					sum += math.Exp(v)
				}
				for j, v := range logits[i*classes:][:classes] {
					target := smoothing / classes
					if j == int(labels[i]) {
						target += 1 - smoothing
					}
					loss -= target * (v - math.Log(sum)) / n
				}
			}
			return []float64{loss}
		}
		promises(t, func(int) (*SoftmaxCrossEntropy[float64], [][]float64) {
			k := &SoftmaxCrossEntropy[float64]{N: n, Classes: classes, Smoothing: smoothing, Logits: logits, Labels: labels,
				Loss: scratch[float64](1), DLogits: scratch[float64](n * classes), Correct: make([]int32, 1)}
			run(k)
			near(t, "Loss", k.Loss, forward(), 1e-14)
			gradient(t, "DLogits", logits, k.DLogits, []float64{1}, forward)
			return k, [][]float64{k.Loss, k.DLogits}
		})
	}
}

func TestSoftmaxCrossEntropyExtremes(t *testing.T) {
	k := &SoftmaxCrossEntropy[float32]{N: 3, Classes: 3, Labels: []int32{1, 0, 2}, Loss: make([]float32, 1),
		DLogits: make([]float32, 9), Correct: make([]int32, 1),
		Logits: []float32{-1e4, 1e4, 0 /* right */, 5, 5, 1 /* tie: the first, right */, 2, 7, 7 /* tie: the first, wrong */}}
	run(k)
	if k.Correct[0] != 2 {
		t.Errorf("%d right, want 2", k.Correct[0])
	}
	for i, v := range append(k.DLogits, k.Loss...) {
		if v != v || math.IsInf(float64(v), 0) {
			t.Errorf("value %d is %v", i, v)
		}
	}
}
