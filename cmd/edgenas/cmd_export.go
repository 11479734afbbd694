// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/safetensors"
)

// exportOptions are those of writing ONNX.
type exportOptions struct {
	archFile, weights, data, out string
	check                        bool
}

func (a *app) exportCommand() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export --arch FILE --weights FILE",
		Short: "Write a trained network as ONNX",
		Long: `export folds batch norms, prunes dead edges and writes one ONNX file. With
--check the file is read back by a second, independent reader and its logits
are compared with the trained network's on test images.`,
		Example: "  edgenas export --arch out/first/architecture.json --weights out/first/weights.safetensors" +
			" -o model.onnx --check",
		Args: arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return a.runExport(o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *exportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.archFile, "arch", "", "architecture file")
	f.StringVar(&o.weights, "weights", "", "weights file")
	f.StringVarP(&o.out, "output", "o", "model.onnx", "file to write")
	f.BoolVar(&o.check, "check", false, "read the file back and compare logits on test images")
	dataFlag(f, &o.data)
}

// exported is what export says at its end.
type exported struct {
	ONNX       string   `json:"onnx"`
	Bytes      int      `json:"bytes"`
	Difference *float64 `json:"max_difference"` // null: not checked
}

// runExport writes a trained network as ONNX.
func (a *app) runExport(o exportOptions) error {
	ar, err := readArch(o.archFile)
	if err != nil {
		return err
	}
	if o.weights == "" {
		return fault.Usagef("--weights is needed: a weights.safetensors")
	}
	weights, err := safetensors.ReadFile(o.weights)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	if err := run.Fits(weights.Weights, ar); err != nil {
		return fault.Errorf(fault.Data, "%s: %w", o.weights, err)
	}
	set, err := run.OpenImages(o.data, a.seed)
	if err != nil {
		return err
	}
	if err := run.Suits(ar, set); err != nil {
		return err
	}
	res, meta := exported{ONNX: o.out}, run.Meta(ar, set)
	var file []byte
	if o.check {
		var diff float64
		file, diff, err = run.ExportChecked(ar, weights.Weights, set, meta, a.workers())
		res.Difference = &diff
	} else {
		file, err = run.Export(ar, weights.Weights, meta)
	}
	if err != nil {
		return err
	}
	res.Bytes = len(file)
	if err := atomicfile.Write(o.out, file); err != nil {
		return err
	}
	return a.result(res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d bytes\n", o.out, res.Bytes)
		if o.check {
			fmt.Fprintf(w, "read back by an independent reader: logits differ by at most %.1e\n", *res.Difference)
		}
	})
}
