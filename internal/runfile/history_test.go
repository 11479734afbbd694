// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

func TestReadHistory(t *testing.T) {
	for _, c := range []struct {
		name, text string
		points     int
		bad        string // part of the error
	}{
		{"empty", "", 0, ""},
		{"one", `{"phase":"search","epoch":3,"loss_val":0.5}` + "\n", 1, ""},
		{"unknown and null fields", `{"future":[1],"loss_val":null}` + "\n", 1, ""},
		{"blank lines", "\n{}\n\r\n{}\n", 2, ""},
		{"last line whole but for its newline", "{}\n{\"epoch\":1}", 2, ""},
		{"last line torn", "{}\n{\"epoch\":1", 1, ""},
		{"torn in the middle", "{}\n{\"epoch\":1\n{}\n", 0, "line 2"},
		{"wrong type", `{"epoch":"one"}` + "\n", 0, "line 1"},
		{"epoch beyond reason", `{"epoch":9000000000}` + "\n", 0, "epoch 9000000000"},
		{"line too long", "{}\n{" + strings.Repeat(" ", MaxLineBytes) + "}\n", 0, "line 2: more than"},
	} {
		points, err := ReadHistory(strings.NewReader(c.text))
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: error %v, want %q in it", c.name, err, c.bad)
			}
			continue
		}
		if err != nil || len(points) != c.points {
			t.Errorf("%s: %d points, error %v; want %d", c.name, len(points), err, c.points)
		}
	}
	if _, err := ReadHistory(endless{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an endless file: error %v", err)
	}
}

// endless is a file of long blank lines without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	p[len(p)-1] = '\n'
	return len(p), nil
}

// write adds points for each of the steps to the history of a phase, beginning after
// the step that it was at, and closes it.
func write(t *testing.T, dir Dir, phase string, after, last, steps int, point func(step int) any) {
	t.Helper()
	h, err := dir.OpenHistory(phase, after)
	if err != nil {
		t.Fatal(err)
	}
	for step := after + 1; step <= last; step++ {
		if err := h.Add(step, steps, point(step)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever a run writes, its history can be read: long lines of a search and
// many of a training become fewer, evenly and up to the end.
func TestHistoryStaysWithinItsLimits(t *testing.T) {
	long := make([][][]float64, 20)
	for i := range long {
		row := make([]float64, 50)
		for j := range row {
			row[j] = 1 / float64(3+j)
		}
		long[i] = [][]float64{row}
	}
	const steps, trained = 2000, 300_000
	searched := func(step int) any {
		return search.Point{Phase: "search", Step: step, Steps: steps, Alpha: long, Derived: strings.Repeat("n", 100)}
	}
	training := func(step int) any { return train.Point{Phase: "train", Step: step, Steps: trained, LossTrain: 1.0 / 3} }
	dir := Dir(t.TempDir())
	write(t, dir, "search", 0, steps, steps, searched)
	write(t, dir, "train", 0, trained, trained, training)
	points, started, err := dir.ReadHistory()
	if err != nil || !started {
		t.Fatalf("%v, %v", started, err)
	}
	last, gap := map[string]int{}, map[string]int{}
	for _, p := range points {
		gap[p.Phase] = max(gap[p.Phase], p.Step-last[p.Phase])
		last[p.Phase] = p.Step
	}
	if steps-last["search"] > 10 || trained-last["train"] > 10 || gap["search"] > 10 || gap["train"] > 10 {
		t.Errorf("the last points are %v, the widest gaps %v", last, gap)
	}

	// Interrupted anywhere, the same lines are there in the end.
	torn := Dir(t.TempDir())
	write(t, torn, "search", 0, 1500, steps, searched)
	write(t, torn, "search", 1200, steps, steps, searched)
	write(t, torn, "train", 0, trained, trained, training)
	a, err1 := os.ReadFile(dir.Path(HistoryName))
	b, err2 := os.ReadFile(torn.Path(HistoryName))
	if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("%d bytes, and %d after an interruption (%v, %v): want the same", len(a), len(b), err1, err2)
	}
}

// A history of the usual size has every point.
func TestHistoryKeepsAll(t *testing.T) {
	dir := Dir(t.TempDir())
	write(t, dir, "train", 0, 500, 500, func(step int) any { return train.Point{Phase: "train", Step: step} })
	write(t, dir, "train", 300, 500, 500, func(step int) any { return train.Point{Phase: "train", Step: step} })
	points, _, err := dir.ReadHistory()
	if err != nil || len(points) != 500 {
		t.Errorf("%d points, %v: want 500", len(points), err)
	}
}

func FuzzReadHistory(f *testing.F) {
	whole, err := os.ReadFile(filepath.Join("..", "..", "report", "testdata", "run", HistoryName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:2000])
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := ReadHistory(bytes.NewReader(data))
		if err == nil && len(points) > bytes.Count(data, []byte("\n"))+1 {
			t.Errorf("%d points in %d bytes", len(points), len(data))
		}
	})
}
