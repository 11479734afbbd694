// SPDX-License-Identifier: Apache-2.0

package opstest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// Case is a network in training form with its weights.
type Case struct {
	Name    string
	Graph   *ops.Graph
	Weights ops.Weights
}

// Cases returns small networks: every primitive and every operation of
// [ops.Catalogue] at several shapes, and random networks of many primitives.
// Convolutions are dense or depthwise. It is the same list at every call.
func Cases() []Case {
	var cases []Case
	add := func(name string, s ops.Shape, build func(b ops.Builder, x ops.Value) ops.Value) {
		b, x := ops.NewBuilder(s)
		g, err := b.Finish(build(b, x))
		if err != nil {
			panic(fmt.Sprintf("opstest: case %s: %v", name, err))
		}
		cases = append(cases, Case{name, g, Weights(g, uint64(len(cases)))})
	}
	primitives(add)
	patterns(add)
	operations(add)
	for i := range 40 {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		s := ops.Shape{N: 1 + rng.IntN(2), C: 1 + rng.IntN(9), H: 5 + rng.IntN(5), W: 5 + rng.IntN(5)}
		add(fmt.Sprintf("random/%d", i), s, func(b ops.Builder, x ops.Value) ops.Value { return random(b, x, rng) })
	}
	return cases
}

type adder func(name string, s ops.Shape, build func(b ops.Builder, x ops.Value) ops.Value)

// primitives adds every primitive at several shapes.
func primitives(add adder) {
	type value = ops.Value
	image := ops.Shape{N: 2, C: 5, H: 7, W: 9}
	add("input", image, func(_ ops.Builder, x value) value { return x })
	for _, c := range []struct{ n, in, out, h, w, kernel, stride, pad, dilation int }{
		{1, 1, 1, 1, 1, 1, 1, 0, 1},
		{1, 16, 16, 8, 8, 1, 1, 0, 1},
		{2, 3, 16, 9, 7, 1, 2, 0, 1},
		{1, 17, 33, 5, 5, 1, 1, 0, 1},
		{1, 3, 16, 12, 12, 3, 1, 1, 1},
		{2, 16, 32, 8, 8, 3, 2, 1, 1},
		{1, 16, 8, 7, 5, 3, 2, 1, 1},
		{1, 7, 9, 6, 8, 3, 1, 0, 1},
		{1, 8, 8, 9, 9, 3, 1, 2, 2},
		{1, 8, 8, 9, 9, 3, 2, 2, 2},
		{1, 4, 24, 2, 2, 3, 1, 1, 1}, // smaller than its kernel
		{1, 33, 17, 7, 7, 5, 1, 2, 1},
		{1, 1, 6, 10, 10, 5, 2, 4, 2},
		{1, 2, 3, 11, 9, 7, 2, 3, 1},
		{1, 3, 4, 8, 8, 2, 2, 0, 1},
		{3, 40, 10, 4, 4, 4, 4, 0, 1},
	} {
		s := ops.Shape{N: c.n, C: c.in, H: c.h, W: c.w}
		w := ops.Window{Kernel: c.kernel, Stride: c.stride, Pad: c.pad, Dilation: c.dilation}
		where := fmt.Sprintf("%v/k=%d/s=%d/p=%d/d=%d", s, c.kernel, c.stride, c.pad, c.dilation)
		for _, bias := range []bool{false, true} {
			add(fmt.Sprintf("conv/%s/out=%d/bias=%v", where, c.out, bias), s, func(b ops.Builder, x value) value {
				return b.Conv("y", x, c.out, w, 1, bias)
			})
			add(fmt.Sprintf("depthwise/%s/bias=%v", where, bias), s, func(b ops.Builder, x value) value {
				return b.Conv("y", x, c.in, w, c.in, bias)
			})
		}
	}
	for _, c := range []struct{ n, in, out, h, w, kernel, stride, dilation, crop int }{
		{1, 1, 1, 2, 2, 1, 1, 1, 1},
		{2, 16, 8, 8, 6, 1, 2, 1, 1},
		{1, 3, 17, 9, 7, 1, 2, 1, 1},
		{2, 5, 4, 9, 8, 3, 2, 1, 1},
		{1, 4, 4, 9, 11, 3, 1, 2, 3},
	} {
		s := ops.Shape{N: c.n, C: c.in, H: c.h, W: c.w}
		w := ops.Window{Kernel: c.kernel, Stride: c.stride, Dilation: c.dilation, Crop: c.crop}
		name := fmt.Sprintf("cropped conv/%v/k=%d/s=%d/d=%d/crop=%d", s, c.kernel, c.stride, c.dilation, c.crop)
		add(name, s, func(b ops.Builder, x value) value { return b.Conv("y", x, c.out, w, 1, false) })
	}
	for _, p := range []struct{ kernel, stride, pad int }{
		{2, 2, 0}, {3, 1, 1}, {3, 2, 1}, {5, 3, 2}, {3, 1, 0}, {2, 1, 1}, {1, 2, 0},
	} {
		w := ops.Window{Kernel: p.kernel, Stride: p.stride, Pad: p.pad, Dilation: 1}
		for _, s := range []ops.Shape{image, {N: 1, C: 16, H: 8, W: 8}, {N: 1, C: 1, H: 3, W: 3}} {
			where := fmt.Sprintf("%v/k=%d/s=%d/p=%d", s, w.Kernel, w.Stride, w.Pad)
			if w.Out(s.H) < 1 {
				continue
			}
			add("maxpool/"+where, s, func(b ops.Builder, x value) value { return b.MaxPool("y", x, w) })
			add("avgpool/"+where, s, func(b ops.Builder, x value) value { return b.AvgPool("y", x, w) })
		}
	}
	for _, s := range []ops.Shape{image, {N: 1, C: 64, H: 4, W: 4}, {N: 3, C: 1, H: 1, W: 1}} {
		on := "/" + s.String()
		add("batchnorm/affine=true"+on, s, func(b ops.Builder, x value) value { return b.BatchNorm("y", x, true) })
		add("batchnorm/affine=false"+on, s, func(b ops.Builder, x value) value { return b.BatchNorm("y", x, false) })
		add("relu"+on, s, func(b ops.Builder, x value) value { return b.ReLU("y", x) })
		add("add/inputs=1"+on, s, func(b ops.Builder, x value) value { return b.Add("y", x) })
		add("add/inputs=2"+on, s, func(b ops.Builder, x value) value { return b.Add("y", x, b.ReLU("relu", x)) })
		add("add/inputs=3"+on, s, func(b ops.Builder, x value) value {
			r := b.ReLU("relu", x)
			return b.Add("y", r, x, r)
		})
		add("concat/inputs=1"+on, s, func(b ops.Builder, x value) value { return b.Concat("y", x) })
		add("concat/inputs=4"+on, s, func(b ops.Builder, x value) value {
			r := b.ReLU("relu", x)
			return b.Concat("y", r, x, b.Conv("conv", x, 3, ops.Same(1, 1, 1), 1, true), r)
		})
		add("zero/s=1"+on, s, func(b ops.Builder, x value) value { return b.Zero("y", x, 1) })
		add("zero/s=2"+on, s, func(b ops.Builder, x value) value { return b.Zero("y", x, 2) })
		add("globalavgpool"+on, s, func(b ops.Builder, x value) value { return b.GlobalAvgPool("y", x) })
		add("linear/out=10"+on, s, func(b ops.Builder, x value) value {
			return b.Linear("y", b.GlobalAvgPool("pool", x), 10)
		})
	}
}

