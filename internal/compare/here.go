// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/profiles"
)

// Here does steps on this machine, each in a folder that goes away with it.
type Here struct {
	Request runfile.Request // of every search, but for its budget and seed
	Host    run.Host
	Events  event.Sink
}

// Do does a step.
func (h *Here) Do(ctx context.Context, s Step) (Line, error) {
	line := Line{Step: s, Version: version.String()}
	start := time.Now()
	tmp, err := os.MkdirTemp("", "edgenas-bench-*")
	if err != nil {
		return line, err
	}
	dir := runfile.Dir(filepath.Join(tmp, "run"))
	switch s.Kind {
	case Search:
		err = h.search(ctx, dir, &line)
	case Simple:
		err = h.train(ctx, dir, &line)
	default:
		err = h.measure(ctx, &line)
	}
	line.WallS = time.Since(start).Seconds()
	return line, errors.Join(err, os.RemoveAll(tmp))
}

// request is what a search or a training with this seed is asked for.
func (h *Here) request(seed uint64) (runfile.Request, *dataset.Set, error) {
	r := h.Request
	set, err := run.OpenImages(r.Dataset, seed)
	if err != nil {
		return r, nil, err
	}
	r.Seed, r.Search.Seed, r.Train.Seed = seed, seed, seed
	r.Date, r.DataDigest = time.Now().UTC().Truncate(time.Second), set.Digest
	return r, set, nil
}

// search does the whole job as if nothing had been searched before.
func (h *Here) search(ctx context.Context, dir runfile.Dir, line *Line) error {
	r, set, err := h.request(line.Seed)
	if err != nil {
		return err
	}
	r.LatencyBudgetS = line.BudgetS
	host := h.Host
	host.Inventories = &inventory.Cache{}
	res, err := run.Run(ctx, run.Request{Request: r, Dir: dir, Images: set, Host: host}, h.Events)
	if err != nil {
		return err
	}
	if res.LatencyMeasuredS == nil {
		return errors.New("its network was not measured")
	}
	line.Architecture, line.Size = res.Architecture, res.Size
	line.PredictedS, line.MeasuredS, line.P99S = res.LatencyPredictedS, *res.LatencyMeasuredS, res.LatencyMeasuredP99S
	line.TestAccuracy, line.Epochs = res.TestAccuracy, res.TrainEpochs
	line.SmallerIsBetter, line.AlphaEntropy = res.SmallerIsBetter, res.AlphaEntropy
	return nil
}

// train gives a simple network the training that a search gives what it has found.
func (h *Here) train(ctx context.Context, dir runfile.Dir, line *Line) error {
	r, set, err := h.request(line.Seed)
	if err != nil {
		return err
	}
	a, err := architecture(line.Space, line.Cell, line.Size)
	if err != nil {
		return err
	}
	line.Architecture = a.Space.Notation(a.Choice)
	if err := dir.Create(); err != nil {
		return err
	}
	t := run.Training{Dir: dir, Architecture: a, Images: set, Recipe: r.Train, Cutout: r.Cutout, Host: h.Host}
	weights, err := t.Run(ctx, h.Events)
	if err != nil {
		return err
	}
	if line.Epochs, err = run.TrainEpochs(r.Train, a, set.Train.Len()); err != nil {
		return err
	}
	line.TestAccuracy, err = run.Accuracy(ctx, a, weights, set, h.Host.Pool)
	return err
}

// measure times a simple network with random weights, in a process of its own.
func (h *Here) measure(ctx context.Context, line *Line) error {
	a, err := architecture(line.Space, line.Cell, line.Size)
	if err != nil {
		return err
	}
	line.Architecture = a.Space.Notation(a.Choice)
	targets := target.New(h.Host.Host, h.Request.Seed, h.Events)
	v, err := run.Untrained(ctx, targets.Of(h.Request.Target), a, profiles.Burst, h.Request.Seed)
	line.MeasuredS = v.MedianS
	return errors.Join(err, targets.Leave())
}
