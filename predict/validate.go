// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
)

// Case is a network's predicted and measured latency, in seconds, above zero.
type Case struct {
	Arch       string  `json:"arch"`
	PredictedS float64 `json:"predicted_s"`
	MeasuredS  float64 `json:"measured_s"`
	LoS        float64 `json:"lo_s,omitempty"` // the prediction's interval at 95 %; 0: not known
	HiS        float64 `json:"hi_s,omitempty"`
	Drift      float64 `json:"drift,omitempty"` // of the device when it was measured ([Drift]); 0: not known
}

// Expected returns the prediction for the device as it was when the network was
// measured: with its drift.
func (c Case) Expected() float64 { return c.PredictedS * (1 + c.Drift) }

// Error returns expected / measured − 1.
func (c Case) Error() float64 { return c.Expected()/c.MeasuredS - 1 }

// Validation says how good predictions are, with the drift that the cases give.
// Errors are relative: expected / measured − 1; shares are 0…1.
type Validation struct {
	N        int      `json:"n"`
	Bias     float64  `json:"bias"`         // mean error
	MAPE     float64  `json:"mape"`         // mean absolute error
	Within5  float64  `json:"within_5pct"`  // share of errors within ±5 %
	Within10 float64  `json:"within_10pct"` // share of errors within ±10 %
	Covered  *float64 `json:"covered"`      // share of measurements in their 95 % intervals; nil where none is known
	Spearman *float64 `json:"spearman"`     // rank correlation; nil where all predictions or all measurements are equal
	Worst    []Case   `json:"worst"`        // at most 5, the worst first
}

// worstCases is how many of the worst cases are named.
const worstCases = 5

// Validate compares predictions with measurements. It is an error to have none.
func Validate(cases []Case) (Validation, error) {
	if len(cases) == 0 {
		return Validation{}, errors.New("predict: validate: no measured network")
	}
	var expected, measured []float64
	for _, c := range cases {
		expected, measured = append(expected, c.Expected()), append(measured, c.MeasuredS)
	}
	e := stats.RelativeErrors(expected, measured)
	v := Validation{N: len(cases), Bias: stats.Bias(e), MAPE: stats.MAPE(e),
		Within5: stats.Within(e, 0.05), Within10: stats.Within(e, 0.10)}
	inside, known := 0, 0
	for _, c := range cases {
		if c.HiS > 0 {
			known++
			if s := c.MeasuredS / (1 + c.Drift); c.LoS <= s && s <= c.HiS {
				inside++
			}
		}
	}
	if known > 0 {
		share := float64(inside) / float64(known)
		v.Covered = &share
	}
	if rho := stats.Spearman(expected, measured); !math.IsNaN(rho) {
		v.Spearman = &rho
	}
	worst := slices.SortedStableFunc(slices.Values(cases), func(a, b Case) int {
		return cmp.Compare(math.Abs(b.Error()), math.Abs(a.Error()))
	})
	v.Worst = worst[:min(worstCases, len(worst))]
	return v, nil
}
