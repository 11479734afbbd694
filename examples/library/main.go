// SPDX-License-Identifier: Apache-2.0

// Command library does with edgenas as a library what another Go program
// would: it loads a profile, predicts how long a network of NAS-Bench-201 takes
// on the profile's device, and writes the network as an ONNX model. It is a
// module of its own and can be copied anywhere. From its folder:
//
//	go run . testdata/profile.json model.onnx
package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

const cell = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: library PROFILE MODEL")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(profile, model string) error {
	p, err := profiles.Load(profile)
	if err != nil {
		return err
	}
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 8, Image: 16, Colours: 1, Classes: 10})
	if err != nil {
		return err
	}
	choice, err := space.Parse(cell)
	if err != nil {
		return err
	}
	network, err := space.Network(choice, 1)
	if err != nil {
		return err
	}
	table := predict.NewTable(p)
	estimate, err := table.Estimate(ops.Fuse(network))
	if err != nil {
		return err
	}
	lo, hi := table.Interval(estimate, 0.95)
	fmt.Printf("%s: %.1f µs, %.1f to %.1f µs at 95 %%\n", p.Device.Name(), 1e6*estimate.Seconds, 1e6*lo, 1e6*hi)

	weights := ops.InitWeights(network, rand.New(rand.NewPCG(1, 0))) // or those of a training
	onnx, err := export.Model(network, weights, export.Meta{"architecture": cell})
	if err != nil {
		return err
	}
	return os.WriteFile(model, onnx, 0o666)
}
