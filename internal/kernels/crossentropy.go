// SPDX-License-Identifier: Apache-2.0

package kernels

import "math"

// SoftmaxCrossEntropy is the mean over N rows of −Σ target·log softmax(Logits),
// where target is 1−Smoothing at the label plus Smoothing/Classes everywhere
// (PyTorch's label smoothing). Logits is N,Classes; Labels N, each 0…Classes−1.
// Source of the smoothing: Szegedy et al., Rethinking Inception, 2016, §7.
type SoftmaxCrossEntropy[T Float] struct {
	N, Classes int
	Smoothing  T
	Logits     []T
	Labels     []int32
	Loss       []T     // 1: the mean
	DLogits    []T     // gradient of the mean in Logits; nil is not wanted
	Correct    []int32 // 1: rows whose greatest logit, the first of equals, is the label's; nil is not wanted
}

// Run computes Loss, DLogits and Correct, on one thread.
func (k *SoftmaxCrossEntropy[T]) Run(*Workers) {
	checkRows("cross entropy", k.N, k.Classes)
	need("cross entropy", "Logits", k.Logits, k.N*k.Classes)
	need("cross entropy", "Labels", k.Labels, k.N)
	need("cross entropy", "Loss", k.Loss, 1)
	optional("cross entropy", "DLogits", k.DLogits, k.N*k.Classes)
	optional("cross entropy", "Correct", k.Correct, 1)
	var loss float64
	var correct int32
	share := float64(k.Smoothing) / float64(k.Classes)
	for n := range k.N {
		row, label := k.Logits[n*k.Classes:][:k.Classes], int(k.Labels[n])
		best := 0
		for i, v := range row {
			if v > row[best] {
				best = i
			}
		}
		if best == label {
			correct++
		}
		top := float64(row[best])
		var sum, shifted float64 // Σ exp(v − top), Σ (v − top)
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
			shifted += float64(v) - top
		}
		log := math.Log(sum)
		loss += log - (1-float64(k.Smoothing))*(float64(row[label])-top) - share*shifted
		if k.DLogits == nil {
			continue
		}
		d := k.DLogits[n*k.Classes:][:k.Classes]
		for i, v := range row {
			target := share
			if i == label {
				target += 1 - float64(k.Smoothing)
			}
			d[i] = T((math.Exp(float64(v)-top-log) - target) / float64(k.N))
		}
	}
	k.Loss[0] = T(loss / float64(k.N))
	if k.Correct != nil {
		k.Correct[0] = correct
	}
}
