// SPDX-License-Identifier: Apache-2.0

// Package run does the main job: it measures, searches, chooses, trains,
// exports and verifies. It prints nothing; what happens is told as events.
package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/memory"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/report"
	"github.com/edgenas/edgenas/search"
)

// Host is what the program gives to a run. No part of it changes a result.
type Host struct {
	target.Host
	Pool            *kernels.Workers // this machine's worker threads
	Inventories     *inventory.Cache // of the spaces so far
	CheckpointEvery time.Duration    // the most work that a crash can lose
}

// Request is a run to begin.
type Request struct {
	runfile.Request
	Dir    runfile.Dir  // where it leaves its files
	Images *dataset.Set // which Dataset names
	Host
}

// Run begins the run in its folder, once nothing that can be known before
// speaks against it, and does the whole job. A run that stops in between goes
// on with Resume, if fault.Code says nothing else and the folder is there.
func Run(ctx context.Context, q Request, events event.Sink) (runfile.Result, error) {
	j := newJob(q.Host, q.Dir, q.Request, q.Images, events)
	res, err := j.begin(ctx)
	return res, j.end(res, err)
}

// Resume goes on with the run in the folder, from wherever it is. That of a
// finished run is its result.
func Resume(ctx context.Context, dir runfile.Dir, h Host, events event.Sink) (runfile.Result, error) {
	r, err := dir.ReadRequest()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return runfile.Result{}, fault.Usagef("--resume %s: holds no run (no %s)", dir, runfile.RequestName)
	case err != nil:
		return runfile.Result{}, err
	case r.Space == "":
		return runfile.Result{}, fault.Usagef("--resume %s: its %s is not that of a search", dir, runfile.RequestName)
	}
	j := newJob(h, dir, r, nil, events)
	res, err := j.resume(ctx)
	return res, j.end(res, err)
}

// OpenImages opens images and sorts its errors into usage and data.
func OpenImages(spec string, seed uint64) (*dataset.Set, error) {
	set, err := dataset.Open(spec, dataset.Options{Seed: seed})
	var usage *dataset.SpecError
	switch {
	case errors.As(err, &usage):
		return nil, fault.Usagef("--data: %w", err)
	case err != nil:
		return nil, fault.New(fault.Data, err)
	}
	return set, nil
}

// job is a run in progress.
type job struct {
	Host
	dir     runfile.Dir
	request runfile.Request
	set     *dataset.Set
	sink    event.Sink

	targets *target.Targets
	options target.Options       // of the run in its folder
	sizes   []sized              // of the space, in which networks are looked for
	beyond  *arch.Size           // a size that suits the budget, but would hardly train; nil: none
	sets    map[int]*dataset.Set // the images, by their rows
	profile *profiles.Profile
	table   *predict.Table
	guard   predict.Guard

	correction float64 // of predictions, by what was measured
}

func newJob(h Host, dir runfile.Dir, r runfile.Request, set *dataset.Set, events event.Sink) *job {
	return &job{Host: h, dir: dir, request: r, set: set, sink: events, targets: target.New(h.Host, r.Seed, events),
		correction: 1}
}

// end leaves the targets and tells that all is over.
func (j *job) end(res runfile.Result, err error) error {
	if e := j.targets.Leave(); e != nil {
		j.warn("%s", wording.OneLine(e))
	}
	if err != nil {
		j.sink(event.Finished{Err: err})
	} else {
		j.sink(event.Finished{Result: &res})
	}
	return err
}

func (j *job) note(format string, args ...any) {
	j.sink(event.Note{Text: fmt.Sprintf(format, args...)})
}

func (j *job) warn(format string, args ...any) {
	j.sink(event.Warning{Text: fmt.Sprintf(format, args...)})
}

// written tells that a file of the run is there, unless it is not.
func (j *job) written(name string, err error) error {
	if err == nil {
		j.sink(event.Written{Path: j.dir.Path(name)})
	}
	return err
}

