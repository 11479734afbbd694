// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// law is how long a device takes.
type law struct {
	call float64 // seconds of any network
	rate float64 // multiply-accumulates a second
}

func (w law) seconds(macs float64) float64 { return w.call + macs/w.rate }

// Few measurements find sizes for any budget on any device, however wildly the
// times vary.
func TestLadderFindsSizes(t *testing.T) {
	for _, space := range []string{"nb201", "darts", "mbconv"} {
		l, err := newLadder(SizeRequest{Space: space, Base: arch.Size{Image: 28, Colours: 1, Classes: 10}})
		if err != nil {
			t.Fatal(err)
		}
		for device, law := range map[string]law{"phone": {20e-6, 10e9}, "pi": {60e-6, 2e9}, "server": {15e-6, 150e9}} {
			truth := func(i int) float64 { return law.seconds(l.rungs[i].macs) }
			for _, limit := range []float64{1e-4, 5e-4, 1e-3, 2e-3, 1e-2, 5e-2, 0.2} {
				for _, noise := range []float64{0, 0.1} {
					t.Run(fmt.Sprint(device, space, limit, noise), func(t *testing.T) {
						rng := rand.New(rand.NewPCG(1, 0))
						l.times = nil
						slowest := 0.0
						err := l.measure(limit, func(s arch.Space) (float64, error) {
							i := slices.IndexFunc(l.rungs, func(r rung) bool { return r.space == s })
							slowest = max(slowest, truth(i))
							return truth(i) * (1 + noise*(2*rng.Float64()-1)), nil
						})
						if err != nil {
							t.Fatal(err)
						}
						picked := l.pick(limit)
						check(t, l, picked, truth, limit, noise)
						if len(l.times) > 6 || slowest > 3*limit && truth(0) < limit {
							t.Errorf("%d networks were measured, of up to %g s", len(l.times), slowest)
						}
					})
				}
			}
		}
	}
}

// check fails the test unless rungs suit a limit by their true times.
func check(t *testing.T, l *ladder, picked []int, truth func(int) float64, limit, noise float64) {
	t.Helper()
	top, wild := picked[0], 1+1.5*noise
	if truth(top) > 0.8*limit*wild && top > 0 {
		t.Errorf("the largest takes %g of the limit", truth(top)/limit)
	}
	if top+1 < len(l.rungs) && truth(top+1) < 0.76*limit/wild {
		t.Errorf("the next larger one takes only %g of the limit", truth(top+1)/limit)
	}
	for k, i := range picked[1:] {
		share := truth(i) / limit
		if i >= picked[k] || share > []float64{0.62, 0.48}[k]*wild {
			t.Errorf("rung %d takes %g of the limit; before it is %d", i, share, picked[k])
		}
		if next := i + 1; next < picked[k] && truth(next)/limit < []float64{0.57, 0.43}[k]/wild {
			t.Errorf("rung %d, which takes %g of the limit, would do", next, truth(next)/limit)
		}
	}
}

// The ends of the ladder: everything is too slow, or too fast.
func TestLadderEnds(t *testing.T) {
	l, err := newLadder(SizeRequest{Space: "nb201", Base: arch.Size{Image: 28, Colours: 1, Classes: 10}})
	if err != nil {
		t.Fatal(err)
	}
	last := len(l.rungs) - 1
	for _, tt := range []struct {
		name  string
		limit float64
		want  []int
		idle  bool
	}{
		{"too slow", 1e-9, []int{0}, false}, {"too fast", 1e5, []int{last}, true},
	} {
		l.times = nil
		if err := l.measure(tt.limit, func(s arch.Space) (float64, error) {
			macs, err := arch.ReferenceMACs(s)
			return macs / 1e9, err
		}); err != nil {
			t.Fatal(err)
		}
		if got := l.pick(tt.limit); !slices.Equal(got, tt.want) || l.idle(got[0], tt.limit) != tt.idle || len(l.times) > 6 {
			t.Errorf("%s: rungs %v after %d measurements: want %v", tt.name, got, len(l.times), tt.want)
		}
	}
}

// board measures by a law.
type board struct {
	law
	work []Work
	fail error
}

