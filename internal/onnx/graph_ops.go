// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"math"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

func (t *translator) conv(n *Node, a *attributes) (value, error) {
	x, err := t.image(n, 3)
	if err != nil {
		return value{}, err
	}
	w, in := t.constant(n, 1), t.b.Shape(x.at)
	groups := a.int("group", 1)
	square := w != nil && w.Type == Float && len(w.Dims) == 4 && w.Dims[2] == w.Dims[3] && w.Dims[2] > 0
	if !square || groups < 1 || groups > int64(in.C) || groups*int64(w.Dims[1]) != int64(in.C) {
		return value{}, unsupported(n,
			"weights are %v, in %d groups, for an input of %v: want stored floats of out,C/groups,k,k", w, groups, in)
	}
	if x.crop[0] != x.crop[1] || x.crop[0] > 0 && groups > 1 {
		return value{}, unsupported(n,
			"of an image without its first %d rows and %d columns, in %d groups: want as many of both, and one group",
			x.crop[0], x.crop[1], groups)
	}
	in.H, in.W = in.H-x.crop[0], in.W-x.crop[1]
	window, name := a.window(in, w.Dims[2]), t.name(n)
	window.Crop = x.crop[0]
	if window.Crop > 0 && window.Pad > 0 {
		return value{}, unsupported(n, "a part of an image is padded")
	}
	t.weights[name+".weight"] = ops.Tensor{Dims: w.Dims, Data: w.Floats}
	bias := len(n.Inputs) == 3 && n.Inputs[2] != ""
	if bias {
		data, err := t.floats(n, 2, w.Dims[0])
		if err != nil {
			return value{}, err
		}
		t.weights[name+".bias"] = ops.Tensor{Dims: w.Dims[:1], Data: data}
	}
	return value{at: t.b.Conv(name, x.at, w.Dims[0], window, int(groups), bias)}, nil
}

// batchNorm records a batch normalisation. The builder has an ε of its own; where
// the node's differs, the scale makes up for it, which loses nothing even where
// ε is all that the variance has.
func (t *translator) batchNorm(n *Node, a *attributes) (value, error) {
	x, err := t.read(n, 5)
	if err != nil {
		return value{}, err
	}
	a.skip("momentum")
	a.want("training_mode", 0, 0)
	a.want("spatial", 1, 1)
	epsilon := a.float("epsilon", 1e-5)
	name, s := t.name(n), t.b.Shape(x.at)
	if x.flat && s.H*s.W > 1 {
		return value{}, unsupported(n, "input %q is a flat image", n.Inputs[0])
	}
	var params [4][]float32
	for i := range params {
		if params[i], err = t.floats(n, i+1, s.C); err != nil {
			return value{}, err
		}
	}
	for _, v := range params[3] {
		if !(v >= 0) || !(v+epsilon > 0) {
			return value{}, unsupported(n, "variance %v, epsilon %v: want a sum above 0", v, epsilon)
		}
	}
	if epsilon != float32(ops.BatchNormEpsilon) {
		params[0] = slices.Clone(params[0])
		for j, v := range params[3] {
			ratio := (float64(v) + ops.BatchNormEpsilon) / (float64(v) + float64(epsilon))
			params[0][j] = float32(float64(params[0][j]) * math.Sqrt(ratio))
		}
	}
	for i, param := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		t.weights[name+param] = ops.Tensor{Dims: []int{s.C}, Data: params[i]}
	}
	return value{at: t.b.BatchNorm(name, x.at, true), flat: x.flat}, nil
}

func (t *translator) pool(n *Node, a *attributes) (value, error) {
	x, err := t.image(n, 1)
	if err != nil {
		return value{}, err
	}
	in := t.b.Shape(x.at)
	w := a.window(in, 0)
	span := w.Dilation*(w.Kernel-1) + 1
	if a.int("ceil_mode", 0) != 0 && ((in.H+2*w.Pad-span)%w.Stride != 0 || (in.W+2*w.Pad-span)%w.Stride != 0) {
		a.fail("ceil_mode changes the output's size")
	}
	if n.OpType == "MaxPool" {
		a.want("storage_order", 0, 0)
		return value{at: t.b.MaxPool(t.name(n), x.at, w)}, nil
	}
	if a.int("count_include_pad", 0) != 0 && w.Pad > 0 {
		a.fail("the padding is counted")
	}
	return value{at: t.b.AvgPool(t.name(n), x.at, w)}, nil
}

