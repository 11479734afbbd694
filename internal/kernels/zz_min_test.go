// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func minTime(name string, work, bytes int, build func() Kernel) {
	best := micro32
	defer func() { micro32 = best }()
	p := NewPool(1)
	defer p.Close()
	for _, im := range implementations() {
		micro32 = im.micro
		k := build()
		k.Run(p)
		low := time.Hour
		end := time.Now().Add(150 * time.Millisecond)
		for time.Now().Before(end) {
			t := time.Now()
			k.Run(p)
			low = min(low, time.Since(t))
		}
		fmt.Printf("%-60s %-9s %9.1f us %7.1f GFLOP/s %6.1f GB/s\n", name, im.name, low.Seconds()*1e6, float64(work)/low.Seconds()/1e9, float64(bytes)/low.Seconds()/1e9)
	}
}

func TestMin(t *testing.T) {
	if os.Getenv("MIN") == "" {
		return
	}
	benchmarkHook = minTime
	defer func() { benchmarkHook = nil }()
	for _, f := range []func(*testing.B){BenchmarkLayout, BenchmarkConv, BenchmarkConvBackwardData, BenchmarkConvBackwardWeights, BenchmarkDepthwise, BenchmarkPool, BenchmarkRows} {
		f(nil)
	}
}