// patterns adds what fusing looks for, and what looks like it but must be left
// alone.
func patterns(add adder) {
	for _, p := range slices.Concat(normPatterns, sumPatterns, concatPatterns, zeroPatterns) {
		add("pattern/"+p.name, ops.Shape{N: 2, C: 5, H: 6, W: 7}, p.build)
	}
}

type pattern struct {
	name  string
	build func(b ops.Builder, x ops.Value) ops.Value
}

// conv records a 3×3 convolution that keeps the shape.
func conv(b ops.Builder, name string, x ops.Value) ops.Value {
	return b.Conv(name, x, b.Shape(x).C, ops.Same(3, 1, 1), 1, false)
}

// pool records a 3×3 pooling that keeps the shape.
func pool(b ops.Builder, name string, x ops.Value) ops.Value {
	return b.AvgPool(name, x, ops.Same(3, 1, 1))
}

var normPatterns = []pattern{
	{"conv bn relu", func(b ops.Builder, x ops.Value) ops.Value {
		return b.ReLU("relu", b.BatchNorm("bn", conv(b, "conv", x), true))
	}},
	{"conv with bias, bn", func(b ops.Builder, x ops.Value) ops.Value {
		return b.BatchNorm("bn", b.Conv("conv", x, 7, ops.Same(1, 1, 1), 1, true), true)
	}},
	{"conv bn bn", func(b ops.Builder, x ops.Value) ops.Value {
		return b.BatchNorm("bn2", b.BatchNorm("bn1", conv(b, "conv", x), true), false)
	}},
	{"conv relu bn", func(b ops.Builder, x ops.Value) ops.Value {
		return b.BatchNorm("bn", b.ReLU("relu", conv(b, "conv", x)), true)
	}},
	{"conv read before its bn", func(b ops.Builder, x ops.Value) ops.Value {
		y := conv(b, "conv", x)
		return b.Add("add", y, b.BatchNorm("bn", y, true))
	}},
	{"bn relu pool", func(b ops.Builder, x ops.Value) ops.Value {
		return pool(b, "pool", b.ReLU("relu", b.BatchNorm("bn", x, true)))
	}},
	{"relu relu", func(b ops.Builder, x ops.Value) ops.Value { return b.ReLU("relu2", b.ReLU("relu1", x)) }},
	{"relu read by two convs", func(b ops.Builder, x ops.Value) ops.Value {
		r := b.ReLU("relu", x)
		return b.Add("add", conv(b, "conv1", r), conv(b, "conv2", r))
	}},
	{"relu read by conv and sum", func(b ops.Builder, x ops.Value) ops.Value {
		r := b.ReLU("relu", b.BatchNorm("bn", x, true))
		return b.Add("add", conv(b, "conv", r), r)
	}},
	{"relu of a value read elsewhere", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.BatchNorm("bn", conv(b, "conv", x), true)
		return b.Add("add", b.ReLU("relu", y), y)
	}},
}

