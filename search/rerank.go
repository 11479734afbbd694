// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
)

// Each survivor of the re-ranking is judged on rerankImages of α's half, or on
// all if there are fewer.
const (
	rerankImages = 512
	survivors    = 10
)

// rerank orders candidates by their accuracy with the supernet's weights on
// images of α's half, batch norms using each batch's own statistics. It halves
// successively: after each batch the worse half goes, until survivors are
// left, so that many candidates cost little. Those that went first stand last.
// It leaves the state as it was, so that doing it again gives the same.
func (s *Search) rerank(ctx context.Context, best []Candidate) (ranked []Candidate, err error) {
	position, err := s.problem.Alpha.MarshalJSON()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.problem.Alpha.UnmarshalJSON(position)) }()
	b := s.config.Batch
	alive := len(best)
	for i := range best {
		best[i].Loss, best[i].Accuracy = 0, 0
	}
	for batch := 1; batch <= max(1, min(rerankImages, s.problem.Alpha.Len())/b); batch++ {
		s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
		for i := range best[:alive] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := &best[i]
			openOnly(s.model, c.Choice)
			loss, correct := s.model.Forward()
			if !isFinite(loss) {
				return nil, &DivergedError{s.step, "a candidate's loss", loss, s.config.LR, searchLRFlag}
			}
			c.Loss += (loss - c.Loss) / float64(batch) // running means
			c.Accuracy += (float64(correct)/float64(b) - c.Accuracy) / float64(batch)
		}
		slices.SortStableFunc(best[:alive], func(x, y Candidate) int {
			return cmp.Or(cmp.Compare(y.Accuracy, x.Accuracy), cmp.Compare(x.Loss, y.Loss))
		})
		alive = max(min(alive, survivors), (alive+1)/2)
	}
	return best, nil
}

// openOnly makes the supernet the network of one choice.
func openOnly(model *autodiff.Model[float32], c arch.Choice) {
	for i, rows := range c {
		m := model.Alpha(i)
		clear(m.P)
		clear(m.Open)
		for row, col := range rows {
			m.P[row*m.Cols+col], m.Open[row*m.Cols+col] = 1, true
		}
	}
}
