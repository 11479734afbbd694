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
			s[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0,
				float32(math.Copysign(0, -1))}[g.rng.IntN(5)]
		}
	}
	g.mem, g.data = append(g.mem, m), append(g.data, n)
	return s
}

// orNil is x, or, one time of so many, nil: an operand that is left out.
func (g *guarded) orNil(of int, x []float32) []float32 {
	if g.rng.IntN(of) == 0 {
		return nil
	}
	return x
}

// offsets has n numbers up to most.
func (g *guarded) offsets(n, most int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = g.rng.IntN(most + 1)
	}
	return s
}

// window is 0…4 × 0…4 taps, at least so many rows and columns.
func (g *guarded) window(c, least int) (w window) {
	w.rows, w.cols = least+g.rng.IntN(5-least), least+g.rng.IntN(5-least)
	w.first, w.row, w.col = g.rng.IntN(3), g.rng.IntN(2*c+3), g.rng.IntN(c+2)
	w.number, w.numberRow, w.numberCol = g.rng.IntN(3), c+g.rng.IntN(4*c+3), c+g.rng.IntN(2)
	if g.rng.IntN(3) == 0 { // numbers run down
		w.number, w.numberRow, w.numberCol = w.number+4*(w.numberRow+w.numberCol), -w.numberRow, -w.numberCol
	}
	return w
}

// last is the greatest place and the greatest number of a tap.
func (w window) last() (at, number int) {
	for r := range w.rows {
		for q := range w.cols {
			at, number = max(at, w.at(r, q)), max(number, w.numberOf(r, q))
		}
	}
	return at, number
}

// last is the greatest of the offsets, or 0.
func last(offsets []int) int { return slices.Max(append(offsets, 0)) }

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

// comparison is what a test of an implementation compares its outputs with:
// float64, to a few roundings, and the twin, bit for bit.
type comparison struct {
	*testing.T
	outputs [][]float32 // what the twin wrote
	twin    bool        // the twin is writing
	exact   bool        // the implementation has the twin's bits
	next    int
}

// same fails unless got is want, NaN where it is NaN, to a few roundings, and
// what the twin wrote at the same point of the test.
func (c *comparison) same(got []float32, want []float64) {
	c.Helper()
	for i, v := range got {
		a, b := float64(v), want[i]
		if math.IsNaN(a) != math.IsNaN(b) || math.IsInf(b, 0) && a != b || math.Abs(a-b) > 1e-5*(1+math.Abs(b)) {
			c.Fatalf("element %d of %d is %v, want %v", i, len(got), v, b)
		}
	}
	if c.twin {
		c.outputs = append(c.outputs, clone(got))
		return
	}
	if !c.exact {
		return
	}
	twin := c.outputs[c.next]
	c.next++
	for i, v := range got {
		if v != twin[i] && bits(v) != bits(twin[i]) {
			c.Fatalf("element %d of %d is %v (%08x), the twin's %v (%08x)",
				i, len(got), v, math.Float32bits(v), twin[i], math.Float32bits(twin[i]))
		}
	}
}

// onEach runs f on each implementation, without and with odd values: on its
// twin first, whose bits all have but the portable one.
func onEach(t *testing.T, f func(t *comparison, m *micro[float32], odd bool)) {
	for _, im := range implementations() {
		for _, odd := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/odd=%v", im.name, odd), func(t *testing.T) {
				c := &comparison{T: t, twin: true, exact: im.name != portable[float32]().name}
				f(c, twinOf(&im.micro), odd)
				c.twin = false
				f(c, &im.micro, odd)
			})
		}
	}
}

const lengths = 70 // 0…69

var reference = portable[float64]()

func TestMicroFlat(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for n := range lengths {
			g := newGuarded(uint64(n), odd)
			x, y, z := g.slice(n), g.slice(n), g.slice(n)
			x64, y64, z64 := convert[float64](x), convert[float64](y), convert[float64](z)
			for _, floor := range []float64{0, math.Inf(-1)} {
				m.add(y, x, z, float32(floor))
				reference.add(y64, x64, z64, floor)
				t.same(y, y64)
			}
			for _, add := range []bool{true, false} {
				m.reluGrad(y, x, z, add)
				reference.reluGrad(y64, x64, z64, add)
				t.same(y, y64)
			}
			m.relu(y, x)
			reference.relu(y64, x64)
			t.same(y, y64)
			m.relu(x, x)
			t.same(x, y64)
			g.check(t.T)
		}
	})
}