var sumPatterns = []pattern{
	{"separable conv", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Conv("depthwise", b.ReLU("relu", x), b.Shape(x).C, ops.Same(3, 1, 2), b.Shape(x).C, false)
		return b.BatchNorm("bn", b.Conv("pointwise", y, 6, ops.Same(1, 1, 1), 1, false), true)
	}},
	{"depthwise takes sum and relu", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Conv("depthwise", b.ReLU("relu", x), b.Shape(x).C, ops.Same(5, 1, 1), b.Shape(x).C, false)
		return b.ReLU("out", b.Add("add", b.BatchNorm("bn", y, true), x))
	}},
	{"sum of conv, pool and skip", func(b ops.Builder, x ops.Value) ops.Value {
		return b.Add("add", x, conv(b, "conv", x), pool(b, "pool", x))
	}},
	{"relu after a sum that ends in a conv", func(b ops.Builder, x ops.Value) ops.Value {
		return b.ReLU("relu", b.Add("add", pool(b, "pool", x), x, conv(b, "conv", x)))
	}},
	{"relu after a sum that ends in a pool", func(b ops.Builder, x ops.Value) ops.Value {
		return b.ReLU("relu", b.Add("add", conv(b, "conv", x), b.MaxPool("pool", x, ops.Same(3, 1, 1))))
	}},
	{"relu after a sum of skips", func(b ops.Builder, x ops.Value) ops.Value {
		return b.ReLU("relu", b.Add("add", x, b.BatchNorm("bn", x, true), x))
	}},
	{"sum of one conv twice", func(b ops.Builder, x ops.Value) ops.Value {
		y := conv(b, "conv", x)
		return b.Add("add", y, y)
	}},
	{"sum of sums", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Add("add1", conv(b, "conv1", x), x)
		return b.Add("add2", conv(b, "conv2", y), y, pool(b, "pool", y))
	}},
	{"residual chain", func(b ops.Builder, x ops.Value) ops.Value {
		for i := range 4 {
			b := b.Scope(fmt.Sprint(i))
			x = b.Add("add", x, ops.ReLUConvBN(b, x, 3, ops.Config{Channels: b.Shape(x).C, Stride: 1, Affine: true}))
		}
		return x
	}},
}

var concatPatterns = []pattern{
	{"bn after a concatenation of convs", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Concat("concat", conv(b, "conv1", x), b.Conv("conv2", x, 3, ops.Same(1, 1, 1), 1, true))
		return b.BatchNorm("bn2", b.BatchNorm("bn1", y, true), false)
	}},
	{"bn after a concatenation of concatenations", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Concat("concat1", b.BatchNorm("bn1", conv(b, "conv1", x), true), conv(b, "conv2", x))
		return b.BatchNorm("bn2", b.Concat("concat2", conv(b, "conv3", x), y, conv(b, "conv4", x)), true)
	}},
	{"bn after a concatenation of conv and skip", func(b ops.Builder, x ops.Value) ops.Value {
		return b.BatchNorm("bn", b.Concat("concat", x, conv(b, "conv", x)), true)
	}},
	{"bn after a concatenation of one conv twice", func(b ops.Builder, x ops.Value) ops.Value {
		y := conv(b, "conv", x)
		return b.BatchNorm("bn", b.Concat("concat", y, y), true)
	}},
	{"relu and sum after a concatenation", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.BatchNorm("bn", b.Concat("concat", conv(b, "conv1", x), conv(b, "conv2", x)), true)
		z := b.BatchNorm("bn2", b.Concat("concat2", conv(b, "conv3", x), conv(b, "conv4", x)), true)
		return b.Add("add", pool(b, "pool", y), b.ReLU("relu", z), y)
	}},
	{"concatenation of sums, read by convs behind a relu", func(b ops.Builder, x ops.Value) ops.Value {
		y := b.Concat("concat", b.Add("add1", x, conv(b, "conv1", x)), x, b.Add("add2", x, pool(b, "pool", x)))
		return b.Add("add3", conv(b, "conv2", b.ReLU("relu1", y)), conv(b, "conv3", b.ReLU("relu2", y)))
	}},
}

