// SPDX-License-Identifier: Apache-2.0

package export_test

import (
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// loops is a runtime of plain loops: slow, and good for a check.
type loops struct{}

func (loops) Run(g *ops.Graph, w ops.Weights, x []float32) ([]float32, error) {
	var logits []float32
	for _, v := range opstest.Reference(g, w, opstest.Float64s(x)) {
		logits = append(logits, float32(v))
	}
	return logits, nil
}

// A small network is written as a model; the model is read back and compared
// with the network.
func Example() {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 3, H: 8, W: 8})
	x = ops.ReLUConvBN(b.Scope("block"), x, 3, ops.Config{Channels: 4, Stride: 1, Affine: true})
	g, err := b.Finish(b.Linear("head", b.GlobalAvgPool("pool", x), 10))
	if err != nil {
		log.Fatal(err)
	}
	w := ops.InitWeights(g, rand.New(rand.NewPCG(1, 0)))

	data, err := export.Model(g, w, export.Meta{"labels": "0…9"}) // the content of model.onnx
	if err != nil {
		log.Fatal(err)
	}

	image := opstest.Input(g, 1)
	logits, err := loops{}.Run(g, w, image)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := export.Check(data, loops{}, 1, image, logits); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the model computes what the network does")

	// Output:
	// the model computes what the network does
}
