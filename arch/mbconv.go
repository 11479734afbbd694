// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/ops"
)

// mbconv is the space of FBNet and ProxylessNAS: a chain of inverted residual
// blocks, each with its own kernel and expansion. Its skeleton is that of
// ProxylessNAS, whose published mobile network it holds with 16 channels and 4
// blocks a stage: a 3×3 convolution to twice the channels, a block that does
// not expand, six stages of blocks, a 1×1 convolution to 80 times the channels,
// and the classifier.
//
// The first block of a stage changes the number of channels and may halve the
// image, so it cannot be left out; the others can, by skip_connect. The stages
// of mobile networks divide images of 224 pixels by 32, the first convolution
// among them. Smaller images are halved until they have at most 7 pixels, and
// the first convolution and the early stages keep their size.
// Source: Cai et al., ProxylessNAS, 2019, §4.1, and the code published with
// it; Wu et al., FBNet, 2019, §3.1.
type mbconv struct{ size Size }

// mbconvStages are the stages: twice their width for one channel, and whether
// they are among those that halve. The last has one block, the others
// Size.Cells.
var mbconvStages = []struct {
	width  int
	halves bool
}{{4, true}, {5, true}, {10, true}, {12, false}, {24, true}, {40, false}}

const (
	mbconvHalvings = 5  // with the first convolution
	mbconvLeast    = 7  // pixels; larger maps are halved
	mbconvHead     = 80 // width of the last convolution for one channel
)

// The α: of the first blocks of all stages, and of the others. They differ in
// whether a block may be left out.
const (
	mbconvFirst = iota
	mbconvRest
)

var (
	mbconvAlphas = []string{mbconvFirst: "first", mbconvRest: "rest"}
	mbconvOps    = [][]string{
		mbconvFirst: {"mbconv_3x3_e3", "mbconv_3x3_e6", "mbconv_5x5_e3", "mbconv_5x5_e6", "mbconv_7x7_e3", "mbconv_7x7_e6"},
		mbconvRest: {"mbconv_3x3_e3", "mbconv_3x3_e6", "mbconv_5x5_e3", "mbconv_5x5_e6", "mbconv_7x7_e3", "mbconv_7x7_e6",
			ops.SkipConnect},
	}
)

func newMBConv(s Size) (Space, error) {
	if err := s.check(1, 8); err != nil {
		return nil, err
	}
	return mbconv{s}, nil
}

func (mbconv) Name() string { return "mbconv" }
func (s mbconv) Size() Size { return s.size }

// mbconvLayer is a searched block: the row of an α that decides it, and the
// channels and the stride of its output.
type mbconvLayer struct {
	name             string
	alpha, row       int
	channels, stride int
}

// layers lists the searched blocks from input to output.
func (s mbconv) layers() []mbconvLayer {
	var layers []mbconvLayer
	var rows [2]int // of each α
	keep := mbconvHalvings - s.halvings() - 1
	for stage, st := range mbconvStages {
		l := mbconvLayer{alpha: mbconvFirst, channels: s.size.Channels * st.width / 2, stride: 1}
		if st.halves {
			if keep--; keep < 0 {
				l.stride = 2
			}
		}
		blocks := s.size.Cells
		if stage == len(mbconvStages)-1 {
			blocks = 1
		}
		for i := range blocks {
			if i > 0 {
				l.alpha, l.stride = mbconvRest, 1
			}
			l.name, l.row = fmt.Sprintf("stage%d.block%d", stage+1, i), rows[l.alpha]
			rows[l.alpha]++
			layers = append(layers, l)
		}
	}
	return layers
}

// halvings returns how many times the network halves the image.
func (s mbconv) halvings() int {
	n := 0
	for pixels := s.size.Image; pixels > mbconvLeast && n < mbconvHalvings; n++ {
		pixels = (pixels + 1) / 2
	}
	return n
}

// Alphas returns an α for each kind of block, with its rows in the order of
// the chain; there is no α without rows.
func (s mbconv) Alphas() []Alpha {
	var alphas []Alpha
	for _, l := range s.layers() {
		if l.alpha == len(alphas) {
			alphas = append(alphas, Alpha{Name: mbconvAlphas[l.alpha], Ops: mbconvOps[l.alpha]})
		}
		alphas[l.alpha].Rows = append(alphas[l.alpha].Rows, l.name)
	}
	return alphas
}

// Cells numbers what lies between the blocks along the chain, 0 being the
// input of the first, so that an α's edges are those of its own blocks.
func (s mbconv) Cells() []Cell {
	cells := make([]Cell, len(s.Alphas()))
	for i, l := range s.layers() {
		c := &cells[l.alpha]
		c.Inputs, c.Edges = 1, append(c.Edges, Edge{i, i + 1})
	}
	return cells
}

