// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/report"
)

// finish exports the trained network, checks and verifies it, and writes the
// result and the report.
func (j *job) finish(ctx context.Context, a arch.Architecture, weights ops.Weights) (none runfile.Result, err error) {
	res, err := j.predicted(a)
	if err != nil {
		return none, err
	}
	meta, err := j.meta(a, res)
	if err != nil {
		return none, err
	}
	data, diff, err := ExportChecked(a, weights, j.set, meta, j.Pool)
	if err != nil {
		return none, err
	}
	res.ONNXMaxDifference = diff
	model := j.dir.Path(runfile.ModelName)
	if err := j.written(runfile.ModelName, atomicfile.Write(model, data)); err != nil {
		return none, err
	}
	if res.TestAccuracy, err = Accuracy(ctx, a, weights, j.set, j.Pool); err != nil {
		return none, err
	}
	if j.options.Live() {
		v, err := j.targets.Of(j.options).Verify(ctx, model, res.Mode)
		if err != nil {
			return none, err
		}
		res.LatencyMeasuredS, res.LatencyMeasuredP90S, res.LatencyMeasuredP99S = &v.MedianS, known(v.P90S), known(v.P99S)
		res.Warnings = append(res.Warnings, v.Warnings...)
	}
	res.Judge()
	if err := j.written(runfile.ResultName, j.dir.WriteResult(&res)); err != nil {
		return none, err
	}
	return res, j.written(runfile.ReportName, report.WriteFile(string(j.dir)))
}

// known is a quantile, or nil for one that was left out.
func known(s float64) *float64 {
	if s == 0 {
		return nil
	}
	return &s
}

// predicted is what is known of the result before anything is measured.
func (j *job) predicted(a arch.Architecture) (res runfile.Result, err error) {
	r, p := j.request, j.profile
	g, err := a.Network(1)
	if err != nil {
		return res, err
	}
	size, err := j.sizeOf(a)
	if err != nil {
		return res, err
	}
	e, err := size.costs.estimate(a.Choice)
	if err != nil {
		return res, err
	}
	count := g.Count()
	res = runfile.Result{Command: r.Command, Space: r.Space, Size: a.Space.Size(), Method: r.Method, Seed: r.Seed,
		Dataset: r.Dataset, Device: p.Device.Name(), Runtime: p.Runtime.Name, InferThreads: p.Runtime.Threads,
		Cluster: p.Runtime.Cluster, Mode: p.Protocol.InMode(), LatencyBudgetS: r.LatencyBudgetS, LatencyPredictedS: e.Seconds,
		LatencyPredictedHiS: j.table.Upper(e, r.Confidence), Confidence: r.Confidence,
		GuardBand: j.guard.Relative, GuardBasis: j.guard.Basis, Params: count.Params, MACs: count.MACs,
		Architecture: a.Space.Notation(a.Choice), ONNX: runfile.ModelName, TestImages: j.set.Test.Len(),
		Warnings: append([]string{}, p.Warnings...)}
	if res.TrainEpochs, err = TrainEpochs(r.Train, a, j.set.Train.Len()); err != nil {
		return res, err
	}
	searched, err := j.dir.Wall(runfile.SearchCheckpoint)
	if err != nil {
		return res, err
	}
	trials, err := j.dir.OpenTrials()
	if err != nil {
		return res, err
	}
	searched += trials.Wall()
	if err := trials.Close(); err != nil {
		return res, err
	}
	if j.dir.Has(runfile.ChoiceName) {
		choice, err := j.dir.ReadChoice()
		if err != nil {
			return res, err
		}
		res.AlphaEntropy, res.SmallerIsBetter = &choice.AlphaEntropy, choice.SmallerIsBetter
	}
	trained, err := j.dir.Wall(runfile.TrainCheckpoint)
	res.SearchWallS, res.TrainWallS = searched.Seconds(), trained.Seconds()
	return res, err
}

// meta is what the model says about itself: also what its latency was
// predicted for.
func (j *job) meta(a arch.Architecture, res runfile.Result) (export.Meta, error) {
	digest, err := j.profile.Digest()
	if err != nil {
		return nil, err
	}
	meta := Meta(a, j.set)
	meta["profile"] = digest
	meta["latency_budget_s"] = number(res.LatencyBudgetS)
	Prediction{Device: res.Device, Runtime: res.Runtime, Threads: res.InferThreads, Cluster: res.Cluster, Mode: res.Mode,
		Seconds: res.LatencyPredictedS}.write(meta)
	return meta, nil
}
