// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// compared is what a validation has measured on a device that takes so many
// times as long as it did, of networks that are predicted exactly.
func compared(times float64) target.Validated {
	var references []predict.Reference
	for i, arch := range []string{"small", "medium", "large"} {
		then := 1e-3 * float64(i+1)
		references = append(references, predict.Reference{Arch: arch, ThenS: then,
			NowS: []float64{then * (times + 0.01*float64(i-1))}})
	}
	drift := predict.NewDrift(references)
	m := target.Validated{Drift: &drift}
	for _, arch := range []string{"a", "b"} {
		m.Cases = append(m.Cases, predict.Case{Arch: arch, PredictedS: 2e-3, MeasuredS: 2e-3 * times, Drift: drift.In(0)})
	}
	return m
}

// The text tells errors of predictions from the device's drift.
func TestValidationText(t *testing.T) {
	table := predict.NewTable(&profiles.Profile{})
	unknown := compared(1.25)
	unknown.Drift = nil
	for i := range unknown.Cases {
		unknown.Cases[i].Drift = 0
	}
	for _, tt := range []struct {
		name      string
		measured  target.Validated
		want      []string
		not       string
		forbidden bool // the drift is more than the profile allows
	}{
		{"slower", compared(1.04), []string{
			"2 networks: bias +0.0 %, mean absolute error 0.0 %, within ±5 %: 100 %, within ±10 %: 100 %\n",
			"the device is 4.0 % slower than when it was profiled (3 networks measured in both sessions, +3.0 to +5.0 %)",
			"as measured, with the device's drift: bias -3.8 %, 100 % within ±10 %\n",
			"predicted 2.08 ms, measured 2.08 ms  a\n",
		}, "", false},
		{"faster", compared(0.8), []string{"the device is 20.0 % faster than when it was profiled (",
			"bias +25.0 %, 0 % within ±10 %\n"}, "", true},
		{"unknown", unknown, []string{"2 networks: bias -20.0 %", "predicted 2.00 ms, measured 2.50 ms  a\n"}, "drift",
			false},
	} {
		v, err := newValidated(table, tt.measured)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		writeValidation(&text, v)
		for _, want := range tt.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: %s: want %q", tt.name, text.String(), want)
			}
		}
		if tt.not != "" && strings.Contains(text.String(), tt.not) {
			t.Errorf("%s: %s: %q is not known", tt.name, text.String(), tt.not)
		}
		if d := v.Drift; d != nil && table.Allows(*d, confidence) == tt.forbidden {
			t.Errorf("%s: drift of %v is allowed: %v", tt.name, d.Relative, !tt.forbidden)
		}
	}
	want := "the device is 20.0 % faster than when it was profiled, beyond the intervals of its predictions" +
		" (guard band 10.0 %): "
	if got := driftWarning(*compared(0.8).Drift, 0.1); !strings.HasPrefix(got, want) {
		t.Errorf("%s: want %s", got, want)
	}
}

// The object has both what predictions err and what was measured, and the
// networks that tell one from the other.
func TestValidationObject(t *testing.T) {
	v, err := newValidated(predict.NewTable(&profiles.Profile{}), compared(1.04))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Bias  float64
		Drift struct {
			Relative   float64
			References []struct {
				Arch string
				Then float64   `json:"then_s"`
				Now  []float64 `json:"now_s"`
			}
		}
		AsMeasured struct {
			Bias     float64
			Within10 float64 `json:"within_10pct"`
		} `json:"as_measured"`
		Cases []predict.Case
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	r := got.Drift.References
	if len(r) != 3 || r[1].Arch != "medium" || r[1].Then != 2e-3 || len(r[1].Now) != 1 || r[1].Now[0] < 2.079e-3 ||
		r[1].Now[0] > 2.081e-3 ||
		got.Drift.Relative < 0.0399 || got.Drift.Relative > 0.0401 {
		t.Errorf("drift %+v", got.Drift)
	}
	if got.Bias*got.Bias > 1e-18 || got.AsMeasured.Bias > -0.038 || got.AsMeasured.Within10 != 1 ||
		len(got.Cases) != 2 || got.Cases[0].PredictedS != 2e-3 || got.Cases[0].Drift != got.Drift.Relative {
		t.Errorf("%s", data)
	}
}
