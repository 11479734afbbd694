// SPDX-License-Identifier: Apache-2.0

package train

import (
	"encoding/json"
	"fmt"

	"github.com/edgenas/edgenas/ops"
)

// state is what a training has learned so far, but for tensors.
type state struct {
	Step  int             `json:"step"`  // the next one
	Since sums            `json:"since"` // the last Point
	Data  json.RawMessage `json:"data"`  // position in the images
}

// sums are what a Point is the mean of.
type sums struct {
	Steps   int     `json:"steps"`
	Loss    float64 `json:"loss"`
	Correct int     `json:"correct"` // images
}

// State returns everything that the training has learned so far: its tensors by
// name, and the rest as JSON. Restored from them, another training with the same
// recipe, architecture and images goes on as if it had never stopped.
func (t *Trainer) State() (text json.RawMessage, tensors ops.Weights, err error) {
	data, err := t.data.MarshalJSON()
	if err != nil {
		return nil, nil, err
	}
	if text, err = json.Marshal(state{t.step, t.since, data}); err != nil {
		return nil, nil, err
	}
	return text, t.model.Checkpoint(t.muon.SGD.State), nil
}

// Restore puts the training where the one was whose State it is given. After an
// error it must not be used.
func (t *Trainer) Restore(text json.RawMessage, tensors ops.Weights) error {
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("train: state: %w", err)
	}
	if st.Step < 0 || st.Step > t.Steps() {
		return fmt.Errorf("train: state: step %d of %d", st.Step, t.Steps())
	}
	if err := t.data.UnmarshalJSON(st.Data); err != nil {
		return fmt.Errorf("train: state: %w", err)
	}
	momenta, err := t.model.Restore(tensors)
	if err != nil {
		return fmt.Errorf("train: state: %w", err)
	}
	t.step, t.since, t.muon.SGD.State = st.Step, st.Since, momenta
	return nil
}
