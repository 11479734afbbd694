// SPDX-License-Identifier: Apache-2.0

package search

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Requests written before the fields were tagged still mean what they said.
func TestUntaggedConfig(t *testing.T) {
	const old = `{"method":"darts","seed":7,"epochs":3,"warmup_epochs":2,"batch":32,"budget_s":0.25,"candidates":11,
		"LR":0.1,"LRMin":0.2,"Momentum":0.3,"WeightDecay":0.4,"Clip":0.5,
		"AlphaLR":0.6,"AlphaWeightDecay":0.7,"BetaDecay":0.8}`
	want := Config{
		Method: "darts", Seed: 7, Epochs: 3, WarmupEpochs: 2, Batch: 32, BudgetS: 0.25, Candidates: 11,
		LR: 0.1, LRMin: 0.2, Momentum: 0.3, WeightDecay: 0.4, Clip: 0.5, AlphaLR: 0.6, AlphaWeightDecay: 0.7, BetaDecay: 0.8,
	}
	got := DefaultConfig()
	if err := json.Unmarshal([]byte(old), &got); err != nil || got != want {
		t.Errorf("%+v (%v): want %+v", got, err, want)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var again Config
	if err := json.Unmarshal(text, &again); err != nil || again != want {
		t.Errorf("%s: read again as %+v (%v)", text, again, err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil || len(fields) != reflect.TypeFor[Config]().NumField() {
		t.Errorf("%s: want a field for each (%v)", text, err)
	}
	for name := range fields {
		if name != strings.ToLower(name) {
			t.Errorf("field %s has no tag", name)
		}
	}
	part := DefaultConfig()
	err = json.Unmarshal([]byte(`{"alpha_lr":0.5}`), &part)
	if err != nil || part.AlphaLR != 0.5 || part.LR != DefaultConfig().LR {
		t.Errorf("%+v (%v): what a text does not have must stay", part, err)
	}
	if err := json.Unmarshal([]byte(`{"AlphaLR":"fast"}`), &part); err == nil {
		t.Error("a text was taken for a number")
	}
}