func (t *translator) reduceMean(n *Node, a *attributes) (value, error) {
	x, err := t.image(n, 2)
	if err != nil {
		return value{}, err
	}
	a.want("noop_with_empty_axes", 0, 0)
	if axes := t.axes(n, a); !overImage(axes) {
		return value{}, unsupported(n, "axes %v: only the mean over 2 and 3 is supported", axes)
	}
	flat := a.int("keepdims", 1) == 0
	return value{at: t.b.GlobalAvgPool(t.name(n), x.at), flat: flat}, nil
}

// axes reads the second input, or the attribute that it was in old opsets.
func (t *translator) axes(n *Node, a *attributes) []int64 {
	old, _ := a.get("axes", IntsAttr)
	if c := t.constant(n, 1); c != nil {
		return c.Ints
	}
	return old.Ints
}

// overImage reports whether axes are H and W.
func overImage(axes []int64) bool {
	if len(axes) != 2 {
		return false
	}
	a, b := (axes[0]+4)%4, (axes[1]+4)%4
	return min(a, b) == 2 && max(a, b) == 3 && min(axes[0], axes[1]) >= -4 && max(axes[0], axes[1]) < 4
}

func (t *translator) sum(n *Node) (value, error) {
	if len(n.Inputs) == 0 {
		return value{}, unsupported(n, "no inputs")
	}
	xs, flat := make([]ops.Value, len(n.Inputs)), false
	for i := range n.Inputs {
		x, err := t.operand(n, i)
		if err != nil {
			return value{}, err
		}
		if i > 0 && x.flat != flat {
			return value{}, unsupported(n, "some inputs are flat and some are not")
		}
		xs[i], flat = x.at, x.flat
	}
	return value{at: t.b.Add(t.name(n), xs...), flat: flat}, nil
}

// concat records the channels of several maps side by side.
func (t *translator) concat(n *Node, a *attributes) (value, error) {
	if axis := a.int("axis", 0); axis != 1 && axis != -3 {
		return value{}, unsupported(n, "axis %d: only 1, the channels, is supported", axis)
	}
	xs := make([]ops.Value, len(n.Inputs))
	for i := range n.Inputs {
		x, err := t.operand(n, i)
		if err == nil && x.flat {
			err = unsupported(n, "input %q is flat: want N,C,H,W", n.Inputs[i])
		}
		if err != nil {
			return value{}, err
		}
		xs[i] = x.at
	}
	return value{at: t.b.Concat(t.name(n), xs...)}, nil
}

// slice notes how many of the first rows and columns are cut off.
func (t *translator) slice(n *Node, a *attributes) (value, error) {
	x, err := t.image(n, 5)
	if err != nil {
		return value{}, err
	}
	list := func(i int, name string) []int64 { // an attribute in old opsets
		old, _ := a.get(name, IntsAttr)
		if c := t.constant(n, i); c != nil {
			return c.Ints
		}
		return old.Ints
	}
	starts, ends, axes, steps := list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps")
	s := t.b.Shape(x.at)
	good := len(axes) > 0 && len(starts) == len(axes) && len(ends) == len(axes) &&
		(len(steps) == len(axes) || len(n.Inputs) < 5)
	for i := 0; i < len(axes) && good; i++ {
		if good = axes[i] >= -4 && axes[i] < 4 && (axes[i]+4)%4 >= 2 && (steps == nil || steps[i] == 1); !good {
			break
		}
		axis := (axes[i]+4)%4 - 2
		left := int64([2]int{s.H, s.W}[axis] - x.crop[axis])
		if good = starts[i] >= 0 && starts[i] < left && ends[i] >= left; good {
			x.crop[axis] += int(starts[i])
		}
	}
	if !good {
		return value{}, unsupported(n, "starts %v, ends %v, axes %v, steps %v of an input of %v: "+
			"only stored ones that cut off the first rows and columns (axes 2 and 3) are supported",
			starts, ends, axes, steps, s)
	}
	return x, nil
}

// addBias takes the sum of a MatMul and a stored vector into the bias of the
// linear layer that the MatMul became, if nothing else reads the MatMul.
func (t *translator) addBias(n *Node) (value, bool) {
	for i, name := range n.Inputs {
		v, ok := t.values[name]
		c := t.constant(n, 1-i)
		if !ok || v.bias == nil || t.readers[name] != 1 || c == nil || c.Type != Float || !isVector(c.Dims, len(v.bias)) {
			continue
		}
		copy(v.bias, c.Floats)
		v.bias = nil
		return v, true
	}
	return value{}, false
}

// isVector reports whether dims are n or 1,n.
func isVector(dims []int, n int) bool {
	return slices.Equal(dims, []int{n}) || slices.Equal(dims, []int{1, n})
}

