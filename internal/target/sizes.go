// SPDX-License-Identifier: Apache-2.0

package target

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// SizeRequest asks for sizes of a space.
type SizeRequest struct {
	Space       string
	Base        arch.Size // images and classes; channels and cells are kept unless they are 0
	BudgetS     float64   // seconds
	Confidence  float64   // that the budget is kept
	Inventories *inventory.Cache
	Threads     int // of this machine
}

// Sizes are those to search in.
type Sizes struct {
	Sizes      []arch.Size     `json:"sizes"`      // largest first
	References []ReferenceTime `json:"references"` // what the choice rests on, in the order in which it was found
}

// ReferenceTime is what the reference network of a size takes.
type ReferenceTime struct {
	Size     arch.Size `json:"size"`
	Seconds  float64   `json:"seconds"`
	Measured bool      `json:"measured"` // otherwise it was predicted
}

// String names the sizes for people.
func (s Sizes) String() string {
	var texts []string
	for _, size := range s.Sizes {
		texts = append(texts, fmt.Sprintf("channels %d and cells %d", size.Channels, size.Cells))
	}
	return strings.Join(texts, ", ")
}

// A size is taken by the share of the limit that its reference network takes:
// the largest below the first share leaves room for networks with a few more
// operations, the others for those with many more.
var sizeShares = []float64{0.8, 0.6, 0.45}

const (
	sizeNetworks  = 6    // at most so many are measured
	sizeRounds    = 3    // at least, of each
	usualGuard    = 0.10 // where no table says how far predictions err
	guessRate     = 5e9  // multiply-accumulates a second, before anything was measured: of a slow device
	leastSlope    = 0.8  // of log latency against log multiply-accumulates
	greatestSlope = 1.2
)

// ChooseSizes chooses up to three sizes in which networks use the budget, less
// the guard band for predictions. Where the profile has the operations of such
// sizes, its predictions decide. Otherwise, on a live target, reference networks
// of a few sizes are measured whole, on a device that is not soaked first.
//
// Where even the largest size is faster than the budget it is taken, and a note
// says how to get more; where even the smallest is slower, that is. A size of
// which nothing is open is taken as it is.
func (t *Targets) ChooseSizes(ctx context.Context, p *profiles.Profile, q SizeRequest, o Options) (Sizes, error) {
	if q.Base.Channels > 0 && q.Base.Cells > 0 {
		return Sizes{Sizes: []arch.Size{q.Base}}, nil
	}
	ladder, err := newLadder(q)
	if err != nil {
		return Sizes{}, err
	}
	limit := q.BudgetS / (1 + usualGuard)
	table := predict.NewTable(p)
	predicted := ladder.predicted(table)
	if len(predicted.rungs) > 0 {
		limit = table.Limit(q.BudgetS, q.Confidence)
	}
	predicted, picked, err := predicted.complete(p, q, limit)
	switch {
	case err != nil:
		return Sizes{}, err
	case len(picked) > 0 && o.Live():
		if top := predicted.seconds(picked[0]); top >= sizeShares[1]*limit && top <= sizeShares[0]*limit {
			return predicted.sizes(picked), nil
		}
	case len(picked) > 0:
		if predicted.idle(picked[0], limit) {
			t.note("the largest size that the profile has is faster than the budget; larger ones, on that device:"+
				" edgenas profile%s", q.flags(p, o))
		}
		return predicted.sizes(picked), nil
	case !o.Live():
		return Sizes{}, q.lacking(p, o)
	}
	if err := ladder.measure(limit, func(s arch.Space) (float64, error) { return t.reference(ctx, p, s, o) }); err != nil {
		return Sizes{}, err
	}
	picked = ladder.pick(limit)
	if ladder.idle(picked[0], limit) {
		t.note("even the largest size is faster than the budget: its reference network takes %s;"+
			" --channels and --cells give larger ones", duration(ladder.seconds(picked[0])))
	}
	return ladder.sizes(picked), nil
}

// lacking is an error that says what the profile lacks of the default size, and
// how to measure what the request needs.
func (q SizeRequest) lacking(p *profiles.Profile, o Options) error {
	s, err := arch.NewSpace(q.Space, arch.Usual(q.Space, q.Base))
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	n, err := q.Inventories.Of(s, q.Threads)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w; on that device: edgenas profile%s", o.Profile, lacks(p, n.KeyTexts()), q.flags(p, o))
}

