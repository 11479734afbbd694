// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/search"
)

// maxScoreBytes is the greatest length of a line of scores.
const maxScoreBytes = 1 << 16

// Score is what an evaluator said of a network: a line of the file of scores.
type Score struct {
	Evaluator    string  `json:"evaluator"`
	Architecture string  `json:"architecture"` // in the notation of NAS-Bench-201
	Score        float64 `json:"score"`        // the greater, the better
	Error        float64 `json:"error,omitempty"`
	Tail         float64 `json:"tail,omitempty"` // of a training: less its mean loss over the second half
	Accuracy     float64 `json:"accuracy,omitempty"`
	CPUS         float64 `json:"cpu_s"`            // processor time that it took
	Images       int     `json:"images,omitempty"` // that a training learned from
	Seed         uint64  `json:"seed"`
}

// judgement is what a training says to a search.
func (s Score) judgement() search.Judgement {
	return search.Judgement{Loss: -s.Score, Noise: evaluate.Luck * s.Error, Accuracy: s.Accuracy}
}

// Scores are the scores that were recorded, by evaluator and network.
type Scores struct {
	evaluators []string // in the order of the file
	of         map[string]map[string]Score
}

// OpenScores reads the file of scores; where there is none, or no path, there
// are no scores. A last line that was not written to its end is passed over.
func OpenScores(path string) (*Scores, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ReadScores(bytes.NewReader(nil), path)
	}
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	defer f.Close()
	return ReadScores(f, path)
}

// ReadScores reads lines of JSON, each of them a [Score]. Errors begin with name
// and say the line.
func ReadScores(r io.Reader, name string) (*Scores, error) {
	s := &Scores{of: map[string]map[string]Score{}}
	lines := bufio.NewReaderSize(r, maxScoreBytes)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err == nil {
			err = s.read(line)
		}
		if err != nil {
			return nil, fmt.Errorf("oracle: %s: line %d: %w", name, n, err)
		}
	}
}

// read adds the score of a line.
func (s *Scores) read(line []byte) error {
	var score Score
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&score); err != nil {
		return err
	}
	if score.Evaluator == "" || score.Architecture == "" {
		return errors.New("want an evaluator and an architecture")
	}
	if _, twice := s.Of(score.Evaluator, score.Architecture); twice {
		return fmt.Errorf("%.50s has a score of %.200s already", score.Evaluator, score.Architecture)
	}
	s.add(score)
	return nil
}

func (s *Scores) add(score Score) {
	if s.of[score.Evaluator] == nil {
		s.evaluators = append(s.evaluators, score.Evaluator)
		s.of[score.Evaluator] = map[string]Score{}
	}
	s.of[score.Evaluator][score.Architecture] = score
}

// Of returns the evaluator's score of a network.
func (s *Scores) Of(evaluator, architecture string) (Score, bool) {
	score, ok := s.of[evaluator][architecture]
	return score, ok
}

// Evaluators lists those that have scores.
func (s *Scores) Evaluators() []string { return s.evaluators }

// Record is a file of scores to which new ones are added.
type Record struct {
	*Scores
	file *os.File
}

// OpenRecord opens a file of scores, or makes it. It cuts off a last line that
// was not written to its end.
func OpenRecord(path string) (*Record, error) {
	scores, err := OpenScores(path)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	whole := int64(bytes.LastIndexByte(text, '\n') + 1)
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(fmt.Errorf("oracle: %w", err), f.Close())
	}
	if _, err := f.Seek(whole, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("oracle: %w", err), f.Close())
	}
	return &Record{scores, f}, nil
}

// Add writes a score, which must be finite.
func (r *Record) Add(s Score) error {
	if math.IsNaN(s.Score) || math.IsInf(s.Score, 0) {
		return fmt.Errorf("oracle: %s: the score of %s is %g", s.Evaluator, s.Architecture, s.Score)
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	r.add(s)
	return nil
}

// Close closes the file.
func (r *Record) Close() error { return r.file.Close() }
