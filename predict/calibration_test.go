// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// world is a made-up device: operations of several kinds that take, in a
// network, their time alone times a factor.
type world struct {
	keys     []ops.Key
	alone    []float64
	factor   func(k ops.Key) float64
	constant float64
	pressure float64 // how much longer operations with weights take for each million weights, relative
	noise    float64 // of networks, relative
	drift    func() float64
	rng      *rand.Rand
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), factor: func(ops.Key) float64 { return 1 }}
	for _, size := range []int{28, 14, 7} {
		c := 24 * 28 / size
		conv := func(kernel, groups int) ops.Key {
			return ops.Key{Kind: ops.Conv, Window: ops.Same(kernel, 1, 1), Groups: groups, In: c, Out: c, H: size, W: size, N: 1}
		}
		w.keys = append(w.keys, conv(1, 1), conv(3, 1), conv(5, 1), conv(3, c),
			ops.Key{Kind: ops.AvgPool, Window: ops.Same(3, 1, 1), In: c, Out: c, H: size, W: size, N: 1},
			ops.Key{Kind: ops.Add, In: c, Out: c, H: size, W: size, N: 1, Inputs: 2})
	}
	for range w.keys {
		w.alone = append(w.alone, 1e-5*math.Exp(w.rng.NormFloat64()))
	}
	return w
}

// network has each operation up to 5 times.
func (w *world) network() (counts map[ops.Key]int, seconds float64) {
	counts, seconds = map[ops.Key]int{}, w.constant
	weighted, weights := 0.0, 0.0
	for i, k := range w.keys {
		if n := w.rng.IntN(9) - 3; n > 0 {
			counts[k] = n
			seconds += float64(n) * w.factor(k) * w.alone[i]
			if k.Kind == ops.Conv {
				weighted += float64(n) * w.alone[i]
				weights += float64(n * k.Window.Kernel * k.Window.Kernel * k.In / k.Groups * k.Out)
			}
		}
	}
	seconds += w.pressure * weighted * weights / 1e6
	return counts, seconds * math.Exp(w.noise*w.rng.NormFloat64())
}

// profile has all operations and n networks.
func (w *world) profile(n int) *profiles.Profile {
	p := &profiles.Profile{}
	time := func(seconds float64) profiles.Timing {
		if w.drift == nil {
			return timing(seconds, 0.01*seconds)
		}
		d := w.drift()
		t := timing(d*seconds, 0.01*seconds)
		t.SentinelS = []float64{2e-5 * d, 2.1e-5 * d, 2.2e-5 * d}
		return t
	}
	for i, k := range w.keys {
		p.Entries = append(p.Entries, profiles.Entry{Key: k.String(), Timing: time(w.alone[i])})
	}
	for i := range n {
		counts, seconds := w.network()
		texts := map[string]int{}
		for k, c := range counts {
			texts[k.String()] = c
		}
		p.Networks = append(p.Networks, profiles.Network{
			Arch: fmt.Sprintf("network %02d", i), Counts: texts, Timing: time(seconds)})
	}
	return p
}

// errors are those of predictions of new networks, relative.
func (w *world) errors(t *testing.T, table *Table, n int) (errors []float64) {
	t.Helper()
	for range n {
		counts, seconds := w.network()
		e, err := table.EstimateCounts(counts)
		if err != nil {
			t.Fatal(err)
		}
		errors = append(errors, e.Seconds/seconds-1)
	}
	return errors
}

func largest(errors []float64) float64 {
	m := 0.0
	for _, e := range errors {
		m = max(m, math.Abs(e))
	}
	return m
}

// A device on which the weights of large networks no longer fit a cache is
// predicted as well as others.
func TestCachePressure(t *testing.T) {
	for _, tc := range []struct{ pressure, lo, hi float64 }{{0, 0, 0.02}, {0.02, 0.02, 0.06}, {0.05, 0.06, 0.15}} {
		w := newWorld(12)
		w.pressure, w.noise = tc.pressure, 0.003
		table := NewTable(w.profile(24))
		if got := table.Calibration().CachePressure; got < tc.lo || got > tc.hi {
			t.Errorf("pressure %v: found %v, want %v to %v", tc.pressure, got, tc.lo, tc.hi)
		}
		if worst := largest(w.errors(t, table, 200)); worst > 0.02 {
			t.Errorf("pressure %v: an error of %.1f %%", tc.pressure, 100*worst)
		}
	}
}

