// SPDX-License-Identifier: Apache-2.0

// Package runfile is the folder that a search or a training leaves: the names
// of its files, their types, limits, readers and writers. FORMAT.md describes
// them. Nothing else knows the schema.
package runfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

// Dir is the folder of a run.
type Dir string

// The files of a run.
const (
	RequestName      = "request.json"
	ProfileName      = "profile.json"
	HistoryName      = "history.jsonl"
	ArchitectureName = "architecture.json"
	WeightsName      = "weights.safetensors"
	ModelName        = "model.onnx"
	ResultName       = "result.json"
	ReportName       = "report.html"
	SizesName        = "sizes.json"
	BestName         = "best.json" // the architecture that is ahead while the search goes on
	ChoiceName       = "choice.json"
	CheckpointFolder = "checkpoint"
	SearchCheckpoint = CheckpointFolder + "/search.safetensors"
	TrainCheckpoint  = CheckpointFolder + "/train.safetensors"
)

// MaxJSONBytes bounds request.json and result.json.
const MaxJSONBytes = 1 << 20

// TakenError says that a folder cannot hold a new run.
type TakenError struct {
	Dir  Dir
	File string // the file of a run that it holds; empty: the request of another training
}

func (e *TakenError) Error() string {
	switch e.File {
	case "":
		return fmt.Sprintf("--out %s: holds another run already: choose another folder", e.Dir)
	case RequestName:
		return fmt.Sprintf("--out %s: holds a run already: go on with --resume %s, or choose another folder", e.Dir, e.Dir)
	}
	return fmt.Sprintf("--out %s: holds %s already: choose another folder", e.Dir, e.File)
}

// BrokenError is a file of a run that cannot be used.
type BrokenError struct {
	Path string
	Err  error
	Anew bool // it can be made anew from the others
}

func (e *BrokenError) Error() string {
	text := e.Err.Error()
	if !strings.Contains(text, e.Path) {
		text = e.Path + ": " + text
	}
	if e.Anew {
		text += "; delete it and resume: it will be made anew"
	}
	return text
}

func (e *BrokenError) Unwrap() error { return e.Err }

// Broken is a *BrokenError of a file that the run can make anew.
func (d Dir) Broken(name string, err error) error { return &BrokenError{d.Path(name), err, true} }

// Create makes the folder of a new run. A folder that holds a run already, or a
// part of a run, is a *TakenError; but a profile that is there will be used.
func (d Dir) Create() error {
	for _, name := range []string{RequestName, HistoryName, ArchitectureName, WeightsName, ModelName, ResultName,
		SizesName, ChoiceName, CandidatesName, TrialsName, SearchCheckpoint, TrainCheckpoint} {
		if d.Has(name) {
			return &TakenError{d, name}
		}
	}
	if err := os.MkdirAll(d.Path(CheckpointFolder), 0o777); err != nil {
		return fmt.Errorf("--out %s: %w", d, err)
	}
	return nil
}

// Forget lets the folder be used for another run: this one cannot begin.
func (d Dir) Forget() {
	os.Remove(d.Path(RequestName))
	os.Remove(d.Path(SizesName))
	os.Remove(d.Path(CheckpointFolder)) // if it is empty
	os.Remove(string(d))                // likewise
}

// Path is where the file of this name is.
func (d Dir) Path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

// Has reports whether the folder has the file.
func (d Dir) Has(name string) bool {
	_, err := os.Stat(d.Path(name))
	return err == nil
}

// write writes v as indented JSON, as a whole or not at all.
func (d Dir) write(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.Path(name), append(data, '\n'))
}

// WriteSizes writes sizes.json: the sizes that a run searches, and why.
func (d Dir) WriteSizes(sizes any) error { return d.write(SizesName, sizes) }

// ReadSizes reads sizes.json. Errors are as those of ReadRequest.
func (d Dir) ReadSizes(sizes any) error {
	_, err := d.read(SizesName, sizes)
	return err
}

// read reads the JSON file into v and returns it as it stands. A file that
// holds anything but one value of at most MaxJSONBytes is a *BrokenError.
func (d Dir) read(name string, v any) ([]byte, error) {
	f, err := os.Open(d.Path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxJSONBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxJSONBytes {
		err = fmt.Errorf("larger than %d bytes", MaxJSONBytes)
	} else {
		err = one(data, v)
	}
	if err != nil {
		return nil, &BrokenError{Path: d.Path(name), Err: err}
	}
	return data, nil
}

// one decodes a text that holds one JSON value and nothing after it.
func one(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("byte %d: more than one value", decoder.InputOffset())
	}
	return nil
}

// absent reports whether err says that there is no such file.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
