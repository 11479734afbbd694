// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/search"
)

func runFolder(t *testing.T) Dir {
	t.Helper()
	d := Dir(t.TempDir())
	if err := os.Mkdir(d.Path(CheckpointFolder), 0o777); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCandidates(t *testing.T) {
	d := runFolder(t)
	if all, err := d.ReadCandidates(); all != nil || err != nil {
		t.Errorf("no file: %v, %v", all, err)
	}
	measured, believed := 0.002, 1.5
	want := []Candidate{
		{Architecture: "|none~0|", Size: arch.Size{Cells: 2, Channels: 16, Image: 28, Colours: 1, Classes: 10},
			Source: "prior", LatencyPredictedS: 0.0019, LatencyMeasuredS: &measured, Prior: 0.5, Alpha: 0.25,
			Rungs: []Rung{{"first", search.Judgement{Loss: 1.6, Noise: 0.1, Accuracy: 0.5}, &believed},
				{Name: "second", Judgement: search.Judgement{Failure: "diverged"}}}, Fate: "chosen"},
		{Architecture: "|skip_connect~0|", Source: "random", Rungs: []Rung{}, Fate: "lost"},
	}
	if err := d.WriteCandidates(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.ReadCandidates()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v: want %+v", got, err, want)
	}
}

// Trials outlive their process, but for a line that was cut off.
func TestTrials(t *testing.T) {
	d := runFolder(t)
	first := Trial{Rung: "first", Size: arch.Size{Cells: 2}, Architecture: "a", Judgement: search.Judgement{Loss: 0.5}}
	second := first
	second.Rung, second.Judgement.Loss = "second", 0.25
	other := first
	other.Size.Cells = 3
	for i, tr := range []Trial{first, second} {
		trials, err := d.OpenTrials()
		if err != nil {
			t.Fatal(err)
		}
		if j, ok := trials.Known(first); ok != (i > 0) || ok && j != first.Judgement {
			t.Errorf("opened %d times: first trial known: %v, %+v", i+1, ok, j)
		}
		if err := trials.Add(tr); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(d.Path(TrialsName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"rung":"cut off`); err != nil {
			t.Fatal(err)
		}
		f.Close()
		trials.Close()
	}
	trials, err := d.OpenTrials()
	if err != nil {
		t.Fatal(err)
	}
	defer trials.Close()
	if j, ok := trials.Known(second); !ok || j != second.Judgement {
		t.Errorf("second trial: %v, %+v", ok, j)
	}
	if _, ok := trials.Known(other); ok {
		t.Error("a trial of another size is known")
	}
}

func TestCandidatesBroken(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"not JSON", "{\"architecture\":\"a\"}\nhello\n", "line 2"},
		{"long line", strings.Repeat("x", MaxLineBytes+1), "more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := runFolder(t)
			for _, name := range []string{CandidatesName, TrialsName} {
				if err := os.WriteFile(d.Path(name), []byte(tc.text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			_, err1 := d.ReadCandidates()
			_, err2 := d.OpenTrials()
			for _, err := range []error{err1, err2} {
				var broken *BrokenError
				if !errors.As(err, &broken) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v: want a *BrokenError with %q", err, tc.want)
				}
			}
		})
	}
}
