// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/ops"
)

func (a *app) exportCommand() *cobra.Command {
	var archFile, weightsPath, data, out string
	var check bool
	c := &cobra.Command{
		Use:   "export --arch FILE --weights FILE",
		Short: "Write a trained network as ONNX",
		Long: `export folds batch norms, prunes dead edges and writes one ONNX file. With
--check the file is read back by a second, independent reader and its logits
are compared with the trained network's on test images.`,
		Example: "  edgenas export --arch out/first/architecture.json --weights out/first/weights.safetensors -o model.onnx --check",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			ar, err := readArch(archFile)
			if err != nil {
				return err
			}
			if weightsPath == "" {
				return usagef("--weights is needed: a weights.safetensors")
			}
			weights, err := safetensors.ReadFile(weightsPath)
			if err != nil {
				return dataError{err}
			}
			if err := fits(weights.Weights, ar); err != nil {
				return dataError{fmt.Errorf("%s: %w", weightsPath, err)}
			}
			set, err := a.openData(data)
			if err != nil {
				return err
			}
			if err := suits(ar, set); err != nil {
				return err
			}
			res := struct {
				ONNX       string   `json:"onnx"`
				Bytes      int      `json:"bytes"`
				Difference *float64 `json:"max_difference"` // null: not checked
			}{ONNX: out}
			var file []byte
			if check {
				var diff float64
				file, diff, err = a.exportChecked(ar, weights.Weights, set, modelMeta(ar, set))
				res.Difference = &diff
			} else {
				file, err = a.export(ar, weights.Weights, modelMeta(ar, set))
			}
			if err != nil {
				return err
			}
			res.Bytes = len(file)
			if err := atomicfile.Write(out, file); err != nil {
				return err
			}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d bytes\n", out, res.Bytes)
				if check {
					fmt.Fprintf(w, "read back by an independent reader: logits differ by at most %.1e\n", *res.Difference)
				}
			})
		},
	}
	c.Flags().StringVar(&archFile, "arch", "", "architecture file")
	c.Flags().StringVar(&weightsPath, "weights", "", "weights file")
	c.Flags().StringVarP(&out, "output", "o", "model.onnx", "file to write")
	c.Flags().BoolVar(&check, "check", false, "read the file back and compare logits on test images")
	dataFlag(c, &data)
	return c
}

// modelMeta is what a model says about itself: enough to feed it and to read
// its output without anything else.
func modelMeta(ar arch.Architecture, set *dataset.Set) export.Meta {
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // only strings, numbers and an architecture that was built before
		}
		return string(b)
	}
	return export.Meta{
		"labels": text(set.Classes), "mean": text(set.Mean), "std": text(set.Std),
		"input":        "(pixel/255 - mean)/std, N,C,H,W",
		"architecture": text(ar), "dataset": set.Name, "version": version.String(),
	}
}

func (a *app) export(ar arch.Architecture, w ops.Weights, meta export.Meta) ([]byte, error) {
	g, err := ar.Network(1)
	if err != nil {
		return nil, err
	}
	return export.Model(g, w, meta)
}

// checkImages is how many test images an export is checked on.
const checkImages = 100

// exportChecked exports and compares the file, read back by onnx-go, with the
// trained network as it was trained: nothing folded, nothing fused.
func (a *app) exportChecked(ar arch.Architecture, w ops.Weights, set *dataset.Set, meta export.Meta) (file []byte, diff float64, err error) {
	if file, err = a.export(ar, w, meta); err != nil {
		return nil, 0, err
	}
	n := min(checkImages, set.Test.Len())
	g, err := ar.Network(n)
	if err != nil {
		return nil, 0, err
	}
	trained, err := infer.Compile(g, w, a.workers())
	if err != nil {
		return nil, 0, err
	}
	images := make([]float32, n*set.ImageLen())
	dataset.NewPass(set, &set.Test, nil).Next(images, make([]int32, n))
	x := make([]float32, len(images))
	kernels.NHWCToNCHW(x, images, n, set.C, set.H*set.W)
	diff, err = export.Check(file, native.Runtime{Pool: a.workers()}, n, x, trained.Run(x))
	return file, diff, err
}
