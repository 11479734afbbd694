// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"cmp"
	"math"
	"slices"
)

// sizes is what makes the ladder of a space: a reference network, and the cells
// that go with 16 channels, at least and at most.
type sizes struct {
	reference          func(Space) Choice
	usual, least, most int
}

var (
	nb201Sizes = sizes{notated("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"), 2, 1, 5}
	dartsSizes = sizes{notated("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0)," +
		" ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)]," +
		" normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2)," +
		" ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)]," +
		" reduce_concat=range(2, 6))"), 8, 3, 20}
	mbconvSizes = sizes{everywhere("mbconv_3x3_e6"), 4, 1, 5}
)

// Reference returns a well-known hand-made network of the space by which sizes
// are compared: what it costs stands for what the good networks of its size do.
// nb201 has the residual cell, two 3×3 convolutions in a row beside a skip
// connection; darts the second genotype that was published with it; mbconv the
// blocks of MobileNetV2.
// Source: Dong and Yang, NAS-Bench-201, 2020; Liu et al., DARTS, 2019; Sandler
// et al., MobileNetV2, 2018.
func Reference(s Space) Choice {
	for _, sp := range Spaces {
		if sp.Name == s.Name() {
			return sp.sizes.reference(s)
		}
	}
	panic("arch: reference of an unknown space: " + s.Name())
}

// notated is the network with this notation.
func notated(text string) func(Space) Choice {
	return func(s Space) Choice {
		c, err := s.Parse(text)
		if err != nil {
			panic(err)
		}
		return c
	}
}

// everywhere is the network with this operation in each row.
func everywhere(op string) func(Space) Choice {
	return func(s Space) Choice {
		c := First(s)
		for i, a := range s.Alphas() {
			for row := range c[i] {
				c[i][row] = slices.Index(a.Ops, op)
			}
		}
		return c
	}
}

// ReferenceMACs counts the multiply-accumulates of the reference network for one
// image.
func ReferenceMACs(s Space) (float64, error) {
	g, err := s.Network(Reference(s), 1)
	if err != nil {
		return 0, err
	}
	return float64(g.Count().MACs), nil
}

// Usual returns the size with the space's default for channels and cells that are 0.
func Usual(space string, size Size) Size {
	for _, s := range Spaces {
		if s.Name == space {
			size.Cells, size.Channels = cmp.Or(size.Cells, s.Default.Cells), cmp.Or(size.Channels, s.Default.Channels)
		}
	}
	return size
}

// A ladder ends with the first size whose reference network has so many
// multiply-accumulates. No step is shorter than shortestStep, and few are longer
// than longestStep.
const (
	ladderTop    = 1e11
	shortestStep = 1.1
	longestStep  = 1.25
)

// Ladder returns sizes of a space from tiny to huge, in the order of their
// [ReferenceMACs]. Image, colours and classes are those of base, and so are its
// channels and cells if they are not 0. A step is about a quarter more, two fifths at
// most, except where there are few sizes: below 24 channels, and to the last.
//
// Networks get deeper as they get wider, by the square root, and have widths
// that kernels like, as far as the steps allow it: of all ladders with such
// steps this is the one that departs least from that.
func Ladder(space string, base Size) ([]Size, error) {
	rungs, err := allRungs(space, base)
	if err != nil {
		return nil, err
	}
	best, before := make([]float64, len(rungs)), make([]int, len(rungs)) // of the ladders that end with a rung
	for i, r := range rungs {
		best[i], before[i] = math.Inf(1), -1
		if i == 0 {
			best[i] = 0
		}
		for j, lower := range rungs[:i] {
			step := r.macs / lower.macs
			if cost := best[j] + r.oddity + stretch(step); step >= shortestStep && cost < best[i] {
				best[i], before[i] = cost, j
			}
		}
	}
	var ladder []Size
	for i := len(rungs) - 1; i >= 0; i = before[i] {
		ladder = append(ladder, rungs[i].size)
	}
	slices.Reverse(ladder)
	return ladder, nil
}

// rung is a size that a ladder may have.
type rung struct {
	size   Size
	macs   float64 // of the reference network
	oddity float64 // of its depth and width
}

// stretch is what a step costs for being too long: more than most oddities.
func stretch(step float64) float64 {
	const much = 20
	return much * max(0, math.Log(step/longestStep))
}

// allRungs lists the sizes that a ladder may have, the smallest first.
func allRungs(space string, base Size) ([]rung, error) {
	var rungs []rung
	fixed := base.Channels > 0
	for base.Channels = max(1, base.Channels); ; base.Channels += widthStep(base.Channels) {
		wide, err := rungsOf(space, base)
		if err != nil {
			return nil, err
		}
		rungs = append(rungs, wide...)
		if fixed || wide[len(wide)-1].macs >= ladderTop || base.Channels+widthStep(base.Channels) > maxChannels {
			break
		}
	}
	slices.SortStableFunc(rungs, func(a, b rung) int { return cmp.Compare(a.macs, b.macs) })
	end := slices.IndexFunc(rungs, func(r rung) bool { return r.macs >= ladderTop })
	if end < 0 {
		end = len(rungs) - 1
	}
	return rungs[:end+1], nil
}

// rungsOf lists those with the channels of base, the shallowest first.
func rungsOf(space string, base Size) (rungs []rung, err error) {
	var sz sizes
	for _, sp := range Spaces {
		if sp.Name == space {
			sz = sp.sizes
		}
	}
	usual := float64(sz.usual) * math.Sqrt(float64(base.Channels)/16)
	usual = min(max(usual, float64(sz.least)), float64(sz.most))
	fixed := base.Cells > 0
	for base.Cells = cmp.Or(base.Cells, sz.least); ; {
		s, err := NewSpace(space, base)
		if err != nil {
			return nil, err
		}
		macs, err := ReferenceMACs(s)
		if err != nil {
			return nil, err
		}
		rungs = append(rungs, rung{base, macs, depart(float64(base.Cells)/usual) + rough(base.Channels)})
		if base.Cells += max(1, base.Cells/4); fixed || base.Cells > sz.most {
			return rungs, nil
		}
	}
}

// depart is what a depth costs that is so many times the usual one: more where
// the network is narrow and deep than where it is wide and shallow.
func depart(times float64) float64 {
	squared := math.Pow(math.Log(times), 2)
	if times > 1 {
		return 4 * squared
	}
	return 2 * squared
}

// smooth is the multiple that kernels like widths to be: most fill vectors of
// eight, the wide ones of sixteen and thirty-two as well.
func smooth(channels int) int {
	switch {
	case channels < 8:
		return 4
	case channels < 64:
		return 8
	case channels < 256:
		return 16
	}
	return 32
}

// widthStep is how far the next width of a ladder is. From 8 channels on all of
// them are multiples that kernels like: what does not fill vectors takes as long
// as what does, to run and to train.
func widthStep(channels int) int {
	if channels < 8 {
		return 1
	}
	return smooth(channels)
}

// rough is what a width costs that kernels do not like.
func rough(channels int) float64 {
	if channels%smooth(channels) == 0 {
		return 0
	}
	return 1
}
