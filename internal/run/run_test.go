// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

var tiny = arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 2}

// images writes images of two classes: the left half is bright, or the upper.
func images(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	header := func(dims ...uint32) []byte {
		head := []byte{0, 0, 8, byte(len(dims))}
		for _, d := range dims {
			head = binary.BigEndian.AppendUint32(head, d)
		}
		return head
	}
	for part, count := range map[string]uint32{"train": 256, "t10k": 64} {
		pixels, labels := header(count, 8, 8), header(count)
		for i := range count {
			labels = append(labels, byte(i%2))
			for y := range 8 {
				for x := range 8 {
					v := byte((int(i)*7 + x*13 + y*29) % 60)
					if i%2 == 0 && x < 4 || i%2 == 1 && y < 4 {
						v += 120
					}
					pixels = append(pixels, v)
				}
			}
		}
		for name, data := range map[string][]byte{"images-idx3": pixels, "labels-idx1": labels} {
			if err := os.WriteFile(filepath.Join(dir, part+"-"+name+"-ubyte"), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "idx:" + dir
}

// board is a profile of a device that is not here.
func board(t *testing.T, n *inventory.Inventory) string {
	t.Helper()
	p := &profiles.Profile{Device: profiles.Device{Model: "Board", Emulation: "none"}, Runtime: native.Info(1)}
	for _, k := range n.Keys() {
		g, err := k.Chain(1)
		if err != nil {
			t.Fatal(err)
		}
		s := 1e-6 + 1e-9*float64(g.Count().MACs)
		p.Entries = append(p.Entries, profiles.Entry{Key: k.String(),
			Timing: profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: 0.999 * s, HiS: 1.001 * s}})
	}
	path := filepath.Join(t.TempDir(), "board.json")
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// request is a search of a second for the board, in a new folder.
func request(t *testing.T, host Host, budget float64) Request {
	t.Helper()
	space, err := arch.NewSpace("nb201", tiny)
	if err != nil {
		t.Fatal(err)
	}
	n, err := host.Inventories.Of(space, 2)
	if err != nil {
		t.Fatal(err)
	}
	data := images(t)
	set, err := OpenImages(data, 1)
	if err != nil {
		t.Fatal(err)
	}
	q := Request{Dir: runfile.Dir(filepath.Join(t.TempDir(), "run")), Images: set, Host: host}
	q.Request = runfile.Request{Command: "test", Seed: 1, LatencyBudgetS: budget, Confidence: 0.95, Space: "nb201",
		Size: tiny, Method: search.Reinforce, Dataset: data, DataDigest: set.Digest, Target: target.Default(),
		Effort: "quick", Search: search.DefaultStageConfig(0), Train: train.DefaultConfig()}
	q.Profile = board(t, n)
	q.Search.Method, q.Search.Seed, q.Train.Seed, q.Train.Epochs = q.Method, 1, 1, 2
	return q
}

func host(t *testing.T, threads int) Host {
	t.Helper()
	pool := kernels.NewWorkers(threads)
	t.Cleanup(pool.Close)
	return Host{Pool: pool, Inventories: &inventory.Cache{}, CheckpointEvery: time.Hour}
}

// told is what a run tells, and the names of its events without repetitions.
type told struct {
	all   []event.Event
	names []string
}

func (t *told) take(e event.Event) {
	t.all = append(t.all, e)
	if name := strings.TrimPrefix(fmt.Sprintf("%T", e), "event."); len(t.names) == 0 || t.names[len(t.names)-1] != name {
		t.names = append(t.names, name)
	}
}

// The events tell everything: stages with their steps, points, the network that
// was chosen, each file, and the end.
func TestEvents(t *testing.T) {
	q := request(t, host(t, 1), 60e-6)
	var events told
	res, err := Run(t.Context(), q, events.take)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	steps, done, points := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range events.all {
		switch e := e.(type) {
		case event.Begun:
			steps[e.Stage] = e.Steps
		case event.Progress:
			if e.Steps != steps[e.Stage] || e.Done != done[e.Stage]+1 && e.Stage == event.Search {
				t.Errorf("%+v after %d of %d", e, done[e.Stage], steps[e.Stage])
			}
			done[e.Stage] = e.Done
		case event.Ended:
			if !e.Done || done[e.Stage] != steps[e.Stage] {
				t.Errorf("%+v after %d of %d steps", e, done[e.Stage], steps[e.Stage])
			}
		case event.SearchPoint:
			points[e.Phase]++
		case event.TrainPoint:
			points[e.Phase]++
		case event.Candidate:
			if !e.Chosen || e.Architecture != res.Architecture || e.PredictedS != res.LatencyPredictedS {
				t.Errorf("%+v: the result has %s, %g s", e, res.Architecture, res.LatencyPredictedS)
			}
		case event.Written:
			files = append(files, filepath.Base(e.Path))
		}
	}
	want := []string{runfile.ProfileName, runfile.RequestName, runfile.ProfileName,
		runfile.BestName, runfile.BestName, runfile.CandidatesName, // one that is ahead after each rung
		runfile.ChoiceName, runfile.ArchitectureName, runfile.WeightsName,
		runfile.ModelName, runfile.ResultName, runfile.ReportName}
	if !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	if q.Dir.Has(runfile.BestName) {
		t.Errorf("%s is there beside what was found", runfile.BestName)
	}
	if len(steps) != 3 || points["search"] != steps[event.Search] || points["train"] == 0 {
		t.Errorf("stages %v, points %v", steps, points)
	}
	last, ok := events.all[len(events.all)-1].(event.Finished)
	if !ok || last.Err != nil || !reflect.DeepEqual(*last.Result, res) {
		t.Errorf("the last event is %+v", last)
	}
	if there, err := q.Dir.ReadResult(); err != nil || !reflect.DeepEqual(there, res) {
		t.Errorf("%+v, %v: want %+v", there, err, res)
	}
}

// While a search goes on, the network that is ahead can be used.
func TestAhead(t *testing.T) {
	q := request(t, host(t, 1), 60e-6)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var label string
	_, err := Run(ctx, q, func(e event.Event) {
		if p, ok := e.(event.Progress); ok && p.Stage == event.Contest && q.Dir.Has(runfile.BestName) {
			label = p.Label
			cancel()
		}
	})
	if fault.Code(err) != fault.Interrupted || !strings.Contains(label, "; ahead ") {
		t.Errorf("%v, after %q", err, label)
	}
	a, err := arch.ReadFile(q.Dir.Path(runfile.BestName))
	if err != nil || a.Space.Size() != tiny {
		t.Errorf("%+v, %v", a, err)
	}
}

// A target is a budget that is used.
func TestLatencyLeast(t *testing.T) {
	for _, tc := range []struct {
		name          string
		budget, least float64
		code          int
	}{
		{"at most", 60e-6, 0, 0},
		{"about", 60e-6, 48e-6, 0},
		{"more than any takes", 1, 0.8, fault.Infeasible},
	} {
		q := request(t, host(t, 1), tc.budget)
		q.LatencyLeastS = tc.least
		res, err := Run(t.Context(), q, func(event.Event) {})
		if fault.Code(err) != tc.code {
			t.Errorf("%s: %v: want exit %d", tc.name, err, tc.code)
		}
		if err == nil && (res.LatencyPredictedS > tc.budget || res.LatencyPredictedS < tc.least) {
			t.Errorf("%s: %g s: want %g to %g", tc.name, res.LatencyPredictedS, tc.least, tc.budget)
		}
		candidates, err := q.Dir.ReadCandidates()
		if tc.code == 0 && err != nil {
			t.Fatal(err)
		}
		for _, c := range candidates {
			if c.LatencyPredictedS < tc.least {
				t.Errorf("%s: %g s: a candidate", tc.name, c.LatencyPredictedS)
			}
		}
	}
}

// interruptions are moments at which a run is cancelled.
var interruptions = []struct {
	name string
	at   func(e event.Event, dir runfile.Dir, cancel func())
}{
	{"while α learns", func(e event.Event, _ runfile.Dir, cancel func()) {
		if p, ok := e.(event.SearchPoint); ok && p.Step == 3 {
			cancel()
		}
	}},
	{"between short trainings", func(e event.Event, _ runfile.Dir, cancel func()) {
		if p, ok := e.(event.Progress); ok && p.Stage == event.Contest && p.Done == 22 {
			cancel()
		}
	}},
	{"in a short training", func(e event.Event, dir runfile.Dir, cancel func()) {
		if p, ok := e.(event.Progress); ok && p.Stage == event.Contest && p.Done == 4 {
			go func() {
				for !dir.Has(runfile.TrialName) {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
		}
	}},
	{"while the winner trains", func(e event.Event, _ runfile.Dir, cancel func()) {
		if p, ok := e.(event.TrainPoint); ok && p.Step < p.Steps {
			cancel()
		}
	}},
}

// A run that is interrupted goes on, and ends as if it had not been, on any
// number of threads.
func TestResume(t *testing.T) {
	h, other := host(t, 1), host(t, 2)
	other.Inventories = h.Inventories
	whole := request(t, other, 60e-6)
	whole.Train.Epochs = 4
	if _, err := Run(t.Context(), whole, func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range interruptions {
		t.Run(tc.name, func(t *testing.T) {
			h := h
			h.CheckpointEvery = time.Nanosecond
			torn := request(t, h, 60e-6)
			torn.Train.Epochs = 4
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var events told
			_, err := Run(ctx, torn, func(e event.Event) {
				events.take(e)
				tc.at(e, torn.Dir, cancel)
			})
			last, ok := events.all[len(events.all)-1].(event.Finished)
			if fault.Code(err) != fault.Interrupted || !ok || last.Result != nil || !errors.Is(last.Err, context.Canceled) {
				t.Errorf("%v, %+v", err, last)
			}
			unlock, err := torn.Dir.Lock() // as another process that works on it
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Resume(t.Context(), torn.Dir, h, func(event.Event) {}); fault.Code(err) != fault.Usage {
				t.Errorf("a run that another process works on: %v", err)
			}
			unlock()
			if _, err := Resume(t.Context(), torn.Dir, h, func(event.Event) {}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{runfile.CandidatesName, runfile.ArchitectureName, runfile.WeightsName,
				runfile.HistoryName} {
				a, err1 := os.ReadFile(whole.Dir.Path(name))
				b, err2 := os.ReadFile(torn.Dir.Path(name))
				if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
					t.Errorf("%s differs (%v, %v)", name, err1, err2)
				}
			}
			var again told
			if _, err := Resume(t.Context(), torn.Dir, h, again.take); err != nil || slices.Contains(again.names, "Begun") {
				t.Errorf("a finished run: %v, %v", again.names, err)
			}
		})
	}
}

// What can be known before any work is refused before it, and leaves nothing.
func TestRefusedBeforeWork(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Request)
		code  int
	}{
		{"infeasible", func(q *Request) { q.LatencyBudgetS = 1e-6 }, fault.Infeasible},
		{"too few images", func(q *Request) { q.Train.Batch = 1 << 20 }, fault.Data},
		{"no profile", func(q *Request) { q.Profile = "missing.json" }, fault.Profile},
	} {
		q := request(t, host(t, 1), 60e-6)
		c.spoil(&q)
		var events told
		_, err := Run(t.Context(), q, events.take)
		if fault.Code(err) != c.code || slices.Contains(events.names, "Begun") {
			t.Errorf("%s: %v, events %v: want exit %d", c.name, err, events.names, c.code)
		}
		if _, err := os.Stat(string(q.Dir)); err == nil {
			t.Errorf("%s: the folder is there", c.name)
		}
	}
	_, err := Resume(t.Context(), runfile.Dir(t.TempDir()), host(t, 1), func(event.Event) {})
	if fault.Code(err) != fault.Usage {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestPrediction(t *testing.T) {
	meta := map[string]string{}
	p := Prediction{Device: "Board", Runtime: "native", Threads: 2, Cluster: "big", Mode: "burst", Seconds: 1e-3}
	written := map[string]string{}
	p.write(written)
	for name, value := range written {
		meta["edgenas."+name] = value
	}
	got, ok := ReadPrediction(meta)
	if !ok || got != p || got.Where() != "Board, native runtime, 2 thread(s), cores big, burst" {
		t.Errorf("%+v, %v", got, ok)
	}
	if !p.HoldsFor("Board", "native", 2, "big", "burst") || p.HoldsFor("Board", "native", 2, "", "burst") ||
		p.HoldsFor("Board", "native", 1, "big", "burst") || p.HoldsFor("Board", "native", 2, "big", "sustained") {
		t.Error("it holds for what it is not of, or not for what it is of")
	}
	old := Prediction{Device: "Board", Runtime: "native", Seconds: 1e-3} // a model from before
	if !old.HoldsFor("Board", "native", 4, "", "sustained") || old.HoldsFor("Phone", "native", 1, "", "burst") {
		t.Error("an old model")
	}
	for _, text := range []string{"", "0", "NaN", "-1", "soon"} {
		if _, ok := ReadPrediction(map[string]string{"edgenas.latency_predicted_s": text}); ok {
			t.Errorf("%q is a latency", text)
		}
	}
}
