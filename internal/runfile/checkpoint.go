// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
)

// Checkpoint is what the search or the training needs to go on: one file with
// its tensors, and the rest as JSON.
type Checkpoint struct {
	State   json.RawMessage
	Tensors ops.Weights
	Wall    time.Duration // work done so far
}

// The entries of a checkpoint beside its tensors.
const (
	stateKey  = "state"
	wallKey   = "wall"
	digestKey = "digest" // of everything else
)

// WriteCheckpoint writes the checkpoint of this file name.
func (d Dir) WriteCheckpoint(name string, c Checkpoint) error {
	f := safetensors.File{Weights: c.Tensors,
		Metadata: map[string]string{stateKey: string(c.State), wallKey: c.Wall.String()}}
	sum, err := digest(f)
	if err != nil {
		return err
	}
	f.Metadata[digestKey] = sum
	return safetensors.WriteFile(d.Path(name), f)
}

// ReadCheckpoint reads what WriteCheckpoint wrote, and nothing else.
func (d Dir) ReadCheckpoint(name string) (Checkpoint, error) {
	var c Checkpoint
	f, err := safetensors.ReadFile(d.Path(name))
	if err != nil {
		return c, d.Broken(name, err)
	}
	want := f.Metadata[digestKey]
	delete(f.Metadata, digestKey)
	if sum, err := digest(f); err != nil || sum != want {
		return c, d.Broken(name, errors.Join(err, errors.New("its digest is another")))
	}
	if c.Wall, err = time.ParseDuration(f.Metadata[wallKey]); err != nil {
		return c, d.Broken(name, err)
	}
	c.State, c.Tensors = json.RawMessage(f.Metadata[stateKey]), f.Weights
	return c, nil
}

// Wall is the work that a checkpoint stands for; 0 if there is none.
func (d Dir) Wall(name string) (time.Duration, error) {
	metadata, err := safetensors.ReadMetadata(d.Path(name))
	if absent(err) {
		return 0, nil
	}
	if err != nil {
		return 0, d.Broken(name, err)
	}
	wall, err := time.ParseDuration(metadata[wallKey])
	if err != nil {
		return 0, d.Broken(name, err)
	}
	return wall, nil
}

func digest(f safetensors.File) (string, error) {
	data, err := f.Marshal()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