func (b *board) Measure(_ context.Context, w Work, p *profiles.Profile, record Record, _ Progress) error {
	b.work = append(b.work, w)
	if b.fail != nil {
		return b.fail
	}
	timing := func(macs int64) profiles.Timing {
		s := b.seconds(float64(macs))
		return profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: 0.999 * s, HiS: 1.001 * s}
	}
	var entries []profiles.Entry
	for _, k := range w.Keys {
		g, err := k.Chain(1)
		if err != nil {
			return err
		}
		entries = append(entries, profiles.Entry{Key: k.String(), Timing: timing(g.Count().MACs)})
	}
	var networks []profiles.Network
	for _, n := range w.latency().Networks {
		networks = append(networks, profiles.Network{Arch: n.Arch, Counts: map[string]int{w.key(): 1},
			Timing: timing(n.Graph.Count().MACs)})
	}
	if record != nil {
		return record(entries, networks)
	}
	p.Merge(entries, networks)
	return nil
}

// key is some operation.
func (w Work) key() string {
	if len(w.Keys) == 0 {
		return "none"
	}
	return w.Keys[0].String()
}

func (*board) Report(context.Context) (wire.Report, error)  { return wire.Report{}, nil }
func (*board) Inspect(context.Context) (wire.Report, error) { return wire.Report{}, nil }
func (*board) Leave() error                                 { return nil }
func (*board) Verify(context.Context, string, string) (latency.Verification, error) {
	return latency.Verification{}, nil
}

// onBoard are targets of which all are the board, and what they tell.
func onBoard(b *board, o Options) (*Targets, *[]event.Event) {
	var told []event.Event
	t := New(Host{}, 1, func(e event.Event) { told = append(told, e) })
	o.Profile = ""
	t.used = append(t.used, used{o, b})
	return t, &told
}

func tinyRequest(budget float64) SizeRequest {
	return SizeRequest{Space: "mbconv", Base: arch.Size{Image: 8, Colours: 1, Classes: 3}, BudgetS: budget,
		Confidence: 0.95, Inventories: &inventory.Cache{}, Threads: 2}
}

// What was measured for one budget is enough for it without the device, and the
// same sizes are chosen.
func TestChooseSizes(t *testing.T) {
	const budget = 1e-3
	live, b := Default(), &board{law: law{1e-9, 10e9}}
	targets, _ := onBoard(b, live)
	p := &profiles.Profile{Runtime: native.Info(1)}
	q := tinyRequest(budget)
	measured, err := targets.ChooseSizes(t.Context(), p, q, live)
	if err != nil || len(measured.Sizes) != 3 || len(measured.References) != len(b.work) {
		t.Fatalf("%+v, %v after %d measurements", measured, err, len(b.work))
	}
	for i, r := range measured.References {
		if !r.Measured || b.work[i].Rounds != 3 || b.work[i].Networks[0].Space.Size() != r.Size || !(r.Seconds > 0) {
			t.Errorf("reference %d: %+v", i, r)
		}
	}
	sizes, err := q.Inventories.Sizes("mbconv", measured.Sizes, 2)
	if err != nil {
		t.Fatal(err)
	}
	// One profile holds the tables of the three.
	path := filepath.Join(t.TempDir(), "p.json")
	if err := targets.Complete(t.Context(), p, sizes, live, path); err != nil {
		t.Fatal(err)
	}
	work, names, of := b.work[len(b.work)-1], map[string]bool{}, map[arch.Size]int{}
	for _, n := range work.Networks {
		names[n.Arch] = true
		of[n.Space.Size()]++
	}
	if len(work.Keys) != len(sizes.Keys()) || len(names) != CalibrationNetworks || len(of) < 2 {
		t.Errorf("%d operations; networks %v", len(work.Keys), of)
	}
	if err := Lacks(p, sizes, live); err != nil {
		t.Error(err)
	}

	away := live
	away.Profile = path
	p.Networks = nil // they are not those that the operations add up to
	predicted, err := targets.ChooseSizes(t.Context(), p, q, away)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(predicted.Sizes, measured.Sizes) || predicted.References[0].Measured {
		t.Errorf("%+v: want %+v", predicted, measured.Sizes)
	}
	// With the device at hand, the profile is asked first.
	before := len(b.work)
	again, err := targets.ChooseSizes(t.Context(), p, q, live)
	if err != nil || !slices.Equal(again.Sizes, measured.Sizes) || len(b.work) != before {
		t.Errorf("%+v, %v after %d more measurements: want %+v", again, err, len(b.work)-before, measured.Sizes)
	}
}

