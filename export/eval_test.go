// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/onnx"
)

// array is a tensor while a model is computed.
type array struct {
	dims []int
	data []float64
}

func zeros(dims ...int) array {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return array{dims, make([]float64, n)}
}

// evaluate computes an exported model on one batch as the ONNX operators are
// defined: one loop an axis, float64, no regard for speed, nothing shared with
// package ops.
func evaluate(m *onnx.Model, x []float32, batch int) (logits array, err error) {
	values := map[string]array{}
	in := zeros(batch, m.Inputs[0].Dims[1].Size, m.Inputs[0].Dims[2].Size, m.Inputs[0].Dims[3].Size)
	for i, v := range x {
		in.data[i] = float64(v)
	}
	values[m.Inputs[0].Name] = in
	for _, t := range m.Initializers {
		a := zeros(t.Dims...)
		for i, v := range t.Floats {
			a.data[i] = float64(v)
		}
		for i, v := range t.Ints {
			a.data[i] = float64(v)
		}
		values[t.Name] = a
	}
	for _, n := range m.Nodes {
		var in []array
		for _, name := range n.Inputs {
			in = append(in, values[name])
		}
		y, err := apply(n, in)
		if err != nil {
			return array{}, err
		}
		values[n.Outputs[0]] = y
	}
	return values[m.Outputs[0].Name], nil
}

func apply(n onnx.Node, in []array) (array, error) {
	x := in[0]
	switch n.OpType {
	case "Conv":
		return convolve(n, x, in[1], in[2:]), nil
	case "BatchNormalization":
		y := zeros(x.dims...)
		per := len(x.data) / (x.dims[0] * x.dims[1])
		for i, v := range x.data {
			c := i / per % x.dims[1]
			deviation := math.Sqrt(in[4].data[c] + float64(n.Attrs["epsilon"].Float))
			y.data[i] = in[1].data[c]*(v-in[3].data[c])/deviation + in[2].data[c]
		}
		return y, nil
	case "Relu":
		y := zeros(x.dims...)
		for i, v := range x.data {
			y.data[i] = max(0, v)
		}
		return y, nil
	case "MaxPool", "AveragePool":
		return pool(n, x), nil
	case "Add", "Sum":
		y := zeros(x.dims...)
		for _, a := range in {
			if !slices.Equal(a.dims, x.dims) {
				return y, fmt.Errorf("sum of %v and %v", x.dims, a.dims)
			}
			for i, v := range a.data {
				y.data[i] += v
			}
		}
		return y, nil
	case "Concat":
		channels := 0
		for _, a := range in {
			channels += a.dims[1]
		}
		y := zeros(x.dims[0], channels, x.dims[2], x.dims[3])
		y.data = y.data[:0]
		for image := range x.dims[0] {
			for _, a := range in {
				per := len(a.data) / a.dims[0]
				y.data = append(y.data, a.data[image*per:][:per]...)
			}
		}
		return y, nil
	case "Slice":
		first, end := []int{0, 0, 0, 0}, slices.Clone(x.dims)
		for i, axis := range in[3].data {
			first[int(axis)], end[int(axis)] = int(in[1].data[i]), int(in[2].data[i])
		}
		y := zeros(x.dims[0], x.dims[1], end[2]-first[2], end[3]-first[3])
		for at := range y.data {
			w, h := y.dims[3], y.dims[2]
			y.data[at] = x.pixel(at/(w*h*y.dims[1]), at/(w*h)%y.dims[1], at/w%h+first[2], at%w+first[3])
		}
		return y, nil
	case "GlobalAveragePool":
		y := zeros(x.dims[0], x.dims[1], 1, 1)
		per := len(x.data) / len(y.data)
		for i, v := range x.data {
			y.data[i/per] += v / float64(per)
		}
		return y, nil
	case "Flatten":
		return array{[]int{x.dims[0], len(x.data) / x.dims[0]}, x.data}, nil
	case "Gemm":
		w, b := in[1], in[2]
		y := zeros(x.dims[0], w.dims[0])
		for i := range y.data {
			row, out := i/w.dims[0], i%w.dims[0]
			y.data[i] = b.data[out]
			for j := range w.dims[1] {
				y.data[i] += x.data[row*w.dims[1]+j] * w.data[out*w.dims[1]+j]
			}
		}
		return y, nil
	}
	return array{}, fmt.Errorf("no operator %s", n.OpType)
}

// windows is how a kernel moves: f is called with each output's place and each
// pixel under its kernel.
func windows(n onnx.Node, x array, channels int, f func(at, image, channel, row, column, i, j int)) array {
	k, s, p := n.Attrs["kernel_shape"].Ints, n.Attrs["strides"].Ints, n.Attrs["pads"].Ints
	d := []int64{1, 1}
	if a, ok := n.Attrs["dilations"]; ok {
		d = a.Ints
	}
	extent := func(axis int) int {
		return (x.dims[2+axis]+int(p[axis]+p[2+axis])-int(d[axis]*(k[axis]-1)+1))/int(s[axis]) + 1
	}
	h, w := extent(0), extent(1)
	y := zeros(x.dims[0], channels, h, w)
	for at := range y.data {
		image, channel, row, column := at/(channels*h*w), at/(h*w)%channels, at/w%h, at%w
		for i := range int(k[0]) {
			for j := range int(k[1]) {
				r, c := row*int(s[0])-int(p[0])+i*int(d[0]), column*int(s[1])-int(p[1])+j*int(d[1])
				if r >= 0 && r < x.dims[2] && c >= 0 && c < x.dims[3] {
					f(at, image, channel, r, c, i, j)
				}
			}
		}
	}
	return y
}

func (a array) pixel(image, channel, row, column int) float64 {
	return a.data[((image*a.dims[1]+channel)*a.dims[2]+row)*a.dims[3]+column]
}

func convolve(n onnx.Node, x, w array, bias []array) array {
	out, per := w.dims[0], w.dims[1]
	perGroup := out / int(n.Attrs["group"].Int)
	sums := map[int]float64{}
	y := windows(n, x, out, func(at, image, channel, row, column, i, j int) {
		for c := range per {
			sums[at] += x.pixel(image, channel/perGroup*per+c, row, column) * w.pixel(channel, c, i, j)
		}
	})
	for at := range y.data {
		y.data[at] = sums[at]
		if len(bias) > 0 {
			y.data[at] += bias[0].data[at/(y.dims[2]*y.dims[3])%out]
		}
	}
	return y
}

func pool(n onnx.Node, x array) array {
	under := map[int][]float64{}
	y := windows(n, x, x.dims[1], func(at, image, channel, row, column, _, _ int) {
		under[at] = append(under[at], x.pixel(image, channel, row, column))
	})
	for at := range y.data {
		if n.OpType == "MaxPool" {
			y.data[at] = slices.Max(under[at])
			continue
		}
		for _, v := range under[at] {
			y.data[at] += v / float64(len(under[at]))
		}
	}
	return y
}
