// SPDX-License-Identifier: Apache-2.0

package search

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/ops"
)

// state is what a search has learned so far, but for tensors.
type state struct {
	Step       int                     `json:"step"` // the next one
	Alpha      [][]float64             `json:"alpha"`
	Adam       autodiff.State[float64] `json:"adam"` // of α
	Multiplier Multiplier              `json:"multiplier"`
	RNG        []byte                  `json:"rng"`         // PCG
	WeightData json.RawMessage         `json:"weight_data"` // positions in the two halves
	AlphaData  json.RawMessage         `json:"alpha_data"`
}

// write returns the state as JSON, with the positions of a generator and of two
// sources.
func (st *state) write(pcg *rand.PCG, weights, alpha Source) (text json.RawMessage, err error) {
	if st.RNG, err = pcg.MarshalBinary(); err != nil {
		return nil, err
	}
	if st.WeightData, err = weights.MarshalJSON(); err != nil {
		return nil, err
	}
	if st.AlphaData, err = alpha.MarshalJSON(); err != nil {
		return nil, err
	}
	return json.Marshal(st)
}

// check returns an error unless the state is one of so many steps, with these α.
func (st *state) check(steps int, alpha []*autodiff.Param[float64]) error {
	if len(st.Alpha) != len(alpha) || st.Step < 0 || st.Step > steps {
		return fmt.Errorf("step %d, %d α: want a step of %d and %d α", st.Step, len(st.Alpha), steps, len(alpha))
	}
	for i, a := range alpha {
		if len(st.Alpha[i]) != len(a.W) {
			return fmt.Errorf("α %s has %d weights: want %d", a.Name, len(st.Alpha[i]), len(a.W))
		}
	}
	return nil
}

// rewind puts a generator and two sources where they were.
func (st *state) rewind(pcg *rand.PCG, weights, alpha Source) error {
	if err := pcg.UnmarshalBinary(st.RNG); err != nil {
		return err
	}
	if err := weights.UnmarshalJSON(st.WeightData); err != nil {
		return err
	}
	return alpha.UnmarshalJSON(st.AlphaData)
}

// State returns everything that the search has learned so far: its supernet's
// tensors by name, and the rest as JSON. Restored from them, another search
// with the same configuration and problem goes on as if it had never stopped.
func (s *Search) State() (json.RawMessage, ops.Weights, error) {
	st := state{Step: s.step, Multiplier: s.multiplier, Adam: s.adam.State}
	for _, a := range s.alpha {
		st.Alpha = append(st.Alpha, a.W)
	}
	text, err := st.write(s.pcg, s.problem.Weights, s.problem.Alpha)
	if err != nil {
		return nil, nil, err
	}
	return text, s.model.Checkpoint(s.sgd.State), nil
}

// Restore puts the search where the one was whose State it is given. After an
// error it must not be used.
func (s *Search) Restore(text json.RawMessage, tensors ops.Weights) error {
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	if err := s.restore(st, tensors); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	s.relax()
	return s.derive()
}

func (s *Search) restore(st state, tensors ops.Weights) error {
	if err := st.check(s.Steps(), s.alpha); err != nil {
		return err
	}
	if err := st.rewind(s.pcg, s.problem.Weights, s.problem.Alpha); err != nil {
		return err
	}
	momenta, err := s.model.Restore(tensors)
	if err != nil {
		return err
	}
	for i, a := range s.alpha {
		copy(a.W, st.Alpha[i])
	}
	s.step, s.multiplier, s.adam.State, s.sgd.State = st.Step, st.Multiplier, st.Adam, momenta
	return nil
}
