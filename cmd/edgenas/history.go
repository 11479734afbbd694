// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

// history writes history.jsonl, a line for each point of a run.
type history struct {
	file *os.File
	w    *bufio.Writer // keeps its first error
}

// openHistory opens the history for appending. A run that goes on keeps the
// lines that keep says were before its checkpoint.
func (d runDir) openHistory(keep func(phase string, step int) bool) (*history, error) {
	old, err := os.ReadFile(d.path(historyFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var kept bytes.Buffer
	for line := range bytes.Lines(old) {
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
	return &history{f, bufio.NewWriter(f)}, nil
}

func (h *history) add(v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = h.w.Write(append(line, '\n'))
	}
	return err
}

// sync makes what was added last, and lets a report of the running search see it.
func (h *history) sync() error {
	if err := h.w.Flush(); err != nil {
		return err
	}
	return h.file.Sync()
}

func (h *history) close() error { return errors.Join(h.w.Flush(), h.file.Close()) }
