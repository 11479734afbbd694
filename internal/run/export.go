// SPDX-License-Identifier: Apache-2.0

package run

import (
	"encoding/json"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/ops"
)

// Meta is what a model says about itself: enough to feed it and to read
// its output without anything else.
func Meta(ar arch.Architecture, set *dataset.Set) export.Meta {
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

// Export writes a trained network as ONNX.
func Export(ar arch.Architecture, w ops.Weights, meta export.Meta) ([]byte, error) {
	g, err := ar.Network(1)
	if err != nil {
		return nil, err
	}
	return export.Model(g, w, meta)
}

// checkImages is how many test images an export is checked on.
const checkImages = 100

// ExportChecked exports and compares the file, read back by onnx-go, with the
// trained network as it was trained: nothing folded, nothing fused.
func ExportChecked(ar arch.Architecture, w ops.Weights, set *dataset.Set, meta export.Meta, pool *kernels.Workers) (
	file []byte, diff float64, err error) {
	if file, err = Export(ar, w, meta); err != nil {
		return nil, 0, err
	}
	n := min(checkImages, set.Test.Len())
	g, err := ar.Network(n)
	if err != nil {
		return nil, 0, err
	}
	trained, err := infer.Compile(g, w, pool)
	if err != nil {
		return nil, 0, err
	}
	images := make([]float32, n*set.ImageLen())
	dataset.NewPass(set, &set.Test, nil).Next(images, make([]int32, n))
	x := make([]float32, len(images))
	kernels.NHWCToNCHW(x, images, n, set.C, set.H*set.W)
	diff, err = export.Check(file, native.Runtime{Pool: pool}, n, x, trained.Run(x))
	return file, diff, err
}
