// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/kernels"
)

func TestEvaluators(t *testing.T) {
	set, err := dataset.Open("embedded", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	table := invented(t)
	good, _ := table.Find(residual)
	poor, _ := table.Find(skip)
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	all, err := Evaluators("rung0", set, 1, pool)
	if err != nil || len(all) != 1 || all[0].Name() != "rung0" {
		t.Fatalf("evaluators %v (%v)", all, err)
	}
	first := all[0].(training)
	first.rung.images = 960 // enough to tell these two apart
	first.short.Recipe.Epochs = first.short.Epochs(first.rung.images)
	var scores []Score
	for _, i := range []int{good, poor, good} {
		s, err := first.score(context.Background(), table.Networks[i].Choice)
		if err != nil {
			t.Fatal(err)
		}
		if s.Evaluator != "rung0" || s.Architecture != table.Networks[i].Notation || s.Images != 960 || s.Seed != 1 ||
			!(s.Error > 0) {
			t.Errorf("%+v", s)
		}
		s.CPUS = 0
		scores = append(scores, s)
	}
	if !(scores[0].Score > scores[1].Score) || !(scores[0].Tail > scores[1].Tail) {
		t.Errorf("a residual cell scores %+v, an empty one %+v", scores[0], scores[1])
	}
	if !reflect.DeepEqual(scores[0], scores[2]) {
		t.Errorf("%+v the first time, %+v the second", scores[0], scores[2])
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := first.score(ctx, table.Networks[good].Choice); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	few := *set
	few.Train.Labels = few.Train.Labels[:3000]
	for _, tc := range []struct {
		name, names string
		set         *dataset.Set
		want        string
	}{
		{"unknown", "rung0,rung9", set, `evaluator "rung9": want some of rung0, rung1, rung2, alpha, `},
		{"nothing", "", set, `evaluator ""`},
		{"few images", "rung0", &few, "3000 training images"},
		{"small images", "rung2", set, "images of 28×28: rung2 trains on 32×32"},
	} {
		if _, err := Evaluators(tc.names, tc.set, 1, pool); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}