// SizesOf are up to three sizes of the request of which the profile has all
// operations: those in which it has measured networks and, for other numbers of
// channels, the one with the fewest cells. Where it has networks of none, it is
// the default one, if that is there. The budget is of no concern.
func SizesOf(p *profiles.Profile, q SizeRequest) ([]arch.Size, error) {
	ladder, err := newLadder(q)
	if err != nil {
		return nil, err
	}
	var measured, fewest []arch.Size
	usual, hasUsual := arch.Usual(q.Space, q.Base), false
	for _, r := range ladder.predicted(predict.NewTable(p)).rungs {
		size := r.space.Size()
		n, err := q.Inventories.Of(r.space, q.Threads)
		if err != nil {
			return nil, err
		}
		as := func(s arch.Size) bool { return s.Channels == size.Channels }
		known := func(w profiles.Network) bool { return isOf(w, inventory.Sizes{n}) }
		switch {
		case lacks(p, n.KeyTexts()) != nil:
			continue
		case slices.ContainsFunc(p.Networks, known):
			measured = append(measured, size)
			fewest = slices.DeleteFunc(fewest, as)
		case !slices.ContainsFunc(slices.Concat(measured, fewest), as):
			fewest = append(fewest, size)
		}
		hasUsual = hasUsual || size == usual
	}
	if len(measured) == 0 && hasUsual {
		return []arch.Size{usual}, nil
	}
	slices.Reverse(measured)
	slices.Reverse(fewest)
	sizes := slices.Concat(measured, fewest)
	return sizes[:min(3, len(sizes))], nil
}

// flags are those of the profile command that measures what a search with the
// request needs.
func (q SizeRequest) flags(p *profiles.Profile, o Options) string {
	text := fmt.Sprintf(" --space %s --image %d --colours %d --classes %d", q.Space, q.Base.Image, q.Base.Colours,
		q.Base.Classes)
	if q.Base.Cells > 0 {
		text += fmt.Sprintf(" --cells %d", q.Base.Cells)
	}
	if q.Base.Channels > 0 {
		text += fmt.Sprintf(" --channels %d", q.Base.Channels)
	}
	return text + fmt.Sprintf(" --latency-budget %v", duration(q.BudgetS)) +
		Flags(o.InferThreads, p.Runtime.Cluster, p.Protocol.InMode()) + " --only-missing -o " + wording.Quote(o.Profile)
}

func duration(seconds float64) time.Duration { return time.Duration(math.Round(1e9 * seconds)) }

// reference measures the reference network of a space whole. A device that is
// soaked for its table is not for this.
func (t *Targets) reference(ctx context.Context, p *profiles.Profile, s arch.Space, o Options) (float64, error) {
	c := s.Canonical(arch.Reference(s))
	g, err := s.Network(c, 1)
	if err != nil {
		return 0, err
	}
	q := &profiles.Profile{Device: p.Device, Runtime: p.Runtime, Protocol: profiles.Protocol{Mode: p.Protocol.Mode}}
	if m, err := latency.ParseMode(p.Protocol.Mode); err == nil && m.Sustained {
		q.Protocol.Mode = profiles.Burst
	}
	w := Work{Networks: []inventory.Network{{Space: s, Arch: s.Notation(c), Graph: ops.Fuse(g)}}, Rounds: sizeRounds}
	if o.Rounds > 0 {
		w.Rounds = min(w.Rounds, o.Rounds)
	}
	if err := t.Of(o).Measure(ctx, w, q, nil, func(latency.Progress) {}); err != nil {
		return 0, err
	}
	if n := q.Networks[0]; n.Status != profiles.OK {
		return 0, fmt.Errorf("target: reference network of %d channels and %d cells: %s", s.Size().Channels,
			s.Size().Cells, n.Reason)
	}
	return q.Networks[0].MedianS, nil
}

// ladder is a list of sizes, of which some times are known.
type ladder struct {
	rungs []rung  // in the order of their reference networks
	times []known // in the order in which they became known
}

type rung struct {
	space arch.Space
	macs  float64 // of its reference network
}

type known struct {
	rung     int
	seconds  float64
	measured bool
}

// newLadder lists the sizes that a request leaves open, the default one among
// them.
func newLadder(q SizeRequest) (*ladder, error) {
	sizes, err := arch.Ladder(q.Space, q.Base)
	if err != nil {
		return nil, fault.New(fault.Usage, err)
	}
	if size := arch.Usual(q.Space, q.Base); !slices.Contains(sizes, size) {
		sizes = append(sizes, size)
	}
	l := &ladder{}
	for _, size := range sizes {
		s, err := arch.NewSpace(q.Space, size)
		if err != nil {
			return nil, err
		}
		macs, err := arch.ReferenceMACs(s)
		if err != nil {
			return nil, err
		}
		l.rungs = append(l.rungs, rung{s, macs})
	}
	slices.SortStableFunc(l.rungs, func(a, b rung) int { return cmp.Compare(a.macs, b.macs) })
	return l, nil
}