func (t *translator) flatten(n *Node, a *attributes) (value, error) {
	x, err := t.read(n, 1)
	if err != nil {
		return value{}, err
	}
	rank := int64(4)
	if x.flat {
		rank = 2
	}
	if axis := a.int("axis", 1); axis != 1 && axis != 1-rank {
		return value{}, unsupported(n, "axis %d: only 1 is supported", axis)
	}
	x.flat = true
	return x, nil
}

func (t *translator) reshape(n *Node, a *attributes) (value, error) {
	x, err := t.read(n, 2)
	if err != nil {
		return value{}, err
	}
	a.want("allowzero", 0, 0)
	c, s := t.constant(n, 1), t.b.Shape(x.at)
	if c == nil || len(c.Ints) != 2 {
		return value{}, unsupported(n, "shape is %v: only a stored N,C·H·W is supported", c)
	}
	rows, columns := c.Ints[0], c.Ints[1]
	all := int64(s.C * s.H * s.W)
	keepsRows := rows == 0 || t.batch > 0 && rows == int64(t.batch)
	if !(keepsRows && (columns == all || columns == -1)) && !(rows == -1 && columns == all) {
		return value{}, unsupported(n, "shape %v of an input of %v: only N,C·H·W is supported", c.Ints, s)
	}
	x.flat = true
	return x, nil
}

func (t *translator) squeeze(n *Node, a *attributes) (value, error) {
	x, err := t.image(n, 2)
	if err != nil {
		return value{}, err
	}
	if axes, s := t.axes(n, a), t.b.Shape(x.at); !overImage(axes) || s.H*s.W != 1 {
		return value{}, unsupported(n, "axes %v of an input of %v: only 2 and 3, of one pixel, are supported", axes, s)
	}
	x.flat = true
	return x, nil
}

func (t *translator) gemm(n *Node, a *attributes) (value, error) {
	if a.float("alpha", 1) != 1 || a.float("beta", 1) != 1 {
		a.fail("alpha and beta: only 1 is supported")
	}
	a.want("transA", 0, 0)
	transposed := a.int("transB", 0) != 0
	var bias *Tensor
	if len(n.Inputs) == 3 && n.Inputs[2] != "" {
		if bias = t.constant(n, 2); bias == nil || bias.Type != Float {
			return value{}, unsupported(n, "bias is %v: want stored floats", bias)
		}
	}
	return t.linear(n, 3, transposed, bias)
}

func (t *translator) matMul(n *Node) (value, error) { return t.linear(n, 2, false, nil) }

// linear records x·W (W is in,out) or x·Wᵀ (transposed: out,in), plus the bias.
func (t *translator) linear(n *Node, inputs int, transposed bool, bias *Tensor) (value, error) {
	x, err := t.read(n, inputs)
	if err != nil {
		return value{}, err
	}
	s, w := t.b.Shape(x.at), t.constant(n, 1)
	if !x.flat || s.H != s.W {
		return value{}, unsupported(n, "input of %v, flat %v: want it flat, of square images", s, x.flat)
	}
	in := s.C * s.H * s.W
	if w == nil || w.Type != Float || len(w.Dims) != 2 || w.Dims[0] != in && !transposed || w.Dims[1] != in && transposed {
		return value{}, unsupported(n, "weights are %v, transposed %v: want stored floats for %d inputs", w, transposed, in)
	}
	out, rows := w.Dims[1], w.Floats
	if transposed {
		out = w.Dims[0]
	} else {
		rows = make([]float32, len(w.Floats))
		for i, v := range w.Floats {
			rows[i%out*in+i/out] = v
		}
	}
	shift := make([]float32, out)
	if bias != nil {
		if !isVector(bias.Dims, out) {
			return value{}, unsupported(n, "bias is %v: want %d numbers", bias, out)
		}
		copy(shift, bias.Floats)
	}
	name := t.name(n)
	t.weights[name+".bias"] = ops.Tensor{Dims: []int{out}, Data: shift}
	y := value{flat: true}
	if s.H > 1 { // the same sum over channels, rows and columns
		t.weights[name+".weight"] = ops.Tensor{Dims: []int{out, s.C, s.H, s.W}, Data: rows}
		y.at = t.b.Conv(name, x.at, out, ops.Window{Kernel: s.H, Stride: 1, Dilation: 1}, 1, true)
	} else {
		t.weights[name+".weight"] = ops.Tensor{Dims: []int{out, in}, Data: rows}
		y.at = t.b.Linear(name, x.at, out)
	}
	if n.OpType == "MatMul" {
		y.bias = shift
	}
	return y, nil
}
