// SPDX-License-Identifier: Apache-2.0

package latency_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// toy is a runtime whose networks take 50 µs and compute nothing.
type toy struct{}

func (toy) Info() profiles.Runtime {
	return profiles.Runtime{Name: "toy", Version: "1", Threads: 1, DType: "f32", Layout: "nhwc"}
}

func (toy) Compile(*ops.Graph, ops.Weights) (latency.Runner, error) { return toyNetwork{}, nil }

type toyNetwork struct{}

func (toyNetwork) Run() error {
	for start := time.Now(); time.Since(start) < 50*time.Microsecond; {
	}
	return nil
}

func (toyNetwork) Close() {}

// Any runtime can be measured: here one operation, in six rounds at least.
func Example() {
	key := ops.Key{Kind: ops.Linear, In: 64, Out: 10, H: 1, W: 1, N: 1}
	rt := toy{}
	p := &profiles.Profile{Device: latency.ThisDevice(), Runtime: rt.Info()}
	work := latency.Work{Keys: []ops.Key{key}}
	if err := latency.Measure(context.Background(), rt, work, p, latency.Options{Rounds: 6}); err != nil {
		log.Fatal(err)
	}
	entry, err := p.Lookup(key.String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(entry.Key)
	fmt.Println("status", entry.Status)
	fmt.Println("six rounds or more:", len(entry.SamplesS) >= 6)
	fmt.Println("bounds hold the median:", entry.LoS <= entry.MedianS && entry.MedianS <= entry.HiS)
	// Output:
	// linear/cin=64/cout=10/h=1/w=1/n=1/f32/nhwc
	// status ok
	// six rounds or more: true
	// bounds hold the median: true
}
