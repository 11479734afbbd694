// SPDX-License-Identifier: Apache-2.0

// Package search finds an architecture under a latency budget by gradient.
//
// A supernet holds all choices of a space; α weights them. Weights learn on
// one half of the training images, α on the other, in turn. The loss of α is
//
//	L_val(w, p(α)) + λ·(E(α)/T − 1) + β-decay
//
// where E is the expected latency of the derived network, a table sum that
// costs nothing (see [Expected]), T the budget less its guard band, and λ ≥ 0 a
// learned [Multiplier]. At the end the best choices that fit are found exactly
// (see [Catalogue.Discretise]) and re-ranked with the supernet's weights.
//
// A [Stage] is the differentiable part alone: given a list of networks that keep
// a budget, what each takes and what is thought of it before, it learns α on
// these networks only, and scores each of them.
//
// A [Relaxation] turns α into mixture weights p and brings the gradient back;
// [Relaxations] lists them.
//
// What a network costs comes from outside as [Costs]: a table, a calibrated
// model or a test double. This package measures nothing.
package search