// seconds is what the reference network of a rung takes: as it is known, or on the
// line through its neighbours, log latency against log multiply-accumulates. It
// never falls from one rung to the next.
func (l *ladder) seconds(i int) float64 {
	at := slices.SortedFunc(slices.Values(l.times), func(a, b known) int { return cmp.Compare(a.rung, b.rung) })
	for j := 1; j < len(at); j++ {
		at[j].seconds = max(at[j].seconds, at[j-1].seconds)
	}
	switch j, exact := slices.BinarySearchFunc(at, i, func(k known, i int) int { return cmp.Compare(k.rung, i) }); {
	case exact:
		return at[j].seconds
	case len(at) == 0:
		return l.rungs[i].macs / guessRate
	case len(at) == 1:
		return l.along(i, at[0], 1)
	case j == 0:
		return l.along(i, at[0], l.slope(at[0], at[1]))
	case j == len(at):
		return l.along(i, at[j-1], l.slope(at[j-2], at[j-1]))
	default:
		share := math.Log(l.rungs[i].macs/l.rungs[at[j-1].rung].macs) /
			math.Log(l.rungs[at[j].rung].macs/l.rungs[at[j-1].rung].macs)
		return at[j-1].seconds * math.Pow(at[j].seconds/at[j-1].seconds, share)
	}
}

// along is the time of a rung on a line through another one.
func (l *ladder) along(i int, k known, slope float64) float64 {
	return k.seconds * math.Pow(l.rungs[i].macs/l.rungs[k.rung].macs, slope)
}

// slope is that of the line through two rungs, as far as it can be true.
func (l *ladder) slope(a, b known) float64 {
	slope := math.Log(b.seconds/a.seconds) / math.Log(l.rungs[b.rung].macs/l.rungs[a.rung].macs)
	return min(max(slope, leastSlope), greatestSlope)
}

// largest is the largest rung below another that takes no longer; −1: none.
func (l *ladder) largest(below int, seconds float64) int {
	for i := below - 1; i >= 0; i-- {
		if l.seconds(i) <= seconds {
			return i
		}
	}
	return -1
}

// measure measures rungs until the largest that suits is among them.
func (l *ladder) measure(limit float64, measure func(arch.Space) (float64, error)) error {
	for range sizeNetworks {
		i := max(0, l.largest(len(l.rungs), sizeShares[0]*limit))
		if slices.ContainsFunc(l.times, func(k known) bool { return k.rung == i }) {
			return nil
		}
		s, err := measure(l.rungs[i].space)
		if err != nil {
			return err
		}
		l.times = append(l.times, known{i, s, true})
	}
	return nil
}

// pick chooses up to three rungs for the limit, the largest first.
func (l *ladder) pick(limit float64) []int {
	if len(l.rungs) == 0 {
		return nil
	}
	var picked []int
	below := len(l.rungs)
	for _, share := range sizeShares {
		i := l.largest(below, share*limit)
		if i < 0 {
			break
		}
		picked, below = append(picked, i), i
		if i == len(l.rungs)-1 && l.idle(i, limit) {
			break // smaller ones would waste more
		}
	}
	if picked == nil {
		return []int{0}
	}
	return picked
}

// idle says whether a rung is the last and networks of it waste the limit.
func (l *ladder) idle(i int, limit float64) bool {
	return i == len(l.rungs)-1 && l.seconds(i) < sizeShares[len(sizeShares)-1]*limit
}

// sizes is the choice with what it rests on.
func (l *ladder) sizes(picked []int) Sizes {
	var s Sizes
	for _, i := range picked {
		s.Sizes = append(s.Sizes, l.rungs[i].space.Size())
	}
	for _, k := range l.times {
		s.References = append(s.References, ReferenceTime{l.rungs[k.rung].space.Size(), k.seconds, k.measured})
	}
	return s
}

// predicted is the ladder of those sizes whose reference networks the table
// knows the operations of.
func (l *ladder) predicted(table *predict.Table) *ladder {
	own := &ladder{}
	for _, r := range l.rungs {
		if s, err := estimateReference(table, r.space); err == nil {
			own.add(r, s)
		}
	}
	return own
}

func (l *ladder) add(r rung, seconds float64) {
	l.times = append(l.times, known{len(l.rungs), seconds, false})
	l.rungs = append(l.rungs, r)
}

// without is a predicted ladder without a rung.
func (l *ladder) without(i int) *ladder {
	rest := &ladder{}
	for j, r := range l.rungs {
		if j != i {
			rest.add(r, l.times[j].seconds)
		}
	}
	return rest
}

// complete leaves those sizes in a predicted ladder, and picks among them, of
// which the profile has all operations.
func (l *ladder) complete(p *profiles.Profile, q SizeRequest, limit float64) (*ladder, []int, error) {
	for {
		picked := l.pick(limit)
		lacking := -1
		for _, i := range picked {
			n, err := q.Inventories.Of(l.rungs[i].space, q.Threads)
			if err != nil {
				return nil, nil, err
			}
			if lacks(p, n.KeyTexts()) != nil {
				lacking = i
			}
		}
		if lacking < 0 {
			return l, picked, nil
		}
		l = l.without(lacking)
	}
}

func estimateReference(t *predict.Table, s arch.Space) (float64, error) {
	g, err := s.Network(arch.Reference(s), 1)
	if err != nil {
		return 0, err
	}
	e, err := t.Estimate(ops.Fuse(g))
	return e.Seconds, err
}
