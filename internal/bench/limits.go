// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/kernels"
)

// Limits is what the machine can do at most with so many threads, as measured:
// the best of many repetitions.
type Limits struct {
	Peer    string `json:"peer"`
	Mode    string `json:"mode"`
	CPU     string `json:"cpu"`
	Threads int    `json:"threads"`
	// FMA is that of fused multiply-adds on registers, a multiply-add counted
	// as two; 0: there is no loop for this processor.
	FMA float64 `json:"fma_gflops"`
	// Conv is that of a dense convolution of ours whose data stay in the first-
	// and second-level cache.
	Conv float64 `json:"conv_gflops"`
	Copy float64 `json:"copy_gb_s"` // a large array copied: what is read and written, in 10⁹ bytes
	Add  float64 `json:"add_gb_s"`  // two large arrays added to a third: the same
}

// Benchmark is the result in Go's benchmark format.
func (l Limits) Benchmark() string {
	return fmt.Sprintf("BenchmarkLimits-%d\t1\t%.1f fma-GFLOP/s\t%.1f conv-GFLOP/s\t%.2f copy-GB/s\t%.2f add-GB/s\n",
		l.Threads, l.FMA, l.Conv, l.Copy, l.Add)
}

// convLimits are convolutions whose image and weights fit the first-level
// cache of most processors: 3×3 and 1×1.
var convLimits = []kernels.ConvShape{
	{H: 8, W: 8, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{H: 8, W: 8, In: 32, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{H: 8, W: 12, In: 64, Out: 16, Kernel: 1, Stride: 1},
	{H: 8, W: 12, In: 64, Out: 64, Kernel: 1, Stride: 1},
}

// load is how much work a measurement does each time.
type load struct {
	turns    int // of the loop on registers, of each thread
	images   int // of the convolution, of each thread
	elements int // of a large array
}

// full is long enough for the clock, and arrays that no cache has.
var full = load{turns: 1 << 20, images: 32, elements: 32 << 20}

// MeasureLimits measures each limit for this long, on the pool's threads.
func MeasureLimits(ctx context.Context, pool *kernels.Workers, during time.Duration) (Limits, error) {
	return full.measure(ctx, pool, during)
}

func (w load) measure(ctx context.Context, pool *kernels.Workers, during time.Duration) (Limits, error) {
	l := Limits{Peer: "limits", Mode: Mode, CPU: hostinfo.Local().CPU, Threads: pool.Threads()}
	best := func(work float64, f func()) (float64, error) {
		times, err := repeat(ctx, during, f)
		if err != nil {
			return 0, err
		}
		return work / slices.Min(times) / 1e9, nil
	}
	var err error
	if loop, flops := multiplyAdds(); loop != nil {
		work := float64(pool.Threads()) * float64(w.turns) * float64(flops)
		task := &turnTask{loop, w.turns}
		if l.FMA, err = best(work, func() { pool.For(pool.Threads(), task) }); err != nil {
			return l, err
		}
	}
	for _, s := range convLimits {
		s.N = w.images * pool.Threads()
		pixels, weights := s.N*s.H*s.W, s.Kernel*s.Kernel*s.In*s.Out
		k := &kernels.Conv[float32]{ConvShape: s, X: ones(pixels * s.In), Packed: make([]float32, s.PackedLen()),
			Y: ones(pixels * s.Out)}
		kernels.PackConv(s, k.Packed, ones(weights))
		k.Scratch = make([]float32, k.ScratchLen(pool.Threads()))
		rate, err := best(2*float64(pixels)*float64(weights), func() { k.Run(pool) })
		if err != nil {
			return l, err
		}
		l.Conv = max(l.Conv, rate)
	}
	a, b, c := ones(w.elements), ones(w.elements), ones(w.elements)
	bytes := 4 * float64(w.elements)
	copying := copyTask{a, b}
	if l.Copy, err = best(2*bytes, func() { pool.For(copying.pieces(), &copying) }); err != nil {
		return l, err
	}
	sum := &kernels.Add[float32]{Xs: [][]float32{a, b}, Y: c}
	l.Add, err = best(3*bytes, func() { sum.Run(pool) })
	return l, err
}

// ones returns n elements in memory that the system has really mapped. Pages of
// zeros that nobody has written share one physical page, so reading them would
// measure the cache.
func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// turnTask runs n turns of a loop in each piece.
type turnTask struct {
	loop func(turns int)
	n    int
}

func (t *turnTask) Do(int, int) { t.loop(t.n) }

// copyTask copies a large array piece by piece.
type copyTask struct{ dst, src []float32 }

const copyPiece = 1 << 18 // elements

func (c *copyTask) pieces() int { return len(c.src) / copyPiece }

func (c *copyTask) Do(piece, _ int) {
	at := piece * copyPiece
	copy(c.dst[at:at+copyPiece], c.src[at:])
}