func TestMicroRows(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
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
						t.same(y, y64)
					}
					m.affine2(y, u, v, a, b, d, rows, c, row, add)
					reference.affine2(y64, u64, v64, a64, b64, d64, rows, c, row, add)
					t.same(y, y64)
				}
				sum, dot := g.slice(c), g.slice(c)
				sum64, dot64 := convert[float64](sum), convert[float64](dot)
				for _, floor := range []float64{math.Inf(-1), 0} {
					m.reduce(sum, dot, u, a, v, b, float32(floor), rows, c, row)
					reference.reduce(sum64, dot64, u64, a64, v64, b64, floor, rows, c, row)
					t.same(sum, sum64)
					t.same(dot, dot64)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroBox(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for c := range lengths {
			for cols := 2; cols < 7; cols++ {
				g := newGuarded(uint64(c*10+cols), odd)
				col := c + c%3
				n := (cols-1)*col + c
				y, x := g.slice(n), [3][]float32{g.slice(n), g.slice(n), g.slice(n)}
				y64 := convert[float64](y)
				x64 := [3][]float64{convert[float64](x[0]), convert[float64](x[1]), convert[float64](x[2])}
				for _, add := range []bool{true, false} {
					m.box(y, x, [3]float32{0.5, 0.25, 2}, 1.5, 0.75, cols, c, col, add)
					reference.box(y64, x64, [3]float64{0.5, 0.25, 2}, 1.5, 0.75, cols, c, col, add)
					t.same(y, y64)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroPeak3(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.peak3 == nil {
			return // the loops of other windows are as fast here
		}
		for c := range lengths {
			for cols := 1; cols < 6; cols++ {
				g := newGuarded(uint64(c*10+cols), odd)
				col := c + c%3
				n := max(0, (cols-1)*col+c)
				y, a, b, d := g.slice(n), g.slice(n), g.slice(n), g.slice(n)
				y64 := convert[float64](y)
				m.peak3(y, a, b, d, cols, c, col)
				reference.peak3(y64, convert[float64](a), convert[float64](b), convert[float64](d), cols, c, col)
				t.same(y, y64)
				g.check(t.T)
			}
		}
	})
}

func TestMicroSpread(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.spread == nil {
			return // peakGrad is faster here
		}
		for c := range lengths {
			for cols := 1; cols < 6; cols++ {
				g := newGuarded(uint64(c*10+cols), odd)
				col := c + c%3
				n := max(0, (cols-1)*col+c)
				y, a, b := g.slice(n), g.slice(n), g.slice(n)
				y64 := convert[float64](y)
				for i := range a { // ties
					if i%3 == 0 {
						a[i] = b[i]
					}
				}
				for _, add := range []bool{true, false} {
					m.spread(y, a, b, cols, c, col, add)
					reference.spread(y64, convert[float64](a), convert[float64](b), cols, c, col, add)
					t.same(y, y64)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroPeakGrad(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.peakGrad == nil {
			return // share and spread are faster here
		}
		for c := range lengths {
			for cols := 1; cols < 6; cols++ {
				g := newGuarded(uint64(c*10+cols), odd)
				n := cols * c
				dx, x, below := g.slice(n), g.slice(n), g.slice(n)
				high, mid := g.slice(cols*peakGradPixel(c)), g.slice(cols*peakGradPixel(c))
				for i := range n { // ties
					x[i], below[i] = x[i*5%n], float32(math.Trunc(float64(below[i])))
				}
				for i := range high {
					if i/peakGradGroup%2 == 0 { // maxima are numbers, many of them equal
						high[i], mid[i] = float32(math.Trunc(float64(number(high[i])))), float32(math.Trunc(float64(number(mid[i]))))
					}
				}
				norm := behindNorm[float32]{dy: g.slice(n), a: g.slice(c), b: g.slice(c), d: g.slice(c)}
				norm64 := behindNorm[float64]{dy: convert[float64](norm.dy), a: convert[float64](norm.a),
					b: convert[float64](norm.b), d: convert[float64](norm.d)}
				dx64, x64 := convert[float64](dx), convert[float64](x)
				below64, high64, mid64 := convert[float64](below), convert[float64](high), convert[float64](mid)
				step := func(dx, x []float32, dx64, x64 []float64, norm behindNorm[float32], norm64 behindNorm[float64], add bool) {
					m.peakGrad(dx, x, below, high, mid, norm, cols, c, n, add)
					reference.peakGrad(dx64, x64, below64, high64, mid64, norm64, cols, c, n, add)
					t.same(dx, dx64)
					for i := range cols {
						for ch := range c {
							at := i*peakGradPixel(c) + peakGradAt(ch)
							for _, at := range []int{at, at + peakGradGroup} {
								t.same(high[at:at+1], high64[at:at+1])
								t.same(mid[at:at+1], mid64[at:at+1])
							}
						}
					}
					high, mid, high64, mid64 = mid, high, mid64, high64
				}
				plain, plain64 := behindNorm[float32]{dy: norm.dy}, behindNorm[float64]{dy: norm64.dy}
				for _, add := range []bool{true, false} {
					step(dx, x, dx64, x64, norm, norm64, add)
					step(dx, x, dx64, x64, plain, plain64, add)
					step(nil, nil, nil, nil, norm, norm64, add)
					step(dx, x, dx64, x64, behindNorm[float32]{}, behindNorm[float64]{}, add)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroShare(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.share == nil {
			return
		}
		for n := range lengths {
			g := newGuarded(uint64(n), odd)
			var s [7][]float32
			var s64 [7][]float64
			for i := range s {
				s[i] = g.slice(n)
				if i > 2 && i < 6 { // values are numbers, many of them equal
					for j, v := range s[i] {
						s[i][j] = float32(math.Trunc(float64(number(v))))
					}
				}
				s64[i] = convert[float64](s[i])
			}
			m.share(s[0], s[1], s[2], s[3], s[4], s[5], s[6])
			reference.share(s64[0], s64[1], s64[2], s64[3], s64[4], s64[5], s64[6])
			for i := range 3 {
				t.same(s[i], s64[i])
			}
			g.check(t.T)
		}
	})
}

func TestMicroDepth(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for c := range lengths {
			for cols := range 34 {
				if cols > 8 && c%7 != cols%7 { // all short rows, and every tile of a long one
					continue
				}
				g := newGuarded(uint64(c*100+cols), odd)
				yCol, xCol := c+g.rng.IntN(3), c*(1+g.rng.IntN(2))
				win := g.window(c, 0)
				at, number := win.last()
				n := max(0, (cols-1)*yCol+c)
				y, mask, residual, bias := g.slice(n), g.slice(n), g.slice(n), g.slice(c)
				x, w := g.slice(max(0, (cols-1)*xCol+at+c)), g.slice(number+c)
				mask, residual, bias = g.orNil(2, mask), g.orNil(3, residual), g.orNil(2, bias)
				floor := []float64{0, math.Inf(-1)}[g.rng.IntN(2)]
				o := depthOperands[float32]{y: y, mask: mask, residual: residual, yCol: yCol, x: x, xCol: xCol, w: w,
					window: win, bias: bias, floor: float32(floor), cols: cols, c: c}
				o64 := depthOperands[float64]{y: convert[float64](y), mask: convert[float64](mask),
					residual: convert[float64](residual), yCol: yCol, x: convert[float64](x), xCol: xCol,
					w: convert[float64](w), window: win, bias: convert[float64](bias), floor: floor, cols: cols, c: c}
				m.depth(o)
				reference.depth(o64)
				t.same(y, o64.y)
				o.mask, o.residual, o64.mask, o64.residual = y, y, o64.y, o64.y
				m.depth(o)
				reference.depth(o64)
				t.same(y, o64.y)
				g.check(t.T)
			}
		}
	})
}

func TestMicroDepthPlane(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.depthPlane == nil {
			return // there depth on a padded copy is as fast
		}
		met := make([]bool, 1+len(slides))
		for c := 1; c < lengths; c++ {
			for turn := range 32 {
				g := newGuarded(uint64(c*100+turn), odd)
				kernel, dilation := 1+g.rng.IntN(5), 1+g.rng.IntN(3)
				if turn > 2 { // the usual windows
					kernel, dilation = 3+2*g.rng.IntN(2), 1+g.rng.IntN(2)
				}
				stride, pad := 1+g.rng.IntN(2)*(turn%2), g.rng.IntN((kernel-1)*dilation+2)
				span := (kernel-1)*dilation + 1
				h, width := max(1, span-2*pad)+g.rng.IntN(4), max(1, span-2*pad)+g.rng.IntN(8+turn)
				outH, outW := outExtent(h, kernel, stride, pad, dilation), outExtent(width, kernel, stride, pad, dilation)
				image := gather{c: c, rows: forwardAxis(h, outH, kernel, stride, pad, dilation),
					cols: forwardAxis(width, outW, kernel, stride, pad, dilation)}
				if stride == 1 && turn%4 == 0 {
					image.rows = backwardAxis(h, outH, kernel, stride, pad, dilation)
					image.cols = backwardAxis(width, outW, kernel, stride, pad, dilation)
					outH, outW = image.rows.dest, image.cols.dest
				}
				p := newPlane(image, kernel)
				if !p.fits(m.slideStep) {
					continue // depth is faster there
				}
				met[p.slide] = true
				from := g.rng.IntN(outH)
				rows := 1 + g.rng.IntN(outH-from)
				n := rows * outW * c
				y, mask, residual, bias := g.slice(n), g.slice(n), g.slice(n), g.slice(c)
				x, w := g.slice(image.rows.source*image.cols.source*c), g.slice(kernel*kernel*c)
				mask, residual, bias = g.orNil(2, mask), g.orNil(3, residual), g.orNil(2, bias)
				floor := []float64{0, math.Inf(-1)}[g.rng.IntN(2)]
				x64, w64, y64 := convert[float64](x), convert[float64](w), convert[float64](y)
				m.depthPlane(y, mask, residual, x, w, bias, float32(floor), p, from, rows)
				reference.depthPlane(y64, convert[float64](mask), convert[float64](residual), x64, w64, convert[float64](bias),
					floor, p, from, rows)
				t.same(y, y64)
				m.depthPlane(y, y, y, x, w, bias, float32(floor), p, from, rows)
				reference.depthPlane(y64, y64, y64, x64, w64, convert[float64](bias), floor, p, from, rows)
				t.same(y, y64)
				g.check(t.T)
			}
		}
		for slide, ok := range met {
			if !ok && (slide > 0 || m.slideStep == 0) {
				t.Errorf("no plane of slide %d", slide)
			}
		}
	})
}

func TestMicroTapsGrad(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for c := range lengths {
			for taps := range 28 {
				g := newGuarded(uint64(c*100+taps), odd)
				rows, cols := g.rng.IntN(4), g.rng.IntN(7)
				xCol, dyCol := c*(1+g.rng.IntN(2)), c+g.rng.IntN(3)
				xRow, dyRow := cols*xCol+g.rng.IntN(9), cols*dyCol+g.rng.IntN(9)
				xoff := g.offsets(taps, 3*c)
				woff := make([]int, taps)
				for i, at := range g.rng.Perm(taps) {
					woff[i] = at * (c + 1)
				}
				dw := g.slice(taps * (c + 1))
				x := g.slice(max(0, (rows-1)*xRow+(cols-1)*xCol+last(xoff)+c))
				dy := g.slice(max(0, (rows-1)*dyRow+(cols-1)*dyCol+c))
				dw64 := convert[float64](dw)
				m.tapsGrad(tapsOperands[float32]{dw, woff, x, xRow, xCol, xoff, dy, dyRow, dyCol, rows, cols, c})
				reference.tapsGrad(tapsOperands[float64]{dw64, woff, convert[float64](x), xRow, xCol, xoff,
					convert[float64](dy), dyRow, dyCol, rows, cols, c})
				t.same(dw, dw64)
				g.check(t.T)
			}
		}
	})
}

// TestMicroTapsGradSlides: rows of taps that are one or two pixels apart, their
// weights ascending or descending.
func TestMicroTapsGradSlides(t *testing.T) {
	windows := []struct{ rows, run, apart int }{{3, 3, 1}, {3, 3, 2}, {5, 5, 1}, {5, 5, 2}, {1, 3, 1}, {4, 3, 2},
		{6, 5, 1}, {2, 2, 1}, {2, 4, 2}, {1, 7, 1}}
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for c := 1; c <= 40; c++ {
			for cols := 1; cols <= 20; cols++ {
				for k, win := range windows {
					if (c+cols)%10 != k && (k > 3 || (c+cols+k)%2 == 0) { // the usual windows, and some others
						continue
					}
					g := newGuarded(uint64(c*1000+cols*10+k), odd)
					rows := 1 + g.rng.IntN(4)
					xCol, dyCol := c*(1+g.rng.IntN(2)), c+g.rng.IntN(3)
					step := win.apart * xCol
					xRow, dyRow := (cols-1)*xCol+(win.run-1)*step+c+g.rng.IntN(9), cols*dyCol+g.rng.IntN(9)
					taps := win.rows * win.run
					xoff, woff := make([]int, taps), make([]int, taps)
					mirrored := g.rng.IntN(2) == 0 // as where the roles of x and dy are exchanged
					for i := range taps {
						xoff[i], woff[i] = 5+i/win.run*win.apart*xRow+i%win.run*step, i*(c+1)
						if mirrored {
							woff[i] = (taps - 1 - i) * (c + 1)
						}
					}
					if g.rng.IntN(8) == 0 && taps > win.run { // a row that does not go on as the others
						xoff[taps-1], woff[win.run] = xoff[taps-1]-1, woff[win.run]+1
					}
					dw := g.slice(last(woff) + c)
					x := g.slice((rows-1)*xRow + (cols-1)*xCol + last(xoff) + c)
					dy := g.slice((rows-1)*dyRow + (cols-1)*dyCol + c)
					dw64 := convert[float64](dw)
					m.tapsGrad(tapsOperands[float32]{dw, woff, x, xRow, xCol, xoff, dy, dyRow, dyCol, rows, cols, c})
					reference.tapsGrad(tapsOperands[float64]{dw64, woff, convert[float64](x), xRow, xCol, xoff,
						convert[float64](dy), dyRow, dyCol, rows, cols, c})
					t.same(dw, dw64)
					g.check(t.T)
				}
			}
		}
	})
}

func TestMicroPool(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for c := range lengths {
			for cols := range 18 {
				g := newGuarded(uint64(c*100+cols), odd)
				col, xCol := c+g.rng.IntN(3), c*(1+g.rng.IntN(2))
				win := g.window(c, 1)
				at, _ := win.last()
				x := g.slice(max(0, (cols-1)*xCol+at+c))
				x64 := convert[float64](x)
				y, from := g.slice(max(0, (cols-1)*col+c)), g.slice(max(0, (cols-1)*col+c))
				y64, from64 := convert[float64](y), convert[float64](from)
				m.peak(y, col, x, xCol, win, cols, c)
				reference.peak(y64, col, x64, xCol, win, cols, c)
				t.same(y, y64)
				m.pick(from, col, x, xCol, win, cols, c)
				reference.pick(from64, col, x64, xCol, win, cols, c)
				t.same(from, from64)

				win.rows -= g.rng.IntN(2)
				dy, picks := g.slice(len(x)), g.slice(len(x))
				for i := range picks {
					picks[i] = float32(win.number + g.rng.IntN(4)*win.numberCol)
				}
				for _, add := range []bool{true, false} {
					m.pickGrad(y, col, dy, picks, xCol, win, cols, c, add)
					reference.pickGrad(y64, col, convert[float64](dy), convert[float64](picks), xCol, win, cols, c, add)
					t.same(y, y64)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroConv(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
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
						m.conv(convOperands[float32]{y, k, r, yoff, x, xoff, segs, seglen, w, bias, float32(floor)})
						reference.conv(convOperands[float64]{y64, convert[float64](k), convert[float64](r), yoff, x64, xoff, segs,
							seglen, w64, bias64, floor})
						t.same(y, y64)
					}
				}
			}
			if pixels == 0 {
				continue
			}
			// In place: pixels that are repeated get the residual once.
			m.conv(convOperands[float32]{y, y, y, yoff, x, xoff, segs, seglen, w, bias, 0})
			before := clone(y64)
			reference.conv(convOperands[float64]{y64, before, before, yoff, x64, xoff, segs, seglen, w64, bias64, 0})
			t.same(y, y64)
			g.check(t.T)
		}
	})
}

func TestMicroOuter(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
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
				t.same(dw, want)
				g.check(t.T)
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
