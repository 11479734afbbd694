// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/stats"
)

// What α learns of a window is recorded under its budget, the same the second
// time, and a record that lost lines is filled up.
func TestStages(t *testing.T) {
	set, err := dataset.Open("embedded", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	table, budgets := invented(t), Sets[0].Budgets[:2]
	networks, err := table.Draw(budgets, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	for _, of := range stages {
		t.Run(of.name, func(t *testing.T) {
			all, err := Evaluators(of.name, set, 1, pool)
			if err != nil || len(all) != 1 || all[0].Name() != of.name {
				t.Fatalf("evaluators %v (%v)", all, err)
			}
			e := all[0].(stage)
			if e.work != AlphaWork {
				t.Errorf("work %g", e.work)
			}
			e.work, e.judge = 1e9, e.judge[:128]
			e.size.Cells, e.size.Channels = 1, 4
			path := filepath.Join(t.TempDir(), "scores.jsonl")
			record := func() *Record {
				r, err := OpenRecord(path)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				heard := 0
				err = e.Record(context.Background(), r, table, budgets, networks, func(done, of int, _ Score) { heard++ })
				if err != nil {
					t.Fatal(err)
				}
				if lacking, err := table.Lacking(r.Scores, of.name, budgets, networks); lacking != 0 || err != nil || heard == 0 {
					t.Errorf("%d scores heard of, %d networks lack one (%v)", heard, lacking, err)
				}
				return r
			}
			first := record()
			for _, b := range budgets {
				window, err := table.among(b, networks)
				if err != nil {
					t.Fatal(err)
				}
				var alpha []float64
				for _, n := range window {
					a, ok := first.Of(of.name, table.Networks[n].Notation, b)
					w, judged := first.Of(of.name+" supernet", table.Networks[n].Notation, b)
					if !ok || !judged || a.Budget != b.String() || a.Images < 64 || !(a.CPUS > 0) || !(w.Score < 0) {
						t.Errorf("%s: %+v and %+v", table.Networks[n].Notation, a, w)
					}
					alpha = append(alpha, a.Score)
				}
				prior := stats.Spearman(alpha, table.prior(window)) // in which α begins
				if (prior > 0.5) == of.flat {
					t.Errorf("%s: rank correlation %g with the prior", b, prior)
				}
			}
			if _, ok := first.Of(of.name, table.Networks[networks[0]].Notation, Sets[0].Budgets[4]); ok {
				t.Error("a score of a window holds under another budget")
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(string(text), "\n")
			writeScores(t, path, strings.Join(lines[:len(lines)/3], ""))
			second := record()
			for _, r := range []*Record{first, second} {
				for _, scores := range r.of {
					for at, s := range scores {
						s.CPUS = 0
						scores[at] = s
					}
				}
			}
			if !reflect.DeepEqual(first.of, second.of) {
				t.Errorf("%+v the first time, %+v the second", first.of, second.of)
			}
		})
	}
}