// The factors of a made-up device are found, and so are its predictions.
func TestFactors(t *testing.T) {
	factors := map[kind]float64{pointwise: 1.02, conv3x3: 1.17, convLarger: 1.1, depthwise: 0.9, pooling: 0.95, sums: 1.05}
	w := newWorld(1)
	w.factor = func(k ops.Key) float64 { return factors[kindOf(k)] }
	w.constant, w.noise = 2e-5, 0.002
	table := NewTable(w.profile(24))
	c := table.Calibration()
	if c.Model != ByKind && c.Model != ByOperation || c.Used != 24 || c.Measured != 24 || len(c.LeftOut) != 0 {
		t.Errorf("%+v", c)
	}
	if len(c.Factors) != len(factors) {
		t.Errorf("factors %+v", c.Factors)
	}
	for _, f := range c.Factors {
		for k, want := range factors {
			if f.Kind != kindNames[k] {
				continue
			}
			if math.Abs(f.Value-want) > 0.05 || f.Deviation <= 0 || f.Deviation > 0.1 || f.Lo > f.Value || f.Hi < f.Value {
				t.Errorf("%+v, want %v", f, want)
			}
		}
	}
	if table.Constant() != c.ConstantS || c.ConstantS < 0 || c.ConstantS > 6e-5 {
		t.Errorf("constant %g, want about %g", c.ConstantS, w.constant)
	}
	if worst := largest(w.errors(t, table, 200)); worst > 0.03 {
		t.Errorf("an error of %.1f %%", 100*worst)
	}
	for _, h := range c.HeldOut {
		if h.Model == Sum && h.MAPE < 0.04 || h.Model == MACs && h.MAPE < 0.1 || h.Model == c.Model && h.MAPE > 0.02 {
			t.Errorf("%+v", c.HeldOut)
		}
	}
	if !strings.Contains(c.Basis, "by-kind") || !strings.Contains(c.Basis, "macs") {
		t.Errorf("basis %q", c.Basis)
	}
}

// A kind that no network has takes part in the factor that all share, and in
// nothing else; its own stays as uncertain as it was.
func TestFactorsThatNetworksCannotIdentify(t *testing.T) {
	w := newWorld(2)
	w.factor = func(ops.Key) float64 { return 1.1 }
	w.noise = 0.002
	p := w.profile(24)
	for _, n := range p.Networks {
		for text := range n.Counts {
			if k, _ := ops.ParseKey(text); kindOf(k) == depthwise {
				n.MedianS -= 1.1 * float64(n.Counts[text]) * w.alone[index(w.keys, k)]
				delete(n.Counts, text)
			}
		}
	}
	for i, n := range p.Networks { // networks are values: put their times right
		sum := 0.0
		for text, c := range n.Counts {
			k, _ := ops.ParseKey(text)
			sum += 1.1 * float64(c) * w.alone[index(w.keys, k)]
		}
		p.Networks[i].Timing = timing(sum, 0.01*sum)
	}
	for _, f := range NewTable(p).Calibration().Factors {
		unseen := f.Kind == kindNames[depthwise]
		if math.Abs(f.Value-1.1) > 0.03 || unseen != (f.Deviation > 0.09) {
			t.Errorf("%+v", f)
		}
	}
}

func index(keys []ops.Key, k ops.Key) int {
	for i := range keys {
		if keys[i] == k {
			return i
		}
	}
	return -1
}

