// SPDX-License-Identifier: Apache-2.0

package search

import (
	"encoding/json"
	"fmt"

	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/ops"
)

// State returns everything that the stage has learned so far: its supernet's
// tensors by name, and the rest as JSON. Restored from them, another stage with
// the same configuration and problem goes on as if it had never stopped.
func (s *Stage) State() (json.RawMessage, ops.Weights, error) {
	st := state{Step: s.step, Alpha: s.w, Adam: s.adam.State, Multiplier: s.multiplier}
	text, err := st.write(s.pcg, s.problem.Weights, s.problem.Alpha)
	if err != nil {
		return nil, nil, err
	}
	return text, s.model.Checkpoint(s.sgd.State), nil
}

// Restore puts the stage where the one was whose State it is given. After an
// error it must not be used.
func (s *Stage) Restore(text json.RawMessage, tensors ops.Weights) error {
	st, momenta, err := s.read(text, tensors)
	if err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	s.step, s.multiplier, s.adam.State, s.sgd.State = st.Step, st.Multiplier, st.Adam, momenta
	s.relax()
	return nil
}

func (s *Stage) read(text json.RawMessage, tensors ops.Weights) (st state, momenta autodiff.State[float32], err error) {
	if err = json.Unmarshal(text, &st); err != nil {
		return st, nil, err
	}
	if err = st.check(s.config.Steps, s.alpha); err != nil {
		return st, nil, err
	}
	if err = st.rewind(s.pcg, s.problem.Weights, s.problem.Alpha); err != nil {
		return st, nil, err
	}
	if momenta, err = s.model.Restore(tensors); err != nil {
		return st, nil, err
	}
	for i, w := range s.w {
		copy(w, st.Alpha[i])
	}
	return st, momenta, nil
}