// begin makes the folder of the run.
func (j *job) begin(ctx context.Context) (none runfile.Result, err error) {
	r := &j.request
	if err := Enough(j.set, r.Train.Batch); err != nil {
		return none, err
	}
	p, err := j.targets.Profile(ctx, r.Target)
	if err != nil {
		return none, err
	}
	if !r.Live() {
		if err := j.known(ctx, p); err != nil {
			return none, err
		}
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if err := j.dir.Create(); err != nil {
		return none, err
	}
	unlock, err := j.dir.Lock()
	if err != nil {
		return none, err
	}
	defer unlock()
	if r.Profile != "" {
		if err := j.written(runfile.ProfileName, p.Save(j.dir.Path(runfile.ProfileName))); err != nil {
			return none, err
		}
	}
	if err := j.written(runfile.RequestName, j.dir.WriteRequest(r)); err != nil {
		return none, err
	}
	res, err := j.work(ctx)
	switch fault.Code(err) {
	case fault.Usage, fault.Profile, fault.Infeasible, fault.Data:
		if !j.dir.Has(runfile.HistoryName) { // nothing was done: the folder is free for another try
			if r.Profile != "" {
				os.Remove(j.dir.Path(runfile.ProfileName))
			}
			j.dir.Forget()
		}
	}
	return res, err
}

// known is an error unless the profile has what the run needs.
func (j *job) known(ctx context.Context, p *profiles.Profile) error {
	r := j.request
	if r.Size.Cells == 0 || r.Size.Channels == 0 {
		_, err := j.targets.ChooseSizes(ctx, p, j.sizeRequest(), r.Target)
		return err
	}
	space, err := arch.NewSpace(r.Space, r.Size)
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	n, err := j.Inventories.Of(space, j.Pool.Threads())
	if err != nil {
		return err
	}
	return target.Lacks(p, inventory.Sizes{n}, r.Target)
}

// resume goes on from wherever the folder says the run is.
func (j *job) resume(ctx context.Context) (none runfile.Result, err error) {
	if j.dir.Has(runfile.ResultName) {
		j.note("the run in %s is finished", j.dir)
		res, err := j.dir.ReadResult()
		if err == nil && !j.dir.Has(runfile.ReportName) {
			err = j.written(runfile.ReportName, report.WriteFile(string(j.dir)))
		}
		return res, err
	}
	unlock, err := j.dir.Lock()
	if err != nil {
		return none, err
	}
	defer unlock()
	r := &j.request
	if j.set, err = OpenImages(r.Data(), r.Seed); err != nil {
		return none, err
	}
	if j.set.Digest != r.DataDigest {
		return none, fault.Errorf(fault.Data, "--resume %s: the images of %s have changed since the run began",
			j.dir, r.Dataset)
	}
	j.set.Name = r.Dataset
	return j.work(ctx)
}

// work does what is left of the job.
func (j *job) work(ctx context.Context) (none runfile.Result, err error) {
	r := &j.request
	if err := j.measure(ctx); err != nil {
		return none, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(memory.GarbagePercent))
	architecture, err := j.architecture(ctx)
	if err != nil {
		return none, err
	}
	j.leave()
	debug.FreeOSMemory() // the supernet's, before training takes as much again
	if !j.dir.Has(runfile.WeightsName) {
		g, err := architecture.Space.Training(architecture.Choice, r.Train.Batch)
		if err != nil {
			return none, err
		}
		use, err := trainingUse(g, j.Pool)
		if err != nil {
			return none, err
		}
		j.note("training takes about %v", use)
	}
	t := Training{Dir: j.dir, Architecture: architecture, Images: j.set, Recipe: r.Train, Cutout: r.Cutout,
		Locked: true, Host: j.Host}
	weights, err := t.Run(ctx, j.sink)
	if err != nil {
		return none, err
	}
	debug.FreeOSMemory()
	return j.finish(ctx, architecture, weights)
}

// measure makes the latency table of the run, for the sizes that it searches.
func (j *job) measure(ctx context.Context) (err error) {
	j.options = j.request.Measures(j.dir)
	if j.profile, err = j.targets.Profile(ctx, j.options); err != nil {
		return err
	}
	chosen, err := j.chooseSizes(ctx)
	if err != nil {
		return err
	}
	inventories, err := j.Inventories.Sizes(j.request.Space, chosen.all(), j.Pool.Threads())
	if err != nil {
		return &runfile.BrokenError{Path: j.dir.Path(runfile.RequestName), Err: err}
	}
	j.table, err = j.targets.Table(ctx, j.profile, inventories, j.options, j.dir.Path(runfile.ProfileName))
	if err != nil {
		return err
	}
	j.leave()
	for i, n := range inventories {
		j.sizes = append(j.sizes, sized{n.Space(), costs{n, j.table}, chosen.operations(i)})
	}
	j.beyond = chosen.Beyond
	j.guard = j.table.Guard(j.request.Confidence)
	j.sink(event.Guard{Device: j.profile.Device.Name(), Runtime: j.profile.Runtime.Name,
		Threads: j.profile.Runtime.Threads, Relative: j.guard.Relative, Basis: j.guard.Basis})
	return nil
}

// leave gives the device back while this machine works alone.
func (j *job) leave() {
	if err := j.targets.Leave(); err != nil {
		j.warn("%s", wording.OneLine(err))
	}
}

// costs are the networks with a table of latencies: what the search asks for.
type costs struct {
	inventory *inventory.Inventory
	table     *predict.Table
}

func (c costs) estimate(choice arch.Choice) (predict.Estimate, error) {
	counts, err := c.inventory.Counts(choice)
	if err != nil {
		return predict.Estimate{}, err
	}
	e, err := c.table.EstimateCounts(counts)
	return e, fault.New(fault.Profile, err)
}

// Latency satisfies search.Costs.
func (c costs) Latency(choice arch.Choice) (float64, error) {
	e, err := c.estimate(choice)
	return e.Seconds, err
}

var _ search.Costs = costs{}
