// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// item is one thing to measure: an operation in a chain, or a network.
type item struct {
	label   string
	copies  int            // of the operation in the chain; 1 for a network
	counts  map[string]int // of a network's keys; nil for an operation
	graph   func() (*ops.Graph, error)
	weights ops.Weights // nil: random
	seed    uint64

	runner  Runner
	one     time.Duration // the fastest run, which nothing has interrupted
	inner   int           // runs in a sample
	samples int           // samples in a batch
	cost    time.Duration // of a batch; 0: not known yet
	rounds  []round
	failure string

	finished bool    // needs no more rounds
	expected float64 // rounds that it will have had then; 0: unknown
	again    int     // rounds that it has after being repeated; 0: it is not
}

// round is what one round has measured of an item, in seconds, and the
// conditions that it was measured under.
type round struct {
	conditions
	samples []float64
	waits   []float64 // what others had the core for during each sample, in the samples' unit; nil: unknown
}

// newOperation measures a key in a chain.
func newOperation(k ops.Key, seed uint64) *item {
	it := &item{label: k.String(), copies: chainLength(k), seed: seed}
	it.graph = func() (*ops.Graph, error) { return k.Chain(it.copies) }
	return it
}

// newNetwork measures a network whole.
func newNetwork(n Network, seed uint64) *item {
	counts := map[string]int{}
	for k, c := range ops.Keys(n.Graph) {
		counts[k.String()] = c
	}
	return &item{label: n.Arch, copies: 1, counts: counts, weights: n.Weights, seed: seed,
		graph: func() (*ops.Graph, error) { return n.Graph, nil }}
}

// The fewest and the most copies in a chain, and the work that one should
// have in between: enough for a millisecond at some 16 G operations a second.
const (
	minCopies = 16
	maxCopies = 128
	chainWork = 1 << 24
)

// chainLength is how many copies of an operation to chain: so many that their
// weights do not stay in the inner caches and that what a run costs once does
// not matter. A shape-changing operation has no chain.
func chainLength(k ops.Key) int {
	one, err := k.Chain(1)
	if err != nil {
		return 1
	}
	if _, err := k.Chain(2); err != nil {
		return 1
	}
	window := max(1, k.Window.Kernel)
	work := one.Count().MACs + int64(one.Shape(one.Out).Len())*int64(window*window)
	return int(min(maxCopies, max(minCopies, chainWork/work)))
}

// open compiles the item and finds how long its samples must be.
func (s *session) open(it *item) error {
	g, err := it.graph()
	if err != nil {
		return err
	}
	weights := it.weights
	if weights == nil {
		h := fnv.New64a()
		h.Write([]byte(it.label))
		weights = ops.InitWeights(g, rand.New(rand.NewPCG(it.seed, h.Sum64())))
	}
	if it.runner, err = s.runtime.Compile(g, weights); err != nil {
		return err
	}
	if err := it.calibrate(s.stopwatch, s.least(), batchTime, samplesPerRound); err != nil {
		return err
	}
	if s.mode.Period > 0 { // each inference by itself
		it.inner, it.samples = 1, pacedSamples
	}
	it.cost = time.Duration(it.samples+1) * max(time.Duration(it.inner)*it.one, s.mode.Period)
	return nil
}

// calibrate warms the item up and chooses the inner loop so that a sample
// lasts at least least, and as many samples as fit into a batch of that time,
// from fewestSamples (one, if a sample is slower than slowSample) to most.
func (it *item) calibrate(w stopwatch, least, batch time.Duration, most int) error {
	if err := it.runner.Run(); err != nil { // the first run pages memory in
		return err
	}
	one := time.Duration(math.MaxInt64)
	for start, runs := w.now(), 0; runs == 0 || w.now()-start < calibrationTime; runs++ {
		took, waited, err := w.time(it.runner, 1)
		if err != nil {
			return err
		}
		one = min(one, max(1, took+waited)) // what a wait leaves of a short run may be next to nothing
	}
	inner := max(1, (least+one-1)/one)
	fewest := fewestSamples
	if inner*one > slowSample {
		fewest = 1
	}
	it.one, it.inner, it.samples = one, int(inner), max(fewest, min(most, int(batch/(inner*one))))
	return nil
}

// batch takes an item's samples for one round, in seconds for one operation,
// after a sample that does not count and brings its data into the caches. It
// waits before each.
func (it *item) batch(w stopwatch, wait func()) (round, error) {
	r := round{samples: make([]float64, it.samples), waits: make([]float64, it.samples)}
	each := func(d time.Duration) float64 { return sixDigits(d.Seconds() / float64(it.inner*it.copies)) }
	for i := -1; i < it.samples; i++ {
		wait()
		took, waited, err := w.time(it.runner, it.inner)
		if err != nil {
			return round{}, err
		}
		if i >= 0 {
			r.samples[i], r.waits[i] = each(took), each(waited)
		}
	}
	return r, nil
}

// resume takes in the rounds of an interrupted session.
func (it *item) resume(t profiles.Timing) {
	for i, samples := range t.SamplesS {
		r := round{samples: samples}
		if i < len(t.SentinelS) {
			r.sentinel = t.SentinelS[i]
		}
		if i < len(t.FrequencyHz) {
			r.hz = t.FrequencyHz[i]
		}
		if i < len(t.TemperatureCelsius) {
			r.celsius, r.celsiusKnown = t.TemperatureCelsius[i], true
		}
		it.rounds = append(it.rounds, r)
	}
}

// fail ends the item's measurement.
func (it *item) fail(err error) {
	it.failure, it.rounds = err.Error(), nil
	if it.failure == "" {
		it.failure = "unknown"
	}
}

func (it *item) close() {
	if it.runner != nil {
		it.runner.Close()
		it.runner = nil
	}
}

// sixDigits rounds to six significant digits, far below the clock's noise, so
// that a profile stays short.
func sixDigits(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64)
	return r
}

// settling is the convergence of a warm-up: windows, the difference between
// two of them that counts as none, and the time after which it is given up.
type settling struct {
	window, limit time.Duration
	change        float64
}

var settle = settling{window: 50 * time.Millisecond, limit: 3 * time.Second, change: 0.01}

// settlePaced is the same of a loop that sleeps between runs.
func settlePaced(period time.Duration) settling {
	return settling{window: 10 * period, limit: 60 * period, change: sentinelMovePaced / 2}
}

// converge runs r, waiting before each run, for at least warmUp and until the
// medians of two windows in a row agree. It says whether they did before the
// limit.
func converge(w stopwatch, wait func(), r Runner, g settling) (settled bool, err error) {
	start, last := w.now(), 0.0
	for w.now()-start < g.limit {
		var runs []float64
		for window := w.now(); len(runs) == 0 || w.now()-window < g.window; {
			wait()
			took, _, err := w.time(r, 1)
			if err != nil {
				return false, err
			}
			runs = append(runs, took.Seconds())
		}
		median := stats.Median(runs)
		if w.now()-start >= warmUp && math.Abs(median-last) <= g.change*last {
			return true, nil
		}
		last = median
	}
	return false, nil
}
