// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// A small network is recorded and counted. Fused, its batch norm and its ReLU
// are part of the convolutions; each node has the key of a measured time.
func Example() {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 3, H: 32, W: 32})
	x = b.BatchNorm("bn", b.Conv("stem", x, 16, ops.Same(3, 1, 1), 1, false), true)
	x = ops.ByName("sep_conv_3x3").Build(b.Scope("sep"), x, ops.Config{Channels: 16, Stride: 2, Affine: true})
	g, err := b.Finish(b.Linear("head", b.GlobalAvgPool("pool", x), 10))
	if err != nil {
		log.Fatal(err)
	}
	c := g.Count()
	fmt.Println(c.MACs, "multiply-accumulates,", c.Params, "parameters")

	fused := ops.Fuse(g)
	fmt.Println(len(g.Nodes), "nodes recorded,", len(fused.Nodes), "fused")
	var keys []string
	for key, n := range ops.Keys(fused) {
		keys = append(keys, fmt.Sprintf("%d × %s", n, key))
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Println(key)
	}

	// Output:
	// 647328 multiply-accumulates, 1498 parameters
	// 13 nodes recorded, 8 fused
	// 1 × conv/k=3/s=1/p=1/d=1/g=1/cin=3/cout=16/h=32/w=32/n=1/f32/nhwc/bias
	// 1 × conv/k=3/s=1/p=1/d=1/g=16/cin=16/cout=16/h=16/w=16/n=1/f32/nhwc/relu_in
	// 1 × conv/k=3/s=2/p=1/d=1/g=16/cin=16/cout=16/h=32/w=32/n=1/f32/nhwc/relu_in
	// 1 × globalavgpool/cin=16/cout=16/h=16/w=16/n=1/f32/nhwc
	// 1 × linear/cin=16/cout=10/h=1/w=1/n=1/f32/nhwc
	// 2 × conv/k=1/s=1/p=0/d=1/g=1/cin=16/cout=16/h=16/w=16/n=1/f32/nhwc/bias
}
