// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
)

// checkpoint is what the search or the training needs to go on: one file with
// its tensors, and the rest as JSON.
type checkpoint struct {
	state   json.RawMessage
	tensors ops.Weights
	wall    time.Duration // work done so far
}

// The entries of a checkpoint beside its tensors.
const (
	stateKey  = "state"
	wallKey   = "wall"
	digestKey = "digest" // of everything else
)

func (d runDir) writeCheckpoint(name string, c checkpoint) error {
	meta := map[string]string{stateKey: string(c.state), wallKey: c.wall.String()}
	f := safetensors.File{Weights: c.tensors, Metadata: meta}
	sum, err := digest(f)
	if err != nil {
		return err
	}
	f.Metadata[digestKey] = sum
	return safetensors.WriteFile(d.path(name), f)
}

// readCheckpoint reads what writeCheckpoint wrote, and nothing else.
func (d runDir) readCheckpoint(name string) (checkpoint, error) {
	var c checkpoint
	f, err := safetensors.ReadFile(d.path(name))
	if err != nil {
		return c, d.broken(name, err)
	}
	want := f.Metadata[digestKey]
	delete(f.Metadata, digestKey)
	if sum, err := digest(f); err != nil || sum != want {
		return c, d.broken(name, errors.Join(err, errors.New("its digest is another")))
	}
	if c.wall, err = time.ParseDuration(f.Metadata[wallKey]); err != nil {
		return c, d.broken(name, err)
	}
	c.state, c.tensors = json.RawMessage(f.Metadata[stateKey]), f.Weights
	return c, nil
}

// wall is the work that a checkpoint stands for, in seconds; 0 if there is none.
func (d runDir) wall(name string) float64 {
	c, err := d.readCheckpoint(name)
	if err != nil {
		return 0
	}
	return c.wall.Seconds()
}

func digest(f safetensors.File) (string, error) {
	data, err := f.Marshal()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// broken is a data error that tells how to get over a file of the run that
// cannot be used: all of them can be made anew from the others.
func (d runDir) broken(name string, err error) error {
	if path := d.path(name); !strings.Contains(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return dataError{fmt.Errorf("%w; delete it and resume: it will be made anew", err)}
}
