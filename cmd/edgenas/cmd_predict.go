// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
)

// predictOptions are those of a prediction.
type predictOptions struct{ target targetOptions }

func (a *app) predictCommand() *cobra.Command {
	var o predictOptions
	c := &cobra.Command{
		Use:     "predict FILE.onnx|ARCHITECTURE.json --profile FILE",
		Short:   "Predict a network's latency from a profile, measuring nothing",
		Example: "  edgenas predict out/first/model.onnx --profile out/first/profile.json",
		Args:    arguments(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return a.runPredict(c.Context(), o, args[0]) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *predictOptions) AddFlags(f *pflag.FlagSet) { o.target.addProfile(f) }

// predicted is what predict says.
type predicted struct {
	File       string  `json:"file"`
	Device     string  `json:"device"`
	Runtime    string  `json:"runtime"`
	Threads    int     `json:"infer_threads"`
	Mode       string  `json:"mode"`
	PredictedS float64 `json:"latency_predicted_s"`
	UpperS     float64 `json:"latency_predicted_hi_s"`
	Confidence float64 `json:"confidence"`
	ConstantS  float64 `json:"constant_s"`
}

// runPredict predicts the network in the file for what the profile was measured
// on, in the way in which it was.
func (a *app) runPredict(ctx context.Context, o predictOptions, file string) error {
	if len(o.target.profiles) != 1 {
		return fault.Usagef("--profile is needed: one profile file")
	}
	g, err := readNetwork(file)
	if err != nil {
		return err
	}
	as := target.Default()
	as.Profile, as.AllowEmulated = o.target.profiles[0], o.target.AllowEmulated
	p, err := target.ReadProfile(as.Profile)
	if err != nil {
		return err
	}
	as.InferThreads, as.Cluster = p.Runtime.Threads, p.Runtime.Cluster
	if p, err = a.targets().Profile(ctx, as); err != nil {
		return err
	}
	t := predict.NewTable(p)
	e, err := t.Estimate(ops.Fuse(g))
	if err != nil {
		return err
	}
	res := predicted{file, p.Device.Name(), p.Runtime.Name, p.Runtime.Threads, p.Protocol.InMode(), e.Seconds,
		t.Upper(e, confidence), confidence, t.Constant()}
	return a.result(res, func(w io.Writer) {
		fmt.Fprintf(w, "predicted  %s, at most %s with %.0f %% confidence, on %s, %s runtime, %d thread(s), %s\n",
			units.Seconds(res.PredictedS), units.Seconds(res.UpperS), 100*confidence, res.Device, res.Runtime,
			res.Threads, res.Mode)
	})
}

// readNetwork reads an ONNX model or an architecture, by its ending.
func readNetwork(path string) (*ops.Graph, error) {
	if !strings.HasSuffix(path, ".onnx") {
		ar, err := arch.ReadFile(path)
		if err != nil {
			return nil, fault.New(fault.Data, err)
		}
		return ar.Network(1)
	}
	m, err := onnx.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Data, err)
	}
	g, _, err := m.Graph(1)
	return g, fault.New(fault.Data, err)
}