var zeroPatterns = []pattern{
	{"zeros in a concatenation", func(b ops.Builder, x ops.Value) ops.Value {
		return conv(b, "conv", b.Concat("concat", x, b.Zero("zero", x, 1)))
	}},
	{"zeros in sums", func(b ops.Builder, x ops.Value) ops.Value {
		z := b.Zero("zero", x, 1)
		return b.Add("add3", b.Add("add1", z, x, z), b.Add("add2", z, z), conv(b, "conv", x))
	}},
	{"conv of zeros", func(b ops.Builder, x ops.Value) ops.Value {
		return b.BatchNorm("bn", conv(b, "conv", b.Zero("zero", x, 2)), true)
	}},
	{"map as output", func(b ops.Builder, x ops.Value) ops.Value {
		return b.Add("add", x, b.ReLU("relu", x))
	}},
}

// operations adds every operation of the catalogue at several shapes.
func operations(add adder) {
	for _, op := range ops.Catalogue {
		for _, s := range []ops.Shape{{N: 1, C: 16, H: 8, W: 8}, {N: 2, C: 3, H: 7, W: 5}} {
			for _, c := range []ops.Config{
				{Channels: s.C, Stride: 1, Affine: true},
				{Channels: s.C, Stride: 1, Affine: false},
				{Channels: s.C, Stride: 2, Affine: true},
			} {
				if op.Name() == ops.SkipConnect && c.Stride > 1 && s.H%2 != 0 {
					continue // a factorised reduce takes even extents only
				}
				name := fmt.Sprintf("op/%s/%v/s=%d/affine=%v", op.Name(), s, c.Stride, c.Affine)
				add(name, s, func(b ops.Builder, x ops.Value) ops.Value { return op.Build(b, x, c) })
			}
		}
	}
}

// random records primitives on values drawn from those recorded so far. Values
// that nothing has read at the end go through a linear layer into the output.
func random(b ops.Builder, x ops.Value, rng *rand.Rand) ops.Value {
	values, unread := []ops.Value{x}, map[ops.Value]bool{}
	for i := range 4 + rng.IntN(20) {
		b := b.Scope(fmt.Sprint("n", i))
		from := len(values) - 1 - rng.IntN(min(len(values), 4)) // recent ones, so that it grows deep
		x, y := values[from], ops.Value(0)
		delete(unread, x)
		c, stride, dilation := b.Shape(x).C, 1+rng.IntN(6)/5, 1+rng.IntN(2)
		switch rng.IntN(10) {
		case 0, 1:
			y = b.Conv("conv", x, 1+rng.IntN(12), ops.Same(1+2*rng.IntN(2), stride, dilation), 1, rng.IntN(2) == 0)
		case 2:
			y = b.Conv("depthwise", x, c, ops.Same(3, stride, dilation), c, false)
		case 3:
			y = b.BatchNorm("bn", x, rng.IntN(2) == 0)
		case 4:
			y = b.ReLU("relu", x)
		case 5:
			y = b.MaxPool("maxpool", x, ops.Same(3, stride, 1))
		case 6:
			y = b.AvgPool("avgpool", x, ops.Same(3, stride, 1))
		case 7:
			y = ops.ReLUConvBN(b, x, 3, ops.Config{Channels: c, Stride: 1, Affine: true})
		default:
			concat := rng.IntN(3) == 0
			xs := []ops.Value{x}
			for _, v := range values {
				s, want := b.Shape(v), b.Shape(x)
				if concat {
					s.C = want.C
				}
				if s == want && len(xs) < 4 && rng.IntN(2) == 0 {
					xs = append(xs, v)
					delete(unread, v)
				}
			}
			if concat {
				y = b.Concat("concat", xs...)
			} else {
				y = b.Add("add", xs...)
			}
		}
		values, unread[y] = append(values, y), true
	}
	var ends []ops.Value
	for _, v := range values {
		if unread[v] {
			b := b.Scope(fmt.Sprint("end", len(ends)))
			ends = append(ends, b.Linear("linear", b.GlobalAvgPool("pool", v), 4))
		}
	}
	return b.Add("sum", ends...)
}