// Where no size is in the profile, the error says how to measure some.
func TestChooseSizesLacking(t *testing.T) {
	o := Default()
	o.Profile = "pi5.json"
	targets, _ := onBoard(&board{}, o)
	_, err := targets.ChooseSizes(t.Context(), &profiles.Profile{Runtime: native.Info(1)}, tinyRequest(2e-3), o)
	var missing *profiles.MissingError
	if !errors.As(err, &missing) || fault.Code(err) != fault.Profile || !strings.HasSuffix(err.Error(),
		"edgenas profile --space mbconv --image 8 --colours 1 --classes 3 --latency-budget 2ms --only-missing -o pi5.json") {
		t.Errorf("%v", err)
	}
}

// A device that is faster than all sizes need gets the largest, and is told so.
func TestChooseSizesTooFast(t *testing.T) {
	o := Default()
	targets, told := onBoard(&board{law: law{1e-9, 1e18}}, o)
	q := tinyRequest(0.2)
	q.Base.Channels = 8
	got, err := targets.ChooseSizes(t.Context(), &profiles.Profile{Runtime: native.Info(1)}, q, o)
	if err != nil || len(got.Sizes) != 1 || got.Sizes[0].Cells != 5 || got.Sizes[0].Channels != 8 {
		t.Errorf("%+v, %v", got, err)
	}
	if len(*told) != 1 || !strings.Contains((*told)[0].(event.Note).Text, "--channels") {
		t.Errorf("%v", *told)
	}
}

// A size that is given is not looked at.
func TestChooseSizesGiven(t *testing.T) {
	b := &board{law: law{1e-9, 1e18}}
	targets, told := onBoard(b, Default())
	q := tinyRequest(1e-9)
	q.Base.Channels, q.Base.Cells = 8, 2
	got, err := targets.ChooseSizes(t.Context(), &profiles.Profile{}, q, Default())
	if err != nil || !slices.Equal(got.Sizes, []arch.Size{q.Base}) || len(b.work)+len(*told) > 0 {
		t.Errorf("%+v, %v after %d measurements", got, err, len(b.work))
	}
}

func TestChooseSizesFails(t *testing.T) {
	o, broken := Default(), errors.New("broken")
	targets, _ := onBoard(&board{fail: broken}, o)
	if _, err := targets.ChooseSizes(t.Context(), &profiles.Profile{}, tinyRequest(1e-3), o); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	q := tinyRequest(1e-3)
	q.Base.Image = 7
	if _, err := targets.ChooseSizes(t.Context(), &profiles.Profile{}, q, o); fault.Code(err) != fault.Usage {
		t.Errorf("%v", err)
	}
}

// A profile is of the sizes whose networks it has measured, even where it has the
// operations of smaller ones as well; and it has to be told of networks in each.
func TestSizesOf(t *testing.T) {
	q := tinyRequest(0)
	of := func(cells int) inventory.Sizes {
		t.Helper()
		sizes, err := q.Inventories.Sizes("mbconv", []arch.Size{
			{Cells: cells, Channels: 2, Image: 8, Colours: 1, Classes: 3}}, q.Threads)
		if err != nil {
			t.Fatal(err)
		}
		return sizes
	}
	ok := profiles.Timing{Status: profiles.OK, N: 15, MedianS: 1e-3, LoS: 1e-3, HiS: 1e-3}
	p := &profiles.Profile{}
	for _, text := range of(3)[0].KeyTexts() {
		p.Entries = append(p.Entries, profiles.Entry{Key: text, Timing: ok})
	}
	sizes := func() (cells []int) {
		t.Helper()
		all, err := SizesOf(p, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			cells = append(cells, s.Cells)
		}
		return cells
	}
	fewest := sizes()
	if len(fewest) != 1 || fewest[0] >= 3 {
		t.Fatalf("without networks: cells %v, want one size, with fewer than 3", fewest)
	}
	whole, err := calibrators(p, of(3), 1)
	if err != nil || len(whole) != CalibrationNetworks {
		t.Fatalf("%d networks to measure, %v", len(whole), err)
	}
	for _, n := range whole {
		counts := map[string]int{}
		for k, count := range ops.Keys(n.Graph) {
			counts[k.String()] = count
		}
		p.Networks = append(p.Networks, profiles.Network{Arch: n.Arch, Counts: counts, Timing: ok})
	}
	if got := sizes(); !slices.Equal(got, []int{3}) {
		t.Errorf("cells %v, want those of the networks: 3", got)
	}
	if more, err := calibrators(p, of(3), 1); err != nil || len(more) > 0 {
		t.Errorf("%d more networks to measure in the same size, %v", len(more), err)
	}
	if more, err := calibrators(p, of(fewest[0]), 1); err != nil || len(more) == 0 {
		t.Errorf("%d networks to measure in another size, %v", len(more), err)
	}
}