// An operation whose entry is wrong, and a network that was disturbed, do not
// spoil the predictions of others.
func TestCalibrationIsRobust(t *testing.T) {
	w := newWorld(3)
	w.noise = 0.01
	p := w.profile(24)
	right := p.Entries[1].MedianS
	p.Entries[1].Timing = timing(10*right, 0.01*right)
	table := NewTable(p)
	if c := table.Calibration(); c.Model != ByOperation {
		t.Errorf("an entry × 10: %+v", c)
	}
	if worst := largest(w.errors(t, table, 200)); worst > 0.1 {
		t.Errorf("an entry × 10: an error of %.1f %%", 100*worst)
	}
	p.Entries[1].Timing = timing(0.1*right, 0.01*right) // no factor mends that, but the interval says so
	table = NewTable(p)
	g := table.Guard(0.975).Relative
	outside := 0
	for _, e := range w.errors(t, table, 200) {
		if math.Abs(e) > g {
			outside++
		}
	}
	if outside > 20 {
		t.Errorf("an entry × 0.1: %d of 200 networks beyond %.1f %%", outside, 100*g)
	}
	w = newWorld(4)
	w.noise = 0.005
	p = w.profile(24)
	for _, i := range []int{3, 17} {
		n := &p.Networks[i]
		n.Timing = timing(2*n.MedianS, 0.01*n.MedianS)
	}
	table = NewTable(p)
	c := table.Calibration()
	if c.Used != 22 || len(c.LeftOut) != 2 || c.LeftOut[0].Arch != "network 03" ||
		!strings.HasPrefix(c.LeftOut[1].Reason, "outlier: takes") {
		t.Errorf("%+v", c)
	}
	if g := table.Guard(0.95); g.Relative > 0.07 || !strings.Contains(g.Basis, "22 networks, 2 left out") {
		t.Errorf("%+v", g)
	}
	if worst := largest(w.errors(t, table, 200)); worst > 0.04 {
		t.Errorf("an error of %.1f %%", 100*worst)
	}
}

// Where networks follow their multiply-accumulates and the entries say
// nothing, the line through them is what is used.
func TestLineThroughMACs(t *testing.T) {
	w := newWorld(5)
	p := w.profile(24)
	for i := range p.Entries {
		s := 1e-5 * math.Exp(1.5*w.rng.NormFloat64())
		p.Entries[i].Timing = timing(s, 0.01*s)
	}
	for i, n := range p.Networks {
		s := 2e-4
		for text, c := range n.Counts {
			k, _ := ops.ParseKey(text)
			s += float64(c) * macs(k) / 2e10
		}
		p.Networks[i].Timing = timing(s, 0.01*s)
	}
	table := NewTable(p)
	if c := table.Calibration(); c.Model != MACs || math.Abs(c.ConstantS-2e-4) > 1e-5 || c.Factors != nil {
		t.Errorf("%+v", c)
	}
	if e, err := table.Operation(w.keys[0]); err != nil || math.Abs(e.Seconds-macs(w.keys[0])/2e10) > 0.02*e.Seconds {
		t.Errorf("%+v, %v", e, err)
	}
	g, err := benchmarkGraph()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for k, c := range ops.Keys(g) {
		sum += float64(c) * macs(k)
	}
	if want := float64(g.Count().MACs); sum != want {
		t.Errorf("%v multiply-accumulates by keys, %v by the graph", sum, want)
	}
}

func benchmarkGraph() (*ops.Graph, error) {
	b, x := ops.NewBuilder(ops.Shape{N: 2, C: 3, H: 17, W: 17})
	y := ops.ReLUConvBN(b.Scope("a"), x, 3, ops.Config{Channels: 16, Stride: 2})
	y = ops.ReLUConvBN(b.Scope("b"), y, 1, ops.Config{Channels: 8, Stride: 1})
	g, err := b.Finish(b.Linear("c", b.GlobalAvgPool("d", y), 10))
	if err != nil {
		return nil, err
	}
	return ops.Fuse(g), nil
}

// A machine that drifts is seen by the sentinel.
func TestDrift(t *testing.T) {
	w := newWorld(6)
	w.noise = 0.002
	w.drift = func() float64 { return math.Exp(0.05 * w.rng.NormFloat64()) }
	p := w.profile(24)
	table := NewTable(p)
	if !table.Calibration().Drift {
		t.Errorf("%+v", table.Calibration())
	}
	usual := w.drift
	w.drift = nil
	if worst := largest(w.errors(t, table, 100)); worst > 0.05 {
		t.Errorf("an error of %.1f %%", 100*worst)
	}
	w.drift = usual
	p.Networks[0].SentinelS = nil
	if NewTable(p).Calibration().Drift {
		t.Error("drift without a sentinel")
	}
}

