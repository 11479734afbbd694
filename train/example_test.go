// SPDX-License-Identifier: Apache-2.0

package train_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/train"
)

// columns is a source of easy images: class k is bright in column k.
type columns struct{ next int }

func (s *columns) Next(x []float32, y []int32) {
	const size = 8
	for i := range y {
		y[i] = int32(s.next % 3)
		s.next++
		image := x[i*size*size:][:size*size]
		for j := range image {
			image[j] = 0
			if j%size == int(y[i]) {
				image[j] = 1
			}
		}
	}
}

func (s *columns) Len() int                        { return 48 }
func (s *columns) MarshalJSON() ([]byte, error)    { return json.Marshal(s.next) }
func (s *columns) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &s.next) }

// A network is trained from scratch to tell three classes of images apart.
func Example() {
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	choice, err := space.Parse("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|nor_conv_1x1~1|skip_connect~2|")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := train.DefaultConfig()
	c.Epochs, c.Batch = 20, 8
	t, err := train.New(c, arch.Architecture{Space: space, Choice: choice}, &columns{}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var last train.Point
	weights, err := t.Run(context.Background(), func(p train.Point) { last = p })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d steps: %.0f %% of the images are recognised\n", t.Steps(), 100*last.AccuracyTrain)
	fmt.Println(weights["stem.conv.weight"].Dims)
	// Output:
	// 120 steps: 100 % of the images are recognised
	// [4 1 3 3]
}
