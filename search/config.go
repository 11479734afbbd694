// SPDX-License-Identifier: Apache-2.0

package search

import (
	"encoding/json"
	"fmt"
	"math"
)

// Config is what a search is asked for. Zero fields are not filled in: start
// from DefaultConfig.
type Config struct {
	Method       string  `json:"method"` // name of the relaxation
	Seed         uint64  `json:"seed"`
	Epochs       int     `json:"epochs"`
	WarmupEpochs int     `json:"warmup_epochs"` // during which α stays as it is
	Batch        int     `json:"batch"`
	BudgetS      float64 `json:"budget_s,omitempty"` // limit of the predicted latency; 0: none
	Candidates   int     `json:"candidates"`         // networks that are re-ranked with shared weights

	LR               float64 `json:"lr"`     // of the weights, at first; they learn by SGD with Nesterov momentum
	LRMin            float64 `json:"lr_min"` // at the end of its cosine schedule
	Momentum         float64 `json:"momentum"`
	WeightDecay      float64 `json:"weight_decay"`
	Clip             float64 `json:"clip"`     // greatest norm of the weights' gradient
	AlphaLR          float64 `json:"alpha_lr"` // of α, which learns by Adam with betas 0.5 and 0.999
	AlphaWeightDecay float64 `json:"alpha_weight_decay"`
	BetaDecay        float64 `json:"beta_decay"` // strength of β-decay at the end; it grows linearly from 0
}

// DefaultConfig returns the main job's configuration: minutes on two cores.
func DefaultConfig() Config {
	return Config{
		Method: DefaultRelaxation, Epochs: 2, WarmupEpochs: 1, Batch: 64, Candidates: 100,
		LR: 0.05, LRMin: 0.001, Momentum: 0.9, WeightDecay: 5e-4, Clip: 5,
		AlphaLR: 0.02, BetaDecay: 1,
	}
}

// UnmarshalJSON reads a configuration, also under the names that fields had
// before they were tagged. It leaves fields that the text does not have as
// they are.
func (c *Config) UnmarshalJSON(text []byte) error {
	type tagged Config
	untagged := struct { // those whose names differ by more than the case of letters
		LRMin            *float64
		WeightDecay      *float64
		AlphaLR          *float64
		AlphaWeightDecay *float64
		BetaDecay        *float64
	}{&c.LRMin, &c.WeightDecay, &c.AlphaLR, &c.AlphaWeightDecay, &c.BetaDecay}
	if err := json.Unmarshal(text, &untagged); err != nil {
		return err
	}
	return json.Unmarshal(text, (*tagged)(c))
}

// check returns an error that names the first field that makes no sense.
func (c *Config) check() error {
	switch {
	case c.Epochs < 1:
		return fmt.Errorf("search: %d epochs: want at least 1", c.Epochs)
	case c.WarmupEpochs < 0:
		return fmt.Errorf("search: %d epochs of warm-up: want at least 0", c.WarmupEpochs)
	case c.Batch < 1:
		return fmt.Errorf("search: batch of %d: want at least 1", c.Batch)
	case c.Candidates < 1:
		return fmt.Errorf("search: %d candidates: want at least 1", c.Candidates)
	case !(c.BudgetS >= 0) || math.IsInf(c.BudgetS, 1):
		return fmt.Errorf("search: budget of %g s: want a positive number, or 0 for none", c.BudgetS)
	}
	return nil
}

// limit is the budget in seconds, infinite if there is none.
func (c *Config) limit() float64 {
	if c.BudgetS == 0 {
		return math.Inf(1)
	}
	return c.BudgetS
}