// Each network that is left out is said to be, and why.
func TestLeftOut(t *testing.T) {
	w := newWorld(7)
	p := w.profile(12)
	p.Networks[0].Timing = profiles.Timing{Status: profiles.Failed, Reason: "killed"}
	p.Networks[1].HiS = 1.3 * p.Networks[1].MedianS
	p.Networks[2].Counts = nil
	p.Networks[3].Counts = map[string]int{"teleport": 1}
	p.Networks[4].Counts[(ops.Key{Kind: ops.ReLU, In: 1, Out: 1, H: 1, W: 1, N: 1}).String()] = 1
	p.Networks[5].MedianS *= 1000
	p.Networks[5].HiS *= 1000
	p.Networks[5].LoS *= 1000
	c := NewTable(p).Calibration()
	if c.Measured != 12 || c.Used != 6 || len(c.LeftOut) != 6 {
		t.Fatalf("%+v", c)
	}
	for i, want := range []string{"failed: killed", "vague", "not recorded", "teleport", "relu", "absurd"} {
		if l := c.LeftOut[i]; l.Arch != fmt.Sprintf("network %02d", i) || !strings.Contains(l.Reason, want) {
			t.Errorf("%+v, want %s", l, want)
		}
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

// Old profiles have no counts, no sentinel, a constant or nothing at all.
func TestOldProfiles(t *testing.T) {
	w := newWorld(8)
	p := w.profile(5)
	constant := -1e-6
	p.ConstantS = &constant
	table := NewTable(p)
	if c := table.Calibration(); c.Model != SumConstant || c.ConstantS != constant || c.Used != 5 || len(c.HeldOut) != 0 {
		t.Errorf("%+v", c)
	}
	e, err := table.EstimateCounts(map[ops.Key]int{w.keys[0]: 2})
	if err != nil || math.Abs(e.Seconds-2*w.alone[0]-constant) > 1e-12 {
		t.Errorf("%+v, %v", e, err)
	}
	p.ConstantS = nil
	for i := range p.Networks {
		p.Networks[i].Counts = nil
	}
	table = NewTable(p)
	c := table.Calibration()
	if c.Model != Sum || c.Used != 0 || c.Measured != 5 || !strings.Contains(c.Basis, "of 5 networks") {
		t.Errorf("%+v", c)
	}
	if c := NewTable(&profiles.Profile{}).Calibration(); c.Model != Sum || c.Measured != 0 {
		t.Errorf("%+v", c)
	}
}

// A profile in any order gives the same bits, and costs add up.
func TestCalibrationIsDeterministicAndLinear(t *testing.T) {
	w := newWorld(9)
	w.noise = 0.02
	p := w.profile(24)
	table := NewTable(p)
	for range 5 {
		w.rng.Shuffle(len(p.Entries), func(i, j int) { p.Entries[i], p.Entries[j] = p.Entries[j], p.Entries[i] })
		w.rng.Shuffle(len(p.Networks), func(i, j int) { p.Networks[i], p.Networks[j] = p.Networks[j], p.Networks[i] })
		again := NewTable(p)
		if !reflect.DeepEqual(again.Calibration(), table.Calibration()) || !reflect.DeepEqual(again.line, table.line) ||
			again.Guard(0.95) != table.Guard(0.95) {
			t.Fatal("another order of the profile, another table")
		}
	}
	for range 20 {
		counts, _ := w.network()
		want := table.Constant()
		for k, c := range counts {
			e, err := table.Operation(k)
			if err != nil {
				t.Fatal(err)
			}
			want += float64(c) * e.Seconds
		}
		if e, err := table.EstimateCounts(counts); err != nil || math.Abs(e.Seconds-want) > 1e-12*want {
			t.Errorf("%v, %v: want the sum %v", e.Seconds, err, want)
		}
	}
}

// Two-sided intervals cover what they promise in another session, on devices of
// any noise; and in a session of which the drift is known those that leave it out.
func TestIntervalCovers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ noise, lo, hi float64 }{{0.03, 0.92, 0.98}, {0.02, 0.93, 0.995}, {0.05, 0.90, 0.97}} {
		inside, known, all := 0, 0, 0
		for seed := range uint64(60) {
			w := newWorld(100 + seed)
			w.factor = func(k ops.Key) float64 { return 1 + 0.03*float64(kindOf(k)) }
			w.noise = tc.noise
			table := NewTable(w.profile(22))
			session := math.Exp(sessions * rand.New(rand.NewPCG(seed, 5)).NormFloat64())
			for range 60 {
				counts, seconds := w.network()
				same := seconds
				seconds *= session
				e, err := table.EstimateCounts(counts)
				if err != nil {
					t.Fatal(err)
				}
				all++
				if lo, hi := table.Interval(e, 0.95); lo <= seconds && seconds <= hi {
					inside++
				}
				if lo, hi := table.IntervalInSession(e, 0.95); lo <= same && same <= hi {
					known++
				}
			}
		}
		if share := float64(known) / float64(all); share < 0.90 || share > 0.975 {
			t.Errorf("noise of %.0f %%: intervals of the same session cover %.3f", 100*tc.noise, share)
		}
		if share := float64(inside) / float64(all); share < tc.lo || share > tc.hi {
			t.Errorf("noise of %.0f %%: intervals cover %.3f, want %v to %v", 100*tc.noise, share, tc.lo, tc.hi)
		}
	}
}

