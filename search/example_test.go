// SPDX-License-Identifier: Apache-2.0

package search_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/search"
)

// stripes is a source of easy images: class k is bright in column k.
type stripes struct{ next int }

func (s *stripes) Next(x []float32, y []int32) {
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

func (s *stripes) Len() int                        { return 48 }
func (s *stripes) MarshalJSON() ([]byte, error)    { return json.Marshal(s.next) }
func (s *stripes) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &s.next) }

// convolutions says that each 3×3 convolution takes a millisecond, and nothing
// else any time.
type convolutions struct{ space arch.Space }

func (c convolutions) Latency(choice arch.Choice) (float64, error) {
	if _, err := c.space.Network(choice, 1); err != nil { // such as arch.ErrDead
		return 0, err
	}
	conv := slices.Index(c.space.Alphas()[0].Ops, "nor_conv_3x3")
	seconds := 0.0
	for _, op := range c.space.Canonical(choice)[0] {
		if op == conv {
			seconds += 1e-3
		}
	}
	return seconds, nil
}

// A search for networks of at most two 3×3 convolutions a cell.
func Example() {
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := search.DefaultConfig()
	c.Batch, c.Candidates, c.BudgetS = 8, 5, 2e-3
	s, err := search.New(c, search.Problem{
		Proxy: space, Target: space, Costs: convolutions{space}, Weights: &stripes{}, Alpha: &stripes{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := s.Run(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d steps, %d networks\n", s.Steps(), len(found))
	for _, n := range found {
		fmt.Printf("%.0f ms\n", 1e3*n.LatencyS)
	}
	// Output:
	// 12 steps, 5 networks
	// 2 ms
	// 2 ms
	// 2 ms
	// 2 ms
	// 2 ms
}
