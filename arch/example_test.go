// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"fmt"
	"log"

	"github.com/edgenas/edgenas/arch"
)

// An architecture of NAS-Bench-201 is parsed, recorded and counted.
func Example() {
	size := arch.Size{Cells: 5, Channels: 16, Image: 32, Colours: 3, Classes: 10}
	space, err := arch.NewSpace("nb201", size)
	if err != nil {
		log.Fatal(err)
	}
	choice, err := space.Parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|" +
		"+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")
	if err != nil {
		log.Fatal(err)
	}
	g, err := space.Network(choice, 1)
	if err != nil {
		log.Fatal(err)
	}
	c := g.Count()
	fmt.Printf("%.1f million multiply-accumulates, %.2f million parameters\n", float64(c.MACs)/1e6, float64(c.Params)/1e6)
	fmt.Println(arch.Architecture{Space: space, Choice: choice})

	// Output:
	// 117.9 million multiply-accumulates, 0.83 million parameters
	// nb201 |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|
}