// skeleton records everything but the searched blocks; block records one on x.
func (s mbconv) skeleton(batch int,
	block func(b ops.Builder, l mbconvLayer, x ops.Value) ops.Value) (*ops.Graph, error) {
	b, x := ops.NewBuilder(s.size.input(batch))
	stride := 1
	if s.halvings() == mbconvHalvings {
		stride = 2
	}
	relu := func(b ops.Builder, x ops.Value, c int, w ops.Window) ops.Value {
		return b.ReLU("relu", b.BatchNorm("bn", b.Conv("conv", x, c, w, 1, false), true))
	}
	x = relu(b.Scope("stem"), x, 2*s.size.Channels, ops.Same(3, stride, 1))
	first := ops.Config{Channels: s.size.Channels, Stride: 1, Affine: true}
	x = ops.InvertedResidual(b.Scope("stage0.block0"), x, 3, 1, first)
	for _, l := range s.layers() {
		x = block(b.Scope(l.name), l, x)
	}
	head := b.Scope("head")
	x = relu(head, x, mbconvHead*s.size.Channels, ops.Same(1, 1, 1))
	return b.Finish(head.Linear("linear", head.GlobalAvgPool("pool", x), s.size.Classes))
}

// op records an operation as a block.
func (l mbconvLayer) op(b ops.Builder, op string, x ops.Value, affine bool) ops.Value {
	return ops.ByName(op).Build(b.Scope(op), x, ops.Config{Channels: l.channels, Stride: l.stride, Affine: affine})
}

func (s mbconv) Supernet(batch int) (*ops.Graph, error) {
	return s.skeleton(batch, func(b ops.Builder, l mbconvLayer, x ops.Value) ops.Value {
		var xs []ops.Value
		var gates []ops.Gate
		for col, op := range mbconvOps[l.alpha] {
			xs = append(xs, l.op(b, op, x, false))
			gates = append(gates, ops.Gate{Row: l.row, Col: col})
		}
		return b.Mix("mix", l.alpha, xs, gates)
	})
}

func (s mbconv) Network(c Choice, batch int) (*ops.Graph, error) {
	if err := checkChoice(s.Alphas(), c); err != nil {
		return nil, err
	}
	return s.skeleton(batch, func(b ops.Builder, l mbconvLayer, x ops.Value) ops.Value {
		return l.op(b, mbconvOps[l.alpha][c[l.alpha][l.row]], x, true)
	})
}

// Training returns Network: nothing is added for training.
func (s mbconv) Training(c Choice, batch int) (*ops.Graph, error) { return s.Network(c, batch) }

// Canonical returns a copy of c: every choice builds a network of its own.
func (mbconv) Canonical(c Choice) Choice { return c.Clone() }

// Groups returns one group for each block, from input to output: nothing is
// merged across blocks, so their costs add up.
func (s mbconv) Groups() (groups []Group) {
	for _, l := range s.layers() {
		g := Group{Alpha: l.alpha, Rows: []int{l.row}}
		for col := range mbconvOps[l.alpha] {
			g.Options = append(g.Options, []int{col})
		}
		groups = append(groups, g)
	}
	return groups
}

// Derive takes the operation of greatest weight for each block.
func (s mbconv) Derive(p [][]float64) Choice {
	c := First(s)
	for _, l := range s.layers() {
		n := len(mbconvOps[l.alpha])
		weights := p[l.alpha][l.row*n:][:n]
		c[l.alpha][l.row] = slices.Index(weights, slices.Max(weights))
	}
	return c
}

// mbconvSeparator stands between the blocks of a notation.
const mbconvSeparator = " | "

// Notation lists the operations of the blocks from input to output, as FBNet
// and ProxylessNAS print their networks:
//
//	mbconv_5x5_e3 | skip_connect | mbconv_7x7_e6 | …
func (s mbconv) Notation(c Choice) string {
	var names []string
	for _, l := range s.layers() {
		names = append(names, mbconvOps[l.alpha][c[l.alpha][l.row]])
	}
	return strings.Join(names, mbconvSeparator)
}

// Parse reads what Notation writes; there may be any white space around names.
func (s mbconv) Parse(text string) (Choice, error) {
	layers := s.layers()
	if n := strings.Count(text, "|") + 1; n != len(layers) {
		return nil, fmt.Errorf("arch: mbconv %.200q: %d blocks: want %d", text, n, len(layers))
	}
	c := First(s)
	for i, name := range strings.Split(text, "|") {
		l := layers[i]
		name = strings.TrimSpace(name)
		col := slices.Index(mbconvOps[l.alpha], name)
		if col < 0 {
			return nil, fmt.Errorf("arch: mbconv: %s: operation %.50q: want one of %q", l.name, name, mbconvOps[l.alpha])
		}
		c[l.alpha][l.row] = col
	}
	return c, nil
}
