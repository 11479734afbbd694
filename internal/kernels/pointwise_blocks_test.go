// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"slices"
	"testing"
)

// TestPointBlocks: the blocks have every channel, vectors overlap only within a
// block, and a block has one vector only if there is but one.
func TestPointBlocks(t *testing.T) {
	for n := pointVector; n < 200; n++ {
		times := make([]int, n)
		for i, b := range pointBlocks(n) {
			if b.vectors == 1 && n > pointVector || b.first < 0 || i > 0 && slices.Max(times[b.first:]) > 0 {
				t.Errorf("%d channels: block %+v", n, b)
			}
			for v := range b.vectors {
				for l := range pointVector {
					times[b.channel(v)+l]++
				}
			}
		}
		if slices.Min(times) == 0 {
			t.Errorf("%d channels: %v", n, times)
		}
	}
}

func TestMicroPoint(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.point == nil {
			return
		}
		for n := pointVector; n < lengths; n++ {
			for round := range 4 {
				g := newGuarded(uint64(n*10+round), odd)
				pixels, depth := 1+g.rng.IntN(12), 1+g.rng.IntN(20)
				xCol, yCol := depth+g.rng.IntN(3), n+g.rng.IntN(3)
				blocks := pointBlocks(n)
				x, w := g.slice((pixels-1)*xCol+depth), g.slice(blocksWide(blocks)*depth)
				p := pointwise{in: depth, out: n, blocks: blocks}
				packPointwise(&p, w, g.slice(depth*n), n, 1) // what overlaps is the same
				y, mask := g.slice((pixels-1)*yCol+n), g.orNil(2, g.slice((pixels-1)*yCol+n))
				residual := g.orNil(2, g.slice((pixels-1)*yCol+n))
				y64, x64, w64 := convert[float64](y), convert[float64](x), convert[float64](w)
				m.point(y, mask, residual, yCol, x, xCol, w, blocks, pixels, depth)
				reference.point(y64, convert[float64](mask), convert[float64](residual), yCol, x64, xCol, w64, blocks, pixels,
					depth)
				t.same(y, y64)
				m.point(y, y, y, yCol, x, xCol, w, blocks, pixels, depth)
				reference.point(y64, y64, y64, yCol, x64, xCol, w64, blocks, pixels, depth)
				t.same(y, y64)
				g.check(t.T)
			}
		}
	})
}

// TestPointIsConv compares the portable loop with the definition.
func TestPointIsConv(t *testing.T) {
	for _, n := range []int{8, 13, 36, 52} {
		const pixels, depth = 3, 5
		p := pointwise{in: depth, out: n, blocks: pointBlocks(n)}
		x, weights := random[float64](1, pixels*depth), random[float64](2, depth*n)
		w, y, want := make([]float64, p.packedLen()), make([]float64, pixels*n), make([]float64, pixels*n)
		packPointwise(&p, w, weights, n, 1)
		reference.point(y, nil, nil, n, x, depth, w, p.blocks, pixels, depth)
		for i := range want {
			for k := range depth {
				want[i] += x[i/n*depth+k] * weights[k*n+i%n]
			}
		}
		if !slices.Equal(y, want) {
			t.Errorf("%d channels: %v, want %v", n, y, want)
		}
	}
}

func TestMicroLay(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.lay == nil {
			return
		}
		for c := range lengths {
			for rows := range 4 {
				g := newGuarded(uint64(c*10+rows), odd)
				xRow, yRow := c+c%3, c+c%2
				x, y := g.slice(max(0, (rows-1)*xRow+c)), g.slice(max(0, (rows-1)*yRow+c))
				for _, floor := range []float64{0, math.Inf(-1)} {
					y64 := convert[float64](y)
					m.lay(y, yRow, x, xRow, float32(floor), rows, c)
					reference.lay(y64, yRow, convert[float64](x), xRow, floor, rows, c)
					t.same(y, y64)
				}
				g.check(t.T)
			}
		}
	})
}

func TestMicroPointGrad(t *testing.T) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		if m.pointGrad == nil {
			return
		}
		for out := pointVector; out < lengths; out++ {
			for n := 0; n < 24; n += pointRows {
				g := newGuarded(uint64(out*100+n), odd)
				pixels := g.rng.IntN(9)
				xCol, dyCol := max(1, n-g.rng.IntN(3)), out+g.rng.IntN(3)
				blocks := pointBlocks(out)
				x, dy := g.slice(max(0, (pixels-1)*xCol+n)), g.slice(max(0, (pixels-1)*dyCol+out))
				dw := g.slice(n * blocksWide(blocks))
				dw64 := convert[float64](dw)
				m.pointGrad(dw, n, x, xCol, dy, dyCol, blocks, pixels)
				reference.pointGrad(dw64, n, convert[float64](x), xCol, convert[float64](dy), dyCol, blocks, pixels)
				t.same(dw, dw64)
				g.check(t.T)
			}
		}
	})
}
