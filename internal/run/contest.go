// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// sized is a size of the space in which the run looks for networks, and what
// they cost there.
type sized struct {
	space      arch.Space
	costs      costs
	operations float64 // that an image may cost its networks in training; 0: anything, the budget decides
}

// contestant is a network in the contest, and what became of it.
type contestant struct {
	size      sized
	choice    arch.Choice
	predicted float64
	structure search.Structure
	source    string
	prior     float64
	alpha     float64
	measured  *float64
	rungs     []runfile.Rung
	fate      string
}

func (c *contestant) architecture() arch.Architecture {
	return arch.Architecture{Space: c.size.space, Choice: c.choice}
}

// The sources of contestants.
const (
	fromPrior     = "prior"
	fromAlpha     = "alpha"
	fromRandom    = "random"
	fromReference = "reference"
	fromLargest   = "most parameters"
)

// lostIn begins the fate of a network that others were better than in a rung.
const lostIn = "lost in "

// contest lets networks compete in short trainings of the same work.
type contest struct {
	*job
	effort Effort
	rungs  []evaluate.Short // the images and the recipe of each rung, but for its epochs
	trials *runfile.Trials
	ahead  string // what is said of the network that is ahead
}

func (j *job) newContest(e Effort) (*contest, error) {
	c := &contest{job: j, effort: e}
	seed := j.request.Seed
	judge, learn := heldOut(&j.set.Train, j.request.Train.Batch, seed)
	for _, r := range e.Rungs {
		set, err := j.reduced(j.side(r))
		if err != nil {
			return nil, err
		}
		c.rungs = append(c.rungs, evaluate.Short{Set: set, Learn: learn, Judge: judge, Recipe: j.request.Train,
			Pool: j.Pool})
	}
	var err error
	c.trials, err = j.dir.OpenTrials()
	return c, err
}

// reduced is the images with so many rows.
func (j *job) reduced(side int) (*dataset.Set, error) {
	if side == j.set.H {
		return j.set, nil
	}
	if j.sets[side] == nil {
		set, err := j.set.Reduced(side)
		if err != nil {
			return nil, err
		}
		if j.sets == nil {
			j.sets = map[int]*dataset.Set{}
		}
		j.sets[side] = set
	}
	return j.sets[side], nil
}

// side is the rows of the images in a rung: half of them, where the space has
// networks for such images.
func (j *job) side(r rung) int {
	if !r.half {
		return j.set.H
	}
	side := (j.set.H/2 + 3) / 4 * 4 // cells halve them twice
	if _, err := arch.NewSpace(j.request.Space, r.size(j.sizes[0].space.Size(), side)); err != nil {
		return j.set.H
	}
	return side
}

// The images that short trainings leave out, to be judged on: so many, but no
// less and no more than these shares of a set, and never so many that no batch
// is left.
const (
	heldOutImages = 2000
	heldOutLeast  = 0.08
	heldOutMost   = 0.2
)

// heldOut divides the training images, the same way for the same seed.
func heldOut(p *dataset.Part, batch int, seed uint64) (judge, learn []int) {
	n := float64(p.Len())
	share := min(heldOutMost, max(heldOutLeast, heldOutImages/n), (n-float64(batch))/n)
	return dataset.Split(p, share, rand.New(rand.NewPCG(seed, 3)))
}

// judged trains a network in a rung on so many images.
func (c *contest) judged(ctx context.Context, r int, n *contestant, images int) (search.Judgement, error) {
	a, err := c.small(r, n)
	if err != nil {
		return search.Judgement{}, err
	}
	trial := runfile.Trial{Rung: c.effort.Rungs[r].name, Size: a.Space.Size(), Architecture: a.Space.Notation(a.Choice),
		Images: images}
	if j, ok := c.trials.Known(trial); ok {
		return j, nil
	}
	short, start := c.rungs[r], time.Now()
	short.Recipe.Epochs = short.Epochs(images)
	short.Augment = short.Set.Augment.For(short.Recipe.Epochs)
	res, err := c.trained(ctx, short, a, trial)
	var diverged *train.DivergedError
	switch {
	case errors.As(err, &diverged):
		trial.Judgement.Failure = err.Error()
	case err != nil:
		return search.Judgement{}, err
	case math.IsNaN(res.Loss) || math.IsInf(res.Loss, 0):
		trial.Judgement.Failure = fmt.Sprintf("its loss on held-out images is %g", res.Loss)
	default:
		trial.Judgement = search.Judgement{Loss: res.Loss, Noise: evaluate.Luck * res.Error, Accuracy: res.Accuracy,
			Images: float64(images)}
	}
	trial.WallS = time.Since(start).Seconds()
	return trial.Judgement, c.trials.Add(trial)
}

// small is the network as it trains in a rung.
func (c *contest) small(r int, n *contestant) (arch.Architecture, error) {
	own := n.size.space
	space, err := arch.NewSpace(own.Name(), c.effort.Rungs[r].size(own.Size(), c.rungs[r].Set.H))
	return arch.Architecture{Space: space, Choice: n.choice}, err
}

