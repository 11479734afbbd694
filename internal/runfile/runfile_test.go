// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

func put(t *testing.T, dir Dir, name, text string) {
	t.Helper()
	path := dir.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// testdata/request.json is of an earlier version: it is read as it was meant.
func TestReadsOldRequests(t *testing.T) {
	r, err := Dir("testdata").ReadRequest()
	if err != nil {
		t.Fatal(err)
	}
	if r.Effort != "" || r.Method != "gdas" || r.Search.Seed != 1 {
		t.Errorf("effort %q, method %q, search %+v: want none, gdas, seed 1", r.Effort, r.Method, r.Search)
	}
	recipe := train.DefaultConfig()
	recipe.Seed, recipe.MuonLR, recipe.MuonDecay = 1, 0, 0 // it trained by SGD alone
	if r.Train != recipe {
		t.Errorf("train %+v, want %+v", r.Train, recipe)
	}
	size := arch.Size{Cells: 5, Channels: 24, Image: 28, Colours: 1, Classes: 10}
	if r.Size != size || r.Space != "nb201" ||
		r.LatencyBudgetS != 0.002 || r.Folder != "/home/ada/boards" {
		t.Errorf("%+v", r)
	}
	if target := (Target{Runtime: "native", InferThreads: 1, Rounds: 1}); r.Target != target {
		t.Errorf("target %+v, want %+v", r.Target, target)
	}
	if local := r.Measures("testdata"); local.Device != "local" || local.Profile != "" || !local.Live() {
		t.Errorf("it measures on %+v", local)
	}
}

// What is written is read again, field by field.
func TestRequestRoundTrip(t *testing.T) {
	dir := Dir(t.TempDir())
	r := Request{Command: "edgenas", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 7, LatencyBudgetS: 1e-3,
		Target: Target{Device: "adb", Runtime: "native", InferThreads: 4, Cluster: "big", DeviceDir: "/data", Keep: true,
			MaxTemp: 60, Mode: "sustained", Rounds: 3, Profile: "p.json", AllowEmulated: true},
		Effort: "quick", Search: search.DefaultStageConfig(9), Train: train.DefaultConfig(), Cutout: 2}
	if err := dir.WriteRequest(&r); err != nil {
		t.Fatal(err)
	}
	got, err := dir.ReadRequest()
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v\nwant %+v", got, err, r)
	}
	if m := got.Measures(dir); m.Live() != true || m.Profile != "" || m.Cluster != "big" {
		t.Errorf("it measures on %+v", m)
	}
}

func TestBrokenFiles(t *testing.T) {
	for name, text := range map[string]string{
		"cut": `{"command": "edg`, "empty": "", "two values": "{} {}", "another type": `{"seed": "one"}`,
		"large": strings.Repeat(" ", MaxJSONBytes) + "{}",
	} {
		dir := Dir(t.TempDir())
		put(t, dir, RequestName, text)
		put(t, dir, ResultName, text)
		_, err1 := dir.ReadRequest()
		_, err2 := dir.ReadResult()
		_, _, err3 := dir.Summarise()
		for _, err := range []error{err1, err2, err3} {
			var broken *BrokenError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), string(dir)) {
				t.Errorf("%s: %v: want a broken file that is named", name, err)
			}
		}
	}
	if _, err := Dir(t.TempDir()).ReadRequest(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Summary repeats names of Request and Result; none of them may be another.
func TestSummaryHasTheirNames(t *testing.T) {
	names := func(v any) map[string]bool {
		all := map[string]bool{}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if name, ok := f.Tag.Lookup("json"); ok {
				all[name] = true
			}
		}
		return all
	}
	request, result := names(Request{}), names(Result{})
	for name := range names(Summary{}) {
		if !request[name] && !result[name] {
			t.Errorf("neither request.json nor result.json has %s", name)
		}
	}
}

// FORMAT.md shows every field of the documents, and no others.
func TestFormatExamples(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 7 {
		t.Fatalf("%d examples: want 7", len(blocks))
	}
	for i, v := range map[int]any{0: Request{}, 3: Choice{}, 4: Candidate{}, 6: Result{}} {
		var shown map[string]any
		if err := json.Unmarshal(blocks[i][1], &shown); err != nil {
			t.Fatal(err)
		}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, ok := f.Tag.Lookup("json")
			if _, there := shown[name]; ok && !there {
				t.Errorf("example %d lacks %s", i, name)
			}
			delete(shown, name)
		}
		if len(shown) > 0 {
			t.Errorf("example %d has %v, which is no field", i, shown)
		}
	}
	if points, err := ReadHistory(bytes.NewReader(blocks[5][1])); err != nil || len(points) != 2 || points[1].LR == nil {
		t.Errorf("the example of a history: %v, %v", points, err)
	}
}

func TestCreate(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "run"))
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	put(t, dir, ProfileName, "{}")
	if err := dir.Create(); err != nil {
		t.Errorf("with a profile alone: %v", err)
	}
	for _, name := range []string{TrainCheckpoint, ResultName, HistoryName, RequestName} {
		put(t, dir, name, "{}")
		var taken *TakenError
		err := dir.Create()
		if !errors.As(err, &taken) || taken.File != name || !strings.Contains(err.Error(), "choose another folder") {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	if wall, err := dir.Wall(TrainCheckpoint); wall != 0 || err != nil {
		t.Errorf("no checkpoint: %v, %v", wall, err)
	}
	c := Checkpoint{State: json.RawMessage(`{"step":3}`), Wall: 90 * time.Second,
		Tensors: ops.Weights{"a": {Dims: []int{2}, Data: []float32{1, 2}},
			"momentum:a": {Dims: []int{2}, Data: []float32{3, 4}}}}
	if err := dir.WriteCheckpoint(TrainCheckpoint, c); err != nil {
		t.Fatal(err)
	}
	got, err := dir.ReadCheckpoint(TrainCheckpoint)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v\nwant %+v", got, err, c)
	}
	if wall, err := dir.Wall(TrainCheckpoint); wall != c.Wall || err != nil {
		t.Errorf("%v, %v: want %v", wall, err, c.Wall)
	}
	data, err := os.ReadFile(dir.Path(TrainCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	var broken *BrokenError
	put(t, dir, TrainCheckpoint, string(data[:20]))
	_, err = dir.Wall(TrainCheckpoint)
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "delete it and resume") {
		t.Errorf("a checkpoint that is cut: %v", err)
	}
	data[len(data)-1] ^= 1
	put(t, dir, TrainCheckpoint, string(data))
	_, err = dir.ReadCheckpoint(TrainCheckpoint)
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "digest") {
		t.Errorf("a checkpoint that was changed: %v", err)
	}
}
