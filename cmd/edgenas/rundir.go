// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
)

// runDir is the folder that a search leaves behind.
type runDir string

// The files of a run.
const (
	requestFile      = "request.json"
	profileFile      = "profile.json"
	historyFile      = "history.jsonl"
	architectureFile = "architecture.json"
	weightsFile      = "weights.safetensors"
	modelFile        = "model.onnx"
	resultFile       = "result.json"
	reportFile       = "report.html"
	checkpointDir    = "checkpoint"
	searchCheckpoint = checkpointDir + "/search.safetensors"
	trainCheckpoint  = checkpointDir + "/train.safetensors"
)

// newRunDir makes the folder; one that holds a run already is refused.
func newRunDir(path string) (runDir, error) {
	d := runDir(path)
	if err := os.MkdirAll(d.path(checkpointDir), 0o777); err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	if d.has(requestFile) {
		return "", usagef("--out %s: holds a run already: go on with --resume %s, or choose another folder", path, path)
	}
	return d, nil
}

func (d runDir) path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

func (d runDir) has(name string) bool {
	_, err := os.Stat(d.path(name))
	return err == nil
}

// writeJSON writes v, indented, as a whole or not at all.
func (d runDir) writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.path(name), append(data, '\n'))
}

func (d runDir) readJSON(name string, v any) error {
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return dataError{fmt.Errorf("%s: %w", d.path(name), err)}
	}
	return nil
}

// history appends lines to history.jsonl.
type history struct {
	file *os.File
	w    *bufio.Writer
	err  error // the first one; reported by close
}

// openHistory opens the history for appending. A continued run keeps the lines
// that keep says were before its checkpoint.
func (d runDir) openHistory(keep func(phase string, step int) bool) (*history, error) {
	old, err := os.ReadFile(d.path(historyFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var kept bytes.Buffer
	for _, line := range bytes.SplitAfter(old, []byte("\n")) {
		var at struct {
			Phase string `json:"phase"`
			Step  int    `json:"step"`
		}
		if json.Unmarshal(line, &at) == nil && keep(at.Phase, at.Step) {
			kept.Write(line)
		}
	}
	if err := atomicfile.Write(d.path(historyFile), kept.Bytes()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path(historyFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return &history{file: f, w: bufio.NewWriter(f)}, nil
}

func (h *history) add(v any) {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = h.w.Write(append(line, '\n'))
	}
	h.err = errors.Join(h.err, err)
}

// flush writes what was added, so that a report of the running search sees it.
func (h *history) flush() { h.err = errors.Join(h.err, h.w.Flush()) }

func (h *history) close() error {
	h.flush()
	return errors.Join(h.err, h.file.Close())
}

// checkpointEvery is the most work that a crash can lose.
const checkpointEvery = 10 * time.Second

// checkpoint is what a phase needs to go on: its state as JSON, its tensors
// beside it, in one file.
type checkpoint struct {
	state   json.RawMessage
	wall    time.Duration // work done so far
	weights ops.Weights
	sgd     autodiff.State[float32]
}

const momentumPrefix = "momentum:"

func (d runDir) writeCheckpoint(name string, state any, wall time.Duration, weights ops.Weights, sgd autodiff.State[float32]) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	f := safetensors.File{Weights: ops.Weights{}, Metadata: map[string]string{"state": string(text), "wall": wall.String()}}
	for k, t := range weights {
		f.Weights[k] = t
	}
	for k, m := range sgd {
		f.Weights[momentumPrefix+k] = ops.Tensor{Dims: []int{len(m.First)}, Data: m.First}
	}
	return safetensors.WriteFile(d.path(name), f)
}

// readCheckpoint reads what writeCheckpoint wrote.
func (d runDir) readCheckpoint(name string) (checkpoint, error) {
	f, err := safetensors.ReadFile(d.path(name))
	if err != nil {
		return checkpoint{}, dataError{err}
	}
	c := checkpoint{state: json.RawMessage(f.Metadata["state"]), weights: ops.Weights{}, sgd: autodiff.State[float32]{}}
	if c.wall, err = time.ParseDuration(f.Metadata["wall"]); err != nil {
		return checkpoint{}, dataError{fmt.Errorf("%s: %w", d.path(name), err)}
	}
	for k, t := range f.Weights {
		if p, ok := strings.CutPrefix(k, momentumPrefix); ok {
			c.sgd[p] = &autodiff.Moments[float32]{Steps: 1, First: t.Data}
		} else {
			c.weights[k] = t
		}
	}
	return c, nil
}