// images is how many images an entrant trains on in a rung: those that so many
// entrants, who share the work, can afford. A smaller network sees more of them,
// as in the training that the winner gets. But no training has less than a few
// batches or more than half of the epochs that were asked for.
func (c *contest) images(r int, n *contestant, entrants int) (int, error) {
	const fewestBatches = 8
	a, err := c.small(r, n)
	if err != nil {
		return 0, err
	}
	g, err := a.Network(1)
	if err != nil {
		return 0, err
	}
	batch := c.rungs[r].Recipe.Batch
	images := int(c.effort.Rungs[r].work/float64(entrants)/train.Operations(g)) / batch * batch
	mostEpochs := cmp.Or(c.request.Train.Epochs/2, 20)
	return max(fewestBatches*batch, min(images, int(mostEpochs*float64(len(c.rungs[r].Learn))))), nil
}

// finalImages is how many images a network learns from in the training that the
// winner gets.
func (c *contest) finalImages(n *contestant) (float64, error) {
	epochs, err := TrainEpochs(c.request.Train, n.architecture(), c.set.Train.Len())
	return epochs * float64(c.set.Train.Len()), err
}

// run lets the pool compete. The order in which the same pool is given changes
// nothing but ties.
func (c *contest) run(ctx context.Context, pool []*contestant) ([]*contestant, error) {
	groups := map[arch.Size]int{}
	var entrants []search.Entrant
	for i, n := range pool {
		images, err := c.finalImages(n)
		if err != nil {
			return nil, err
		}
		size := n.size.space.Size()
		if _, ok := groups[size]; !ok {
			groups[size] = len(groups)
		}
		entrants = append(entrants, search.Entrant{Number: i, Group: groups[size], Images: images,
			Capacity: n.structure.Capacity(), Stays: n.source == fromReference, Known: []float64{n.prior, n.alpha}})
		n.rungs, n.fate = nil, ""
	}
	var rungs []search.Rung
	for _, r := range c.effort.Rungs {
		rungs = append(rungs, search.Rung{Name: r.name, Keep: max(1, r.keep/len(groups))})
	}
	alive, done := len(pool), 0
	steps := c.steps(len(pool), rungs, len(groups))
	c.sink(event.Begun{Stage: event.Contest, Steps: steps})
	ranked, err := search.Halve(ctx, entrants, rungs, func(ctx context.Context, r int, e search.Entrant) (
		search.Judgement, error) {
		images, err := c.images(r, pool[e.Number], alive)
		if err != nil {
			return search.Judgement{}, err
		}
		j, err := c.judged(ctx, r, pool[e.Number], images)
		done++
		c.sink(event.Progress{Stage: event.Contest, Done: min(done, steps), Steps: steps,
			Label: fmt.Sprintf("%s of %d: %d networks%s", rungs[r].Name, len(rungs), alive, c.ahead)})
		return j, err
	}, func(r int, entrants []search.Entrant, keep int) error {
		alive = keep
		for i, e := range entrants {
			n := pool[e.Number]
			rung := runfile.Rung{Name: rungs[r].Name, Judgement: e.Judgements[r]}
			if rung.Failure == "" {
				rung.Believed = &entrants[i].Value
			}
			n.rungs = append(n.rungs, rung)
			switch {
			case rung.Failure != "":
				n.fate = rung.Failure
			case i >= keep && r < len(rungs)-1: // of the last rung, whoever keeps the budget may win
				n.fate = lostIn + rungs[r].Name
			}
		}
		if keep == 0 {
			return nil
		}
		return c.lead(pool[entrants[0].Number], entrants[0].Judgements[r])
	})
	c.sink(event.Ended{Stage: event.Contest, Done: err == nil})
	if err != nil {
		return nil, err
	}
	var all []*contestant
	for _, e := range ranked {
		all = append(all, pool[e.Number])
	}
	return all, nil
}

// lead keeps the network that is ahead, so that it can be used at any moment.
func (c *contest) lead(n *contestant, j search.Judgement) error {
	c.ahead = fmt.Sprintf("; ahead %s, %.1f %% right", units.Seconds(n.predicted*c.correction), 100*j.Accuracy)
	return c.written(runfile.BestName, n.architecture().WriteFile(c.dir.Path(runfile.BestName)))
}

// steps is how many trainings a contest has, roughly: small groups have fewer.
func (c *contest) steps(pool int, rungs []search.Rung, groups int) int {
	n := pool
	for _, r := range rungs[:len(rungs)-1] {
		n += min(pool, groups*r.Keep)
	}
	return n
}

// tell writes candidates.jsonl.
func (c *contest) tell(all []*contestant) error {
	var lines []runfile.Candidate
	for _, n := range all {
		lines = append(lines, runfile.Candidate{Architecture: n.size.space.Notation(n.choice), Size: n.size.space.Size(),
			Source: n.source, LatencyPredictedS: n.predicted, LatencyMeasuredS: n.measured, Prior: n.prior, Alpha: n.alpha,
			Rungs: append([]runfile.Rung{}, n.rungs...), Fate: n.fate})
	}
	return c.written(runfile.CandidatesName, c.dir.WriteCandidates(lines))
}
