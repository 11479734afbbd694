// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"testing"
)

// mixCase is a mixture: which terms are normalised, which open. The last two
// terms have one X and one DX.
type mixCase struct {
	name       string
	norm, open []bool
}

var mixCases = []mixCase{
	{"one plain term", []bool{false, false}, []bool{false, true}},
	{"one normalised term", []bool{true, false}, []bool{true, false}},
	{"all open", []bool{true, false, true, false, true}, []bool{true, true, true, true, true}},
	{"some closed", []bool{true, true, false, false, true}, []bool{false, true, true, false, true}},
	{"all closed", []bool{true, false, true}, []bool{false, false, false}},
}

const mixEpsilon = 1e-3

// mixData is a mixture in float64 with its reference.
type mixData struct {
	mixCase
	m, c   int
	xs     [][]float64
	ps, dy []float64
	before []float64 // what the gradients are added to
}

func newMixData(k mixCase, m, c int) *mixData {
	d := &mixData{mixCase: k, m: m, c: c, ps: random[float64](1, len(k.norm)), dy: random[float64](2, m*c),
		before: random[float64](3, m*c)}
	for i := range k.norm {
		d.xs = append(d.xs, random[float64](uint64(10+i), m*c))
	}
	d.xs[len(d.xs)-1] = d.xs[len(d.xs)-2]
	return d
}

func (d *mixData) forward() []float64 {
	y := make([]float64, d.m*d.c)
	for i, x := range d.xs {
		if !d.open[i] {
			continue
		}
		if d.norm[i] {
			x, _, _ = normReference(x, d.c, mixEpsilon)
		}
		for j, v := range x {
			y[j] += d.ps[i] * v
		}
	}
	return y
}

// terms makes the kernels' view of it. Closed terms have no memory at all.
func terms[T Float](d *mixData) []MixTerm[T] {
	ts := make([]MixTerm[T], len(d.xs))
	for i := range ts {
		p := T(d.ps[i])
		t := &ts[i]
		*t = MixTerm[T]{Norm: d.norm[i], P: &p, DP: new(T), Open: &d.open[i]}
		*t.DP = 9
		if d.open[i] {
			t.X, t.DX, t.AddDX = convert[T](d.xs[i]), convert[T](d.before), i%2 == 1
			t.Mean, t.InvStd = scratch[T](d.c), scratch[T](d.c)
		}
	}
	if n := len(ts); ts[n-1].DX != nil && ts[n-2].DX != nil {
		ts[n-1].DX, ts[n-1].AddDX = ts[n-2].DX, true
	}
	return ts
}

func TestMix(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, k := range mixCases {
			for _, s := range rowShapes {
				t.Run(k.name+" "+shapeName(s), func(t *testing.T) {
					d := newMixData(k, s.m, s.c)
					testMix[float64](t, d, tolerance[float64]())
					testMix[float32](t, d, 4*tolerance[float32]())
				})
			}
		}
	})
}

func testMix[T Float](t *testing.T, d *mixData, tol float64) {
	want := d.forward()
	promises(t, func(threads int) (*Mix[T], [][]T) {
		k := &Mix[T]{M: d.m, C: d.c, Epsilon: mixEpsilon, Terms: terms[T](d), Y: scratch[T](d.m * d.c)}
		k.Scratch = scratch[T](k.ScratchLen(threads))
		run2(k, &k.Scratch)
		near(t, "Y", k.Y, want, tol)
		return k, [][]T{k.Y}
	})
}

// run2 runs a kernel on one thread and refills its scratch.
func run2[T Float](k Kernel, s *[]T) {
	run(k)
	copy(*s, scratch[T](len(*s)))
}

func TestMixGradients(t *testing.T) {
	for _, k := range mixCases {
		for _, s := range rowShapes {
			t.Run(k.name+" "+shapeName(s), func(t *testing.T) {
				d := newMixData(k, s.m, s.c)
				dxs, dps := testMixGradients(t, d)
				each(t, func(t *testing.T) { testMixBackward32(t, d, dxs, dps) })
			})
		}
	}
}

// testMixGradients checks the float64 kernel against central differences.
func testMixGradients(t *testing.T, d *mixData) (dxs [][]float64, dps []float64) {
	ts := terms[float64](d)
	mix := &Mix[float64]{M: d.m, C: d.c, Epsilon: mixEpsilon, Terms: ts, Y: scratch[float64](d.m * d.c)}
	mix.Scratch = scratch[float64](mix.ScratchLen(1))
	run(mix)
	k := &MixBackward[float64]{M: d.m, C: d.c, Terms: ts, DY: d.dy}
	k.Scratch = scratch[float64](k.ScratchLen(1))
	run(k)
	shared := len(ts) - 2
	for i := range ts {
		dps = append(dps, *ts[i].DP)
		dxs = append(dxs, clone(ts[i].DX))
		if !d.open[i] {
			if *ts[i].DP != 0 {
				t.Errorf("DP of closed term %d is %v", i, *ts[i].DP)
			}
			continue
		}
		got := clone(ts[i].DX)
		first := i
		if i == shared+1 && d.open[shared] {
			first = shared // the sum of two terms' gradients
		}
		if ts[first].AddDX {
			for j := range got {
				got[j] -= d.before[j]
			}
		}
		gradient(t, "DX", d.xs[i], got, d.dy, d.forward)
	}
	gradient(t, "DP", d.ps, dps, d.dy, d.forward)
	return dxs, dps
}

// largest is the largest absolute value in x, or 1e-3 if that is larger.
func largest(x []float64) float64 {
	m := 1e-3
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return m
}

func testMixBackward32(t *testing.T, d *mixData, dxs [][]float64, dps []float64) {
	promises(t, func(threads int) (*MixBackward[float32], [][]float32) {
		ts := terms[float32](d)
		mix := &Mix[float32]{M: d.m, C: d.c, Epsilon: mixEpsilon, Terms: ts, Y: scratch[float32](d.m * d.c)}
		mix.Scratch = scratch[float32](mix.ScratchLen(1))
		run(mix)
		k := &MixBackward[float32]{M: d.m, C: d.c, Terms: ts, DY: convert[float32](d.dy)}
		k.Scratch = scratch[float32](k.ScratchLen(threads))
		if threads == 1 {
			run2(k, &k.Scratch)
			for i := range ts {
				if d.open[i] {
					// of few rows a normalisation leaves next to nothing
					near(t, "float32 DX", ts[i].DX, dxs[i], 2e-5*max(1, 1e-2/largest(dxs[i])))
				}
				near(t, "float32 DP", []float32{*ts[i].DP}, dps[i:i+1], 2e-4)
			}
			for i := range ts {
				copy(ts[i].DX, convert[float32](d.before))
			}
		}
		results := [][]float32{}
		for i := range ts {
			results = append(results, ts[i].DX)
		}
		return k, results
	})
}
