// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/edgenas/edgenas/internal/atomicfile"
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

// create makes the folder of a new run. One that holds a run already, or a
// part of one, is refused; but a profile that is there will be used.
func (d runDir) create() error {
	if d.has(requestFile) {
		return usagef("--out %s: holds a run already: go on with --resume %s, or choose another folder", d, d)
	}
	for _, name := range []string{historyFile, architectureFile, weightsFile, modelFile, resultFile, searchCheckpoint, trainCheckpoint} {
		if d.has(name) {
			return usagef("--out %s: holds %s already: choose another folder", d, name)
		}
	}
	if err := os.MkdirAll(d.path(checkpointDir), 0o777); err != nil {
		return fmt.Errorf("--out %s: %w", d, err)
	}
	return nil
}

// forget lets the folder be used for another run: this one cannot begin.
func (d runDir) forget() {
	os.Remove(d.path(requestFile))
	os.Remove(d.path(checkpointDir)) // if it is empty
	os.Remove(string(d))             // likewise
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
