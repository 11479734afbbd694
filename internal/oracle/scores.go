// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"errors"
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/jsonlines"
	"github.com/edgenas/edgenas/search"
)

// Score is what an evaluator said of a network: a line of the file of scores.
type Score struct {
	Evaluator    string `json:"evaluator"`
	Architecture string `json:"architecture"` // in the notation of NAS-Bench-201
	// Budget is the one in whose window networks were compared with one another;
	// empty: the score holds under each.
	Budget   string  `json:"budget,omitempty"`
	Score    float64 `json:"score"` // the greater, the better
	Error    float64 `json:"error,omitempty"`
	Tail     float64 `json:"tail,omitempty"` // of a training: less its mean loss over the second half
	Accuracy float64 `json:"accuracy,omitempty"`
	CPUS     float64 `json:"cpu_s"`            // processor time that it took
	Images   int     `json:"images,omitempty"` // that a training learned from
	Seed     uint64  `json:"seed"`
}

// judgement is what a training says to a search.
func (s Score) judgement() search.Judgement {
	return search.Judgement{Loss: -s.Score, Noise: evaluate.Luck * s.Error, Accuracy: s.Accuracy,
		Images: float64(s.Images)}
}

// Scores are the scores that were recorded, by evaluator and network.
type Scores struct {
	evaluators []string // in the order of the file
	of         map[string]map[scored]Score
}

// scored is what a score is of: a network, under a budget or under each.
type scored struct{ architecture, budget string }

func (s Score) scored() scored { return scored{s.Architecture, s.Budget} }

// OpenScores reads the file of scores; where there is none, or no path, there
// are no scores. A last line that was not written to its end is passed over.
func OpenScores(path string) (*Scores, error) {
	s := newScores()
	if err := jsonlines.Read(path, s.read); err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	return s, nil
}

func newScores() *Scores { return &Scores{of: map[string]map[scored]Score{}} }

// read adds the score of a line.
func (s *Scores) read(line []byte) error {
	var score Score
	if err := jsonlines.Decode(line, &score); err != nil {
		return err
	}
	if score.Evaluator == "" || score.Architecture == "" {
		return errors.New("want an evaluator and an architecture")
	}
	if _, twice := s.of[score.Evaluator][score.scored()]; twice {
		return fmt.Errorf("%.50s has a score of %.200s already", score.Evaluator, score.Architecture)
	}
	s.add(score)
	return nil
}

func (s *Scores) add(score Score) {
	if s.of[score.Evaluator] == nil {
		s.evaluators = append(s.evaluators, score.Evaluator)
		s.of[score.Evaluator] = map[scored]Score{}
	}
	s.of[score.Evaluator][score.scored()] = score
}

// Of returns the evaluator's score of a network under a budget.
func (s *Scores) Of(evaluator, architecture string, b Budget) (Score, bool) {
	score, ok := s.of[evaluator][scored{architecture: architecture}]
	if !ok {
		score, ok = s.of[evaluator][scored{architecture, b.String()}]
	}
	return score, ok
}

// Evaluators lists those that have scores.
func (s *Scores) Evaluators() []string { return s.evaluators }

// Record is a file of scores to which new ones are added.
type Record struct {
	*Scores
	file *jsonlines.File
}

// OpenRecord opens a file of scores, or makes it. It cuts off a last line that
// was not written to its end.
func OpenRecord(path string) (*Record, error) {
	s := newScores()
	f, err := jsonlines.Open(path, s.read)
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	return &Record{s, f}, nil
}

// Add writes a score, which must be finite.
func (r *Record) Add(s Score) error {
	if math.IsNaN(s.Score) || math.IsInf(s.Score, 0) {
		return fmt.Errorf("oracle: %s: the score of %s is %g", s.Evaluator, s.Architecture, s.Score)
	}
	if err := r.file.Add(s); err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	r.add(s)
	return nil
}

// Close closes the file.
func (r *Record) Close() error { return r.file.Close() }
