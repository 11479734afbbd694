// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
)

// checkpoint is what the search or the training needs to go on: one file with
// the weights, the momenta beside them, and the rest as JSON.
type checkpoint struct {
	state   json.RawMessage
	weights ops.Weights
	sgd     autodiff.State[float32]
	wall    time.Duration // work done so far
}

// The entries of a checkpoint beside its weights.
const (
	momentumPrefix = "momentum:" // before the name of a weight
	stateKey       = "state"
	wallKey        = "wall"
	digestKey      = "digest" // of everything else
)

func (d runDir) writeCheckpoint(name string, c checkpoint) error {
	f := safetensors.File{Weights: maps.Clone(c.weights), Metadata: map[string]string{stateKey: string(c.state), wallKey: c.wall.String()}}
	for k, m := range c.sgd {
		f.Weights[momentumPrefix+k] = ops.Tensor{Dims: []int{len(m.First)}, Data: m.First}
	}
	sum, err := digest(f)
	if err != nil {
		return err
	}
	f.Metadata[digestKey] = sum
	return safetensors.WriteFile(d.path(name), f)
}

// readCheckpoint reads what writeCheckpoint wrote, and nothing else.
func (d runDir) readCheckpoint(name string) (checkpoint, error) {
	c := checkpoint{weights: ops.Weights{}, sgd: autodiff.State[float32]{}}
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
	c.state = json.RawMessage(f.Metadata[stateKey])
	for k, t := range f.Weights {
		if p, ok := strings.CutPrefix(k, momentumPrefix); ok {
			c.sgd[p] = &autodiff.Moments[float32]{Steps: 1, First: t.Data}
		} else {
			c.weights[k] = t
		}
	}
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
