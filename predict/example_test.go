// SPDX-License-Identifier: Apache-2.0

package predict_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// A network of NAS-Bench-201 is predicted from a profile, without the device.
func Example() {
	p, err := profiles.Load("testdata/profile.json")
	if err != nil {
		log.Fatal(err)
	}
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 8, Image: 16, Colours: 1, Classes: 10})
	if err != nil {
		log.Fatal(err)
	}
	choice, err := space.Parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|")
	if err != nil {
		log.Fatal(err)
	}
	network, err := space.Network(choice, 1)
	if err != nil {
		log.Fatal(err)
	}
	table := predict.NewTable(p)
	estimate, err := table.Estimate(ops.Fuse(network))
	if err != nil {
		log.Fatal(err)
	}
	lo, hi := table.Interval(estimate, 0.95)
	fmt.Printf("%s: %.0f µs, %.0f to %.0f µs at 95 %%\n", p.Device.Name(), 1e6*estimate.Seconds, 1e6*lo, 1e6*hi)
	// Output:
	// AMD EPYC: 42 µs, 40 to 45 µs at 95 %
}

// A table tells what its predictions rest on, and how far each model is from
// networks that it was not fitted to.
func ExampleTable_Calibration() {
	p, err := profiles.Load("testdata/profile.json")
	if err != nil {
		log.Fatal(err)
	}
	c := predict.NewTable(p).Calibration()
	fmt.Printf("fitted to %d of %d networks\n", c.Used, c.Measured)
	for _, h := range c.HeldOut {
		fmt.Printf("%s: %.0f %% off\n", h.Model, 100*h.MAPE)
	}
	// Output:
	// fitted to 20 of 20 networks
	// by-kind: 1 % off
	// by-operation: 1 % off
	// sum: 1 % off
	// macs: 8 % off
}

// A table says what a profile has to have for a network.
func Example_missing() {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 16, H: 32, W: 32})
	y := ops.ReLUConvBN(b.Scope("first"), x, 3, ops.Config{Channels: 16, Stride: 1, Affine: true})
	y = ops.ReLUConvBN(b.Scope("second"), y, 3, ops.Config{Channels: 16, Stride: 1, Affine: true})
	g, err := b.Finish(y)
	if err != nil {
		log.Fatal(err)
	}
	network := ops.Fuse(g)

	p := &profiles.Profile{Device: profiles.Device{Model: "Raspberry Pi 4 Model B Rev 1.4"}}
	_, err = predict.NewTable(p).Estimate(network)
	var missing *profiles.MissingError
	fmt.Println(errors.As(err, &missing), missing.Keys)

	p.Merge([]profiles.Entry{{
		Key:    missing.Keys[0],
		Timing: profiles.Timing{Status: profiles.OK, N: 75, MedianS: 400e-6, LoS: 398e-6, HiS: 402e-6},
	}}, nil)
	table := predict.NewTable(p)
	estimate, err := table.Estimate(network)
	if err != nil {
		log.Fatal(err)
	}
	guard := table.Guard(0.95)
	fmt.Printf("%.0f µs, up to %.0f µs: guard %.0f %%, %s\n",
		1e6*estimate.Seconds, 1e6*table.Upper(estimate, 0.95), 100*guard.Relative, guard.Basis)
	// Output:
	// true [conv/k=3/s=1/p=1/d=1/g=1/cin=16/cout=16/h=32/w=32/n=1/f32/nhwc/relu_in+bias]
	// 800 µs, up to 880 µs: guard 10 %, assumed: no network was measured whole
}
