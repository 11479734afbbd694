// SPDX-License-Identifier: Apache-2.0

package predict_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// A table predicts a network from the entries of a profile, and says what is
// missing.
func Example() {
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
