// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// fakeMachine is a clock and a runtime whose times are known. A run takes
// overhead + Σ of its nodes' true times, stretched by speed and by noise.
type fakeMachine struct {
	at         time.Duration
	rng        *rand.Rand
	noise      float64                        // relative deviation of a run
	interrupts float64                        // a second, each taking that long
	speed      func(at time.Duration) float64 // factor on all times; nil: 1
	unsteady   map[string]float64             // noise of chains of this key
	compile    map[string]error               // fails to compile chains of this key
	run        map[string]error               // fails to run, from failAfter runs on
	order      []string                       // labels of compiled chains, in order
	runs       map[string]int                 // of chains of this key
	closed     int
	slept      time.Duration
	compiling  time.Duration // of a graph
	rival      *rival        // has the core in turns with the runs; nil: they have it alone
}

// rival is a process that works for 10 ms and sleeps for 10 ms on the core
// that is measured. While it works, it and the runs take turns.
type rival struct {
	owes  time.Duration // of its work
	wakes time.Duration // when it works next
	turn  time.Duration // that the runs have still
	took  time.Duration // all that it has worked
}

const (
	rivalWork  = 10 * time.Millisecond
	turn       = 1400 * time.Microsecond
	switchCost = 5 * time.Microsecond
)

// spend lets t of work pass.
func (f *fakeMachine) spend(t time.Duration) {
	r := f.rival
	for r != nil && t > 0 {
		if r.owes == 0 && f.at >= r.wakes {
			r.owes, r.turn = rivalWork, turn
		}
		left := r.turn
		if r.owes == 0 {
			left = r.wakes - f.at
		}
		d := min(t, left)
		f.at, t, r.turn = f.at+d, t-d, r.turn-d
		if r.owes > 0 && r.turn == 0 {
			d := min(r.owes, turn)
			f.at, r.took, r.owes, r.turn = f.at+d, r.took+d, r.owes-d, turn
			t += switchCost
			r.wakes = f.at + rivalWork
		}
	}
	f.at += t
}

const (
	fakeOverhead = 2 * time.Microsecond
	interrupt    = 500 * time.Microsecond
	failAfter    = 30
)

func newFake(seed uint64) *fakeMachine {
	return &fakeMachine{rng: rand.New(rand.NewPCG(seed, 7)), runs: map[string]int{}}
}

// now reads the clock, which takes 25 ns.
func (f *fakeMachine) now() time.Duration {
	f.at += 25 * time.Nanosecond
	return f.at
}

func (f *fakeMachine) sleep(d time.Duration) {
	f.at += d
	f.slept += d
}

// truth is the true time of a key: a microsecond and a nanosecond for each 16
// multiply-accumulates or so.
func truth(k ops.Key) time.Duration {
	window := max(1, k.Window.Kernel*k.Window.Kernel)
	work := k.H * k.W * k.Out * window
	if k.Kind == ops.Conv || k.Kind == ops.Linear {
		work *= k.In
	}
	return time.Microsecond + time.Duration(work/16)
}

func (f *fakeMachine) Info() profiles.Runtime {
	return profiles.Runtime{Name: "fake", Version: "1", Threads: 1, DType: "f32", Layout: "nhwc"}
}

func (f *fakeMachine) Compile(g *ops.Graph, w ops.Weights) (Runner, error) {
	if err := w.Check(g); err != nil {
		return nil, err
	}
	r := &fakeRunner{machine: f, time: fakeOverhead}
	for k, n := range ops.Keys(g) {
		r.time += time.Duration(n) * truth(k)
		r.key = k.String()
	}
	if len(ops.Keys(g)) > 1 {
		r.key = "network"
	}
	f.order = append(f.order, r.key)
	f.at += f.compiling
	return r, f.compile[r.key]
}

type fakeRunner struct {
	machine *fakeMachine
	key     string
	time    time.Duration
}

func (r *fakeRunner) Run() error {
	f := r.machine
	f.runs[r.key]++
	if err := f.run[r.key]; err != nil && f.runs[r.key] > failAfter {
		return err
	}
	noise := max(f.noise, f.unsteady[r.key])
	t := float64(r.time) * (1 + noise*max(-2, min(6, f.rng.ExpFloat64()-0.693))) // the median of ExpFloat64 is ln 2
	if f.rng.Float64() < f.interrupts*t/1e9 {
		t += float64(interrupt)
	}
	if f.speed != nil {
		t *= f.speed(f.at)
	}
	f.spend(time.Duration(t))
	return nil
}

func (r *fakeRunner) Close() { r.machine.closed++ }

// session is a measurement on the fake machine.
func (f *fakeMachine) session(w Work, p *profiles.Profile, o Options) *session {
	p.Device.Model = "fake board"
	p.Runtime = f.Info()
	return &session{runtime: f, work: w, profile: p, options: o, machine: machine{root: fstest.MapFS{}}, now: f.now,
		sleep: f.sleep, date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// someKeys are a chain of each kind and operations that change the shape.
func someKeys() []ops.Key {
	conv := func(kernel, stride, in, out, size int) ops.Key {
		return ops.Key{Kind: ops.Conv, Window: ops.Same(kernel, stride, 1), Groups: 1, In: in, Out: out, H: size, W: size,
			N: 1, Bias: true, ReLUIn: true}
	}
	pool := ops.Key{Kind: ops.AvgPool, Window: ops.Same(3, 1, 1), In: 16, Out: 16, H: 32, W: 32, N: 1}
	add := ops.Key{Kind: ops.Add, In: 32, Out: 32, H: 16, W: 16, N: 1, Inputs: 3}
	sum := conv(3, 1, 32, 32, 16)
	sum.Accumulate = true
	return []ops.Key{conv(3, 1, 16, 16, 32), conv(1, 1, 16, 16, 32), conv(3, 2, 16, 32, 32), sum, pool, add,
		{Kind: ops.GlobalAvgPool, In: 64, Out: 64, H: 8, W: 8, N: 1}, {Kind: ops.Linear, In: 64, Out: 10, H: 1, W: 1, N: 1}}
}

// someNetworks are chains of two kinds of convolution in several proportions.
func someNetworks(n int) []Network {
	var out []Network
	for i := range n {
		b, x := ops.NewBuilder(ops.Shape{N: 1, C: 16, H: 32, W: 32})
		for j := range 3 + i {
			kernel := 1 + 2*((i+j)%2)
			x = b.Conv(strings.Repeat("x", j+1), x, 16, ops.Same(kernel, 1, 1), 1, true)
		}
		g, err := b.Finish(x)
		if err != nil {
			panic(err)
		}
		out = append(out, Network{Arch: "net" + strings.Repeat("i", i), Graph: ops.Fuse(g)})
	}
	return out
}

// networkKeys are the keys that networks need.
func networkKeys(networks []Network) []ops.Key {
	var keys []ops.Key
	for _, n := range networks {
		for k := range ops.Keys(n.Graph) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, func(a, b ops.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

var errBroken = errors.New("broken on purpose")
