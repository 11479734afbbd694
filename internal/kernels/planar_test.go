// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"testing"
)

// planarConv is the layout that docs/adr/0002 decided against: a dense
// convolution of stride 1 with same padding on N,C,H,W images. Weights are
// [Out][In][k][k]. Vectors hold 16 pixels of a plane, so a column matrix
// [In·k·k][16] is gathered for every 16 pixels; then the same inner loop as
// [Conv]'s multiplies it, with channels in the part of pixels.
type planarConv struct {
	ConvShape
	X, Weights, Y []float32

	padded, columns, bias []float32
	out                   []int // offsets of the output channels' weights, rows of a whole tile
	planes                []int // offsets of their planes
}

func newPlanarConv(s ConvShape, x, w, y []float32) *planarConv {
	c := &planarConv{ConvShape: s, X: x, Weights: w, Y: y}
	c.padded = make([]float32, s.In*(s.H+2*s.Pad)*(s.W+2*s.Pad))
	c.columns = make([]float32, s.In*s.Kernel*s.Kernel*panel)
	c.bias = make([]float32, panel)
	for o := 0; o < s.Out || o%micro32.convRows != 0; o++ {
		c.out = append(c.out, min(o, s.Out-1)*s.In*s.Kernel*s.Kernel)
		c.planes = append(c.planes, min(o, s.Out-1)*s.H*s.W)
	}
	return c
}

func (c *planarConv) Run(*Workers) {
	wide := c.W + 2*c.Pad
	segs := []int{0}
	for n := range c.N {
		for i := range c.In {
			for r := range c.H {
				copy(c.padded[(i*(c.H+2*c.Pad)+r+c.Pad)*wide+c.Pad:], c.X[((n*c.In+i)*c.H+r)*c.W:][:c.W])
			}
		}
		for first := 0; first < c.H*c.W; first += panel {
			to := c.columns
			for i := range c.In {
				for kr := range c.Kernel {
					for kc := range c.Kernel {
						for p := 0; p < panel; {
							r, col := (first+p)/c.W, (first+p)%c.W
							p += copy(to[p:panel], c.padded[(i*(c.H+2*c.Pad)+r+kr)*wide+col+kc:][:c.W-col])
						}
						to = to[panel:]
					}
				}
			}
			micro32.conv(convOperands[float32]{y: c.Y[n*c.Out*c.H*c.W+first:], yoff: c.planes, x: c.Weights, xoff: c.out,
				segs: segs, seglen: c.In * c.Kernel * c.Kernel, w: c.columns, bias: c.bias, floor: floorOf[float32](false)})
		}
	}
}

var planarShapes = []ConvShape{
	{N: 1, H: 32, W: 32, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 16, W: 16, In: 32, Out: 32, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 8, W: 8, In: 64, Out: 64, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 8, W: 8, In: 64, Out: 64, Kernel: 1, Stride: 1},
}

// TestPlanarConv: the two layouts that are compared compute the same.
func TestPlanarConv(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range planarShapes {
			s.N = 2
			x, w := random[float32](1, s.xLen()), random[float32](2, s.weightsLen())
			planar := newPlanarConv(s, x, w, make([]float32, s.yLen()))
			planar.Run(nil)
			c := &Conv[float32]{ConvShape: s, X: make([]float32, len(x)), Weights: make([]float32, len(w)),
				Y: make([]float32, s.yLen())}
			NCHWToNHWC(c.X, x, s.N, s.In, s.H*s.W)
			OIHWToHWIO(c.Weights, w, s.Out, s.In, s.Kernel)
			c.Scratch = make([]float32, c.ScratchLen(1))
			run(c)
			back := make([]float32, s.yLen())
			NHWCToNCHW(back, c.Y, s.N, s.Out, s.H*s.W)
			near(t, "planar Y", planar.Y, convert[float64](back), tolerance[float32]())
		}
	})
}

func BenchmarkLayout(b *testing.B) {
	for _, s := range planarShapes {
		name := fmt.Sprintf("h=%d/c=%d/k=%d", s.H, s.In, s.Kernel)
		x, w, y := random[float32](1, s.xLen()), random[float32](2, s.weightsLen()), make([]float32, s.yLen())
		benchmark(b, "layout=nhwc/"+name, s.work(), 0, func() Kernel {
			c := &Conv[float32]{ConvShape: s, X: x, Packed: make([]float32, s.PackedLen()), Y: y}
			PackConv(s, c.Packed, w)
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
		benchmark(b, "layout=nchw/"+name, s.work(), 0, func() Kernel { return newPlanarConv(s, x, w, y) })
	}
}
