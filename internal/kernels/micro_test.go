// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every implementation's inner loops are compared with the portable ones in
// float64: all lengths 0…69, starts off any alignment, NaN and infinities
// among the data, and guard values around every slice.

const guards = 16

var guard = math.Float32frombits(0x7fc12345) // a NaN, so that reading it shows too

// guarded makes slices between guard values, and checks these afterwards.
type guarded struct {
	rng  *rand.Rand
	odd  bool // NaN and infinities among the data
	mem  [][]float32
	data []int // lengths
}

func newGuarded(seed uint64, odd bool) *guarded {
	return &guarded{rng: rand.New(rand.NewPCG(seed, 7)), odd: odd}
}

// slice has n random numbers at the next odd start.
func (g *guarded) slice(n int) []float32 {
	start := guards + len(g.mem)%7
	m := make([]float32, start+n+guards)
	for i := range m {
		m[i] = guard
	}
	s := m[start : start+n : start+n]
	for i := range s {
		s[i] = float32(g.rng.NormFloat64())
		if g.odd && g.rng.IntN(16) == 0 {
			s[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1))}[g.rng.IntN(5)]
		}
	}
	g.mem, g.data = append(g.mem, m), append(g.data, n)
	return s
}

func (g *guarded) check(t *testing.T) {
	t.Helper()
	for k, m := range g.mem {
		start := len(m) - guards - g.data[k]
		for i, v := range m {
			if (i < start || i >= start+g.data[k]) && math.Float32bits(v) != math.Float32bits(guard) {
				t.Fatalf("slice %d: wrote element %d of %d", k, i-start, g.data[k])
			}
		}
	}
}

// same fails unless got is want, NaN where it is NaN, to a few roundings.
func same(t *testing.T, got []float32, want []float64) {
	t.Helper()
	for i, v := range got {
		a, b := float64(v), want[i]
		if math.IsNaN(a) != math.IsNaN(b) || math.IsInf(b, 0) && a != b || math.Abs(a-b) > 1e-5*(1+math.Abs(b)) {
			t.Fatalf("element %d of %d is %v, want %v", i, len(got), v, b)
		}
	}
}

// onEach runs f on each implementation, without and with odd values.
func onEach(t *testing.T, f func(t *testing.T, m *micro[float32], odd bool)) {
	for _, im := range implementations() {
		for _, odd := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/odd=%v", im.name, odd), func(t *testing.T) { f(t, &im.micro, odd) })
		}
	}
}

const lengths = 70 // 0…69

var reference = portable[float64]()

func TestMicroFlat(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for n := range lengths {
			g := newGuarded(uint64(n), odd)
			x, y, z := g.slice(n), g.slice(n), g.slice(n)
			x64, y64, z64 := convert[float64](x), convert[float64](y), convert[float64](z)
			for _, floor := range []float64{0, math.Inf(-1)} {
				m.add(y, x, z, float32(floor))
				reference.add(y64, x64, z64, floor)
				same(t, y, y64)
			}
			m.pick(y, z, x, 3)
			reference.pick(y64, z64, x64, 3)
			same(t, y, y64)
			same(t, z, z64)
			m.pickGrad(y, x, z, 3)
			reference.pickGrad(y64, x64, z64, 3)
			same(t, y, y64)
			for _, add := range []bool{true, false} {
				m.reluGrad(y, x, z, add)
				reference.reluGrad(y64, x64, z64, add)
				same(t, y, y64)
			}
			m.relu(y, x)
			reference.relu(y64, x64)
			same(t, y, y64)
			m.relu(x, x)
			same(t, x, y64)
			g.check(t)
		}
	})
}

func TestMicroRows(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for c := range lengths {
			for _, rows := range []int{1, 3, 4, 5, 8} {
				g := newGuarded(uint64(c*10+rows), odd)
				row := c + c%3
				n := max(0, (rows-1)*row+c)
				y, u, v, a, b, d := g.slice(n), g.slice(n), g.slice(n), g.slice(c), g.slice(c), g.slice(c)
				y64, u64, v64 := convert[float64](y), convert[float64](u), convert[float64](v)
				a64, b64, d64 := convert[float64](a), convert[float64](b), convert[float64](d)
				for _, add := range []bool{true, false} {
					for _, floor := range []float64{math.Inf(-1), 0} {
						m.affine(y, u, a, b, float32(floor), rows, c, row, add)
						reference.affine(y64, u64, a64, b64, floor, rows, c, row, add)
						same(t, y, y64)
					}
					m.affine2(y, u, v, a, b, d, rows, c, row, add)
					reference.affine2(y64, u64, v64, a64, b64, d64, rows, c, row, add)
					same(t, y, y64)
				}
				sum, dot := g.slice(c), g.slice(c)
				sum64, dot64 := convert[float64](sum), convert[float64](dot)
				for _, floor := range []float64{math.Inf(-1), 0} {
					m.reduce(sum, dot, u, a, v, b, float32(floor), rows, c, row, row)
					reference.reduce(sum64, dot64, u64, a64, v64, b64, floor, rows, c, row, row)
					same(t, sum, sum64)
					same(t, dot, dot64)
				}
				g.check(t)
			}
		}
	})
}

