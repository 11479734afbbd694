// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/search"
)

// The files of the choice among networks.
const (
	CandidatesName = "candidates.jsonl"
	TrialsName     = CheckpointFolder + "/trials.jsonl"
	TrialName      = CheckpointFolder + "/trial.safetensors" // of the one that is going on
)

// Candidate is a line of candidates.jsonl: a network that the search looked at
// closer, and what became of it.
type Candidate struct {
	Architecture      string    `json:"architecture"` // in the literature's notation
	Size              arch.Size `json:"size"`
	Source            string    `json:"source"` // why it was looked at
	LatencyPredictedS float64   `json:"latency_predicted_s"`
	LatencyMeasuredS  *float64  `json:"latency_measured_s"` // null: it was not measured
	Prior             float64   `json:"prior"`              // score of its structure
	Alpha             float64   `json:"alpha"`              // score of α
	Rungs             []Rung    `json:"rungs"`              // the short trainings that it came to
	Fate              string    `json:"fate"`
}

// Rung is a short training of a candidate.
type Rung struct {
	Name string `json:"name"`
	search.Judgement
	Believed *float64 `json:"believed"` // the loss, with what else is known; null: the training failed
}

// WriteCandidates writes candidates.jsonl, as a whole.
func (d Dir) WriteCandidates(all []Candidate) error {
	var text bytes.Buffer
	for _, c := range all {
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	return atomicfile.Write(d.Path(CandidatesName), text.Bytes())
}

// ReadCandidates reads candidates.jsonl: none where there is no such file. One
// that cannot be used is a *BrokenError.
func (d Dir) ReadCandidates() ([]Candidate, error) {
	f, err := os.Open(d.Path(CandidatesName))
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Candidate
	if _, err := readLines(f, func(line []byte) error {
		var c Candidate
		err := json.Unmarshal(line, &c)
		all = append(all, c)
		return err
	}); err != nil {
		return nil, &BrokenError{Path: d.Path(CandidatesName), Err: err}
	}
	return all, nil
}

// Trial is a short training, or a measurement, that is over: a line of trials.jsonl.
type Trial struct {
	Rung         string           `json:"rung"`
	Images       int              `json:"images"` // that it trained on
	Size         arch.Size        `json:"size"`   // of the network that trained
	Architecture string           `json:"architecture"`
	Judgement    search.Judgement `json:"judgement"`
	LatencyS     float64          `json:"latency_s,omitempty"` // measured; of a training, nothing
	WallS        float64          `json:"wall_s"`              // that it took
}

// Trials are the short trainings of a run so far. A run that goes on does not
// repeat them.
type Trials struct {
	file *os.File
	all  map[string]Trial
}

// Key tells the trial from all others of the run.
func (t Trial) Key() string { return fmt.Sprint(t.Rung, t.Images, t.Size, t.Architecture) }

// OpenTrials opens the trials of the run. A last line that was not written to
// its end is cut off. A file that cannot be used is a *BrokenError.
func (d Dir) OpenTrials() (*Trials, error) {
	f, err := os.OpenFile(d.Path(TrialsName), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	t := &Trials{file: f, all: map[string]Trial{}}
	whole, err := readLines(f, func(line []byte) error {
		var trial Trial
		if err := json.Unmarshal(line, &trial); err != nil {
			return err
		}
		t.all[trial.Key()] = trial
		return nil
	})
	if err != nil {
		f.Close()
		return nil, d.Broken(TrialsName, err)
	}
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(whole, io.SeekStart)
	return t, err
}

// Known returns the judgement of a trial, if it is over; its own counts for
// nothing.
func (t *Trials) Known(trial Trial) (search.Judgement, bool) {
	there, ok := t.all[trial.Key()]
	return there.Judgement, ok
}

// Measured returns the latency of a trial that was a measurement, if it is over.
func (t *Trials) Measured(trial Trial) (float64, bool) {
	there, ok := t.all[trial.Key()]
	return there.LatencyS, ok
}

// Wall returns how long all of them took.
func (t *Trials) Wall() time.Duration {
	total := 0.0
	for _, trial := range t.all {
		total += trial.WallS
	}
	return time.Duration(total * float64(time.Second))
}

// Add writes a trial that is over, so that it outlives a crash.
func (t *Trials) Add(trial Trial) error {
	line, err := json.Marshal(trial)
	if err != nil {
		return err
	}
	if _, err := t.file.Write(append(line, '\n')); err != nil {
		return err
	}
	t.all[trial.Key()] = trial
	return t.file.Sync()
}

// Close closes the file.
func (t *Trials) Close() error { return t.file.Close() }

// readLines gives take each line that has an end, of at most MaxLineBytes, and
// returns how many bytes these have. It reads at most MaxHistoryBytes.
func readLines(r io.Reader, take func(line []byte) error) (whole int64, err error) {
	lines := bufio.NewReaderSize(io.LimitReader(r, MaxHistoryBytes), MaxLineBytes)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return whole, fmt.Errorf("line %d: more than %d bytes", n, MaxLineBytes)
		case err == io.EOF:
			return whole, nil
		case err != nil:
			return whole, err
		}
		if err := take(line); err != nil {
			return whole, fmt.Errorf("line %d: %w", n, err)
		}
		whole += int64(len(line))
	}
}