// Upper, Limit, Guard and Interval are one function.
func TestLimitIsTheInverseOfUpper(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 0))
	for seed := range uint64(10) {
		w := newWorld(seed)
		w.noise = 0.05 * rng.Float64()
		table := NewTable(w.profile(rng.IntN(30)))
		for range 50 {
			budget, confidence := math.Exp(20*rng.Float64()-15), 0.5+0.499*rng.Float64()
			limit := table.Limit(budget, confidence)
			next := Estimate{Seconds: math.Nextafter(limit, 1e300)}
			if up := table.Upper(Estimate{Seconds: limit}, confidence); up > budget || table.Upper(next, confidence) <= budget {
				t.Fatalf("limit %v of budget %v at %v: upper end %v", limit, budget, confidence, up)
			}
			if g := table.Guard(confidence); math.Abs(limit*(1+g.Relative)/budget-1) > 1e-12 {
				t.Errorf("limit %v, guard %v", limit, g)
			}
			lo, hi := table.Interval(Estimate{Seconds: budget}, confidence)
			if !(0 < lo && lo <= budget && budget <= hi) || hi != table.Upper(Estimate{Seconds: budget}, (1+confidence)/2) {
				t.Errorf("%v…%v around %v", lo, hi, budget)
			}
			if surer := table.Guard(confidence + (1-confidence)/2); surer.Relative < table.Guard(confidence).Relative {
				t.Errorf("%+v, though it is surer", surer)
			}
		}
	}
	if l := NewTable(&profiles.Profile{}).Limit(0, 0.95); l != 0 {
		t.Errorf("limit %v of no budget", l)
	}
	if l := NewTable(&profiles.Profile{}).Limit(math.Inf(1), 0.95); !math.IsInf(l, 1) {
		t.Errorf("limit %v of an endless budget", l)
	}
}

// Whatever stands in a valid profile, no prediction is negative or no number.
func TestAnyProfilePredicts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 0))
	for seed := range uint64(150) {
		w := newWorld(seed)
		p := w.profile(rng.IntN(25))
		wild := func(t *profiles.Timing, strength float64) {
			s := t.MedianS * math.Exp(strength*rng.NormFloat64())
			if rng.IntN(10) == 0 {
				s = math.Exp(100 * (rng.Float64() - 0.5))
			}
			*t = timing(s, 0)
			t.SentinelS = []float64{math.Exp(100 * (rng.Float64() - 0.5))}
			if rng.IntN(3) == 0 {
				t.HiS = s * (1 + rng.Float64())
			}
		}
		strength := 5 * rng.Float64()
		for i := range p.Entries {
			wild(&p.Entries[i].Timing, strength)
		}
		for i := range p.Networks {
			wild(&p.Networks[i].Timing, strength)
		}
		table := NewTable(p)
		if g := table.Guard(0.95).Relative; !(g >= 0) || math.IsInf(g, 0) {
			t.Errorf("profile %d: guard %v", seed, g)
		}
		if c := table.Constant(); !(c >= 0) || math.IsInf(c, 0) {
			t.Errorf("profile %d: constant %v", seed, c)
		}
		for range 10 {
			counts, _ := w.network()
			e, err := table.EstimateCounts(counts)
			lo, hi := table.Interval(e, 0.95)
			if err != nil || !(e.Seconds > 0) || math.IsInf(e.Seconds, 0) ||
				!(e.Deviation >= 0) || !(lo > 0 && hi >= e.Seconds) {
				t.Errorf("profile %d, %s: %+v, %v, %v…%v", seed, table.calibration.Model, e, err, lo, hi)
			}
		}
		if _, err := json.Marshal(table.Calibration()); err != nil {
			t.Errorf("profile %d: %v", seed, err)
		}
	}
}