func TestMicroBox(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for c := range lengths {
			for cols := 2; cols < 7; cols++ {
				g := newGuarded(uint64(c*10+cols), odd)
				col := c + c%3
				n := (cols-1)*col + c
				y, a, b, d := g.slice(n), g.slice(n), g.slice(n), g.slice(n)
				y64 := convert[float64](y)
				for _, add := range []bool{true, false} {
					m.box(y, a, b, d, 0.5, 0.25, 2, 1.5, 0.75, cols, c, col, add)
					reference.box(y64, convert[float64](a), convert[float64](b), convert[float64](d), 0.5, 0.25, 2, 1.5, 0.75, cols, c, col, add)
					same(t, y, y64)
				}
				g.check(t)
			}
		}
	})
}

func TestMicroTaps(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for c := range lengths {
			for cols := range 10 {
				g := newGuarded(uint64(c*10+cols), odd)
				taps := g.rng.IntN(10)
				yCol, xCol := c+g.rng.IntN(3), c*(1+g.rng.IntN(2))
				var xoff, woff []int
				for range taps {
					xoff, woff = append(xoff, g.rng.IntN(3*c+1)), append(woff, g.rng.IntN(2*c+1))
				}
				at := func(s []int) int { return slices.Max(append(s, 0)) }
				y := g.slice(max(0, (cols-1)*yCol+c))
				x, w := g.slice(max(0, (cols-1)*xCol+at(xoff)+c)), g.slice(at(woff)+c)
				y64 := convert[float64](y)
				m.taps(y, yCol, x, xCol, xoff, w, woff, cols, c)
				reference.taps(y64, yCol, convert[float64](x), xCol, xoff, convert[float64](w), woff, cols, c)
				same(t, y, y64)
				g.check(t)
			}
		}
	})
}

func TestMicroConv(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for seglen := 1; seglen < lengths; seglen++ {
			g := newGuarded(uint64(seglen), odd)
			pixels := m.convRows * g.rng.IntN(4)
			segs := make([]int, g.rng.IntN(4))
			for i := range segs {
				segs[i] = g.rng.IntN(50)
			}
			xoff, yoff := make([]int, pixels), make([]int, pixels)
			for i := range pixels {
				xoff[i], yoff[i] = g.rng.IntN(90), i*(panel+3)
			}
			if m.convRows > 1 && pixels > 0 { // the last pixel may be repeated
				xoff[pixels-2], yoff[pixels-2] = xoff[pixels-1], yoff[pixels-1]
			}
			x, w, bias := g.slice(200), g.slice(len(segs)*seglen*panel), g.slice(panel)
			y, mask, residual := g.slice(pixels*(panel+3)), g.slice(pixels*(panel+3)), g.slice(pixels*(panel+3))
			y64 := convert[float64](y)
			x64, w64, bias64 := convert[float64](x), convert[float64](w), convert[float64](bias)
			for _, floor := range []float64{math.Inf(-1), 0} {
				for _, masked := range []bool{false, true} {
					for _, add := range []bool{false, true} {
						k, r := mask, residual
						if !masked {
							k = nil
						}
						if !add {
							r = nil
						}
						m.conv(y, k, r, yoff, x, xoff, segs, seglen, w, bias, float32(floor))
						reference.conv(y64, convert[float64](k), convert[float64](r), yoff, x64, xoff, segs, seglen, w64, bias64, floor)
						same(t, y, y64)
					}
				}
			}
			if pixels == 0 {
				continue
			}
			// In place: pixels that are repeated get the residual once.
			m.conv(y, y, y, yoff, x, xoff, segs, seglen, w, bias, 0)
			before := clone(y64)
			reference.conv(y64, before, before, yoff, x64, xoff, segs, seglen, w64, bias64, 0)
			same(t, y, y64)
			g.check(t)
		}
	})
}

func TestMicroOuter(t *testing.T) {
	onEach(t, func(t *testing.T, m *micro[float32], odd bool) {
		for n := 0; n < 2*lengths; n += m.outerRows {
			for _, s := range []struct{ rows, cols int }{{0, 3}, {1, 1}, {2, 5}, {3, 4}} {
				g := newGuarded(uint64(n*10+s.rows), odd)
				xCol, dyCol := 1+g.rng.IntN(20), 1+g.rng.IntN(20)
				xRow, dyRow := s.cols*xCol+g.rng.IntN(9), s.cols*dyCol+g.rng.IntN(9)
				dw := g.slice(n * panel)
				x := g.slice(max(0, (s.rows-1)*xRow+(s.cols-1)*xCol+n))
				dy := g.slice(max(0, (s.rows-1)*dyRow+(s.cols-1)*dyCol+panel))
				dw64 := convert[float64](dw)
				m.outer(dw, n, x, dy, s.rows, s.cols, xRow, xCol, dyRow, dyCol)
				want := outerReference(dw64, n, convert[float64](x), convert[float64](dy), s.rows, s.cols, xRow, xCol, dyRow, dyCol)
				same(t, dw, want)
				g.check(t)
			}
		}
	})
}

// outerReference is the loop of micro.outer, for any n.
func outerReference(dw []float64, n int, x, dy []float64, rows, cols, xRow, xCol, dyRow, dyCol int) []float64 {
	for k := range n {
		for j := range panel {
			for r := range rows {
				for c := range cols {
					dw[k*panel+j] += x[r*xRow+c*xCol+k] * dy[r*dyRow+c*dyCol+j]
				}
			}
		}
	}
	return dw
}
