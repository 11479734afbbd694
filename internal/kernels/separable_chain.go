// SPDX-License-Identifier: Apache-2.0

package kernels

// SeparableChain is separable convolutions one behind the other, with a batch
// norm between each two; DARTS' sep_conv has two. Each stage's Mean and InvStd
// are the statistics of its output; Scale and Shift of all but the first stage
// are set by Run and need C elements. Norms has one element less than Stages.
// Source: Liu, Simonyan and Yang, DARTS, 2019, §3.1.
type SeparableChain[T Float] struct {
	Stages []Separable[T]
	Norms  []ChainNorm[T]
}

// ChainNorm is the scale and shift of a batch norm between two stages, nil if
// it has none, and in the backward pass their gradients, nil if not wanted.
type ChainNorm[T Float] struct{ Gamma, Beta, DGamma, DBeta []T }

// Run computes the stages in order.
func (s *SeparableChain[T]) Run(p *Workers) {
	for i := range s.Stages {
		if k := &s.Stages[i]; i > 0 {
			normMap(k.Scale[:k.C], k.Shift, s.Norms[i-1].Gamma, s.Norms[i-1].Beta, s.Stages[i-1].Mean, s.Stages[i-1].InvStd)
		}
		s.Stages[i].Run(p)
	}
}

// SeparableChainBackward is the gradient of [SeparableChain]. Of each stage it
// needs X, the weights and the wanted gradients; the last stage has DY (and A,
// B, D and Y, if its gradient comes through a batch norm), the others find
// theirs in the DX of the stage behind them. Of all stages but the first,
// Mean and InvStd are the statistics of X; Scale, Shift, Mean, Sum and Dot are
// set by Run, as are A, B and D of all but the last.
type SeparableChainBackward[T Float] struct {
	Stages []SeparableBackward[T]
	InvStd [][]T // of each stage's X; the first is not used
	Norms  []ChainNorm[T]
}

// Run computes the gradients, last stage first.
func (s *SeparableChainBackward[T]) Run(p *Workers) {
	for i := len(s.Stages) - 1; i >= 0; i-- {
		k := &s.Stages[i]
		if i > 0 {
			normMap(k.Scale[:k.C], k.Shift, s.Norms[i-1].Gamma, s.Norms[i-1].Beta, k.Mean, s.InvStd[i])
		}
		k.Run(p)
		if i == 0 {
			return
		}
		norm, before := &s.Norms[i-1], &s.Stages[i-1]
		for ch := range k.C {
			gamma, invstd, sum, dot := 1.0, float64(s.InvStd[i][ch]), float64(k.Sum[ch]), float64(k.Dot[ch])
			if norm.Gamma != nil {
				gamma = float64(norm.Gamma[ch])
			}
			a, b, d := normGradient(gamma, float64(k.Mean[ch]), invstd, sum, dot, k.N*k.H*k.W)
			before.A[ch], before.B[ch], before.D[ch] = T(a), T(b), T(d)
			if norm.DGamma != nil {
				norm.DGamma[ch] = T(dot * invstd)
			}
			if norm.DBeta != nil {
				norm.DBeta[ch] = T(sum)
			}
		}
	}
}
