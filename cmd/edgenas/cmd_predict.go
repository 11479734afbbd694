// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
)

func (a *app) predictCommand() *cobra.Command {
	var target targetFlags
	c := &cobra.Command{
		Use:     "predict FILE.onnx|ARCHITECTURE.json --profile FILE",
		Short:   "Predict a network's latency from a profile, measuring nothing",
		Example: "  edgenas predict out/first/model.onnx --profile out/first/profile.json",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(target.profiles) != 1 {
				return usagef("--profile is needed: one profile file")
			}
			g, err := readNetwork(args[0])
			if err != nil {
				return err
			}
			target.runtime, target.inferThreads = native.Info(1).Name, 1
			p, err := a.loadProfile(c.Context(), &target)
			if err != nil {
				return err
			}
			t := predict.NewTable(p)
			e, err := t.Estimate(ops.Fuse(g))
			if err != nil {
				return err
			}
			const confidence = 0.95
			res := struct {
				File       string  `json:"file"`
				Device     string  `json:"device"`
				Runtime    string  `json:"runtime"`
				PredictedS float64 `json:"latency_predicted_s"`
				UpperS     float64 `json:"latency_predicted_hi_s"`
				Confidence float64 `json:"confidence"`
				ConstantS  float64 `json:"constant_s"`
			}{args[0], p.Device.Name(), p.Runtime.Name, e.Seconds, t.Upper(e, confidence), confidence, t.Constant()}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "predicted  %s, at most %s with %.0f %% confidence, on %s, %s runtime\n", milliseconds(res.PredictedS), milliseconds(res.UpperS), 100*confidence, res.Device, res.Runtime)
			})
		},
	}
	target.addProfile(c)
	return c
}

// readNetwork reads an ONNX model or an architecture, by its ending.
func readNetwork(path string) (*ops.Graph, error) {
	if !strings.HasSuffix(path, ".onnx") {
		ar, err := arch.ReadFile(path)
		if err != nil {
			return nil, dataError{err}
		}
		return ar.Network(1)
	}
	m, err := onnx.ReadFile(path)
	if err != nil {
		return nil, dataError{err}
	}
	g, _, err := m.Graph(1)
	if err != nil {
		return nil, dataError{err}
	}
	return g, nil
}
