// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

func timing(median, halfWidth float64) profiles.Timing {
	return profiles.Timing{Status: profiles.OK, N: 10, MedianS: median, LoS: median - halfWidth, HiS: median + halfWidth}
}

// someKeys are operations of several kinds.
func someKeys() []ops.Key {
	conv := func(kernel, stride, in, out, size int) ops.Key {
		return ops.Key{Kind: ops.Conv, Window: ops.Same(kernel, stride, 1), Groups: 1, In: in, Out: out,
			H: size, W: size, N: 1, Bias: true, ReLUIn: true}
	}
	return []ops.Key{conv(3, 1, 16, 16, 32), conv(1, 1, 16, 16, 32), conv(3, 2, 16, 32, 32),
		{Kind: ops.AvgPool, Window: ops.Same(3, 1, 1), In: 16, Out: 16, H: 32, W: 32, N: 1},
		{Kind: ops.Add, In: 32, Out: 32, H: 16, W: 16, N: 1, Inputs: 3}}
}

func TestEstimate(t *testing.T) {
	keys := someKeys()
	p := &profiles.Profile{Device: profiles.Device{Model: "board"}, Entries: []profiles.Entry{
		{Key: keys[0].String(), Timing: timing(2e-3, 1.96e-5)},
		{Key: keys[1].String(), Timing: timing(1e-3, 1.96e-5)},
		{Key: keys[2].String(), Timing: profiles.Timing{Status: profiles.Failed, Reason: "broken"}},
		{Key: "teleport/k=3", Timing: timing(1, 0)},
	}}
	constant := 5e-4
	p.ConstantS = &constant
	table := NewTable(p)

	e, err := table.EstimateCounts(map[ops.Key]int{keys[0]: 3, keys[1]: 4})
	if err != nil || math.Abs(e.Seconds-(3*2e-3+4*1e-3+5e-4)) > 1e-15 || math.Abs(e.Deviation-5e-5) > 1e-8 {
		t.Errorf("%+v, %v: want 10.5 ms ± 50 µs", e, err) // 3 and 4 times 10 µs
	}
	if e, err := table.Operation(keys[1]); err != nil || e.Seconds != 1e-3 {
		t.Errorf("%+v, %v", e, err)
	}
	var missing *profiles.MissingError
	_, err = table.EstimateCounts(map[ops.Key]int{keys[0]: 1, keys[4]: 1, keys[3]: 2})
	if !errors.As(err, &missing) || len(missing.Keys) != 2 ||
		missing.Device != "board" || missing.Keys[0] > missing.Keys[1] {
		t.Errorf("%v", err)
	}
	var failed *profiles.FailedError
	_, err = table.EstimateCounts(map[ops.Key]int{keys[0]: 1, keys[2]: 1})
	if !errors.As(err, &failed) || failed.Reason != "broken" {
		t.Errorf("%v", err)
	}
	constant = -1
	_, err = NewTable(p).EstimateCounts(map[ops.Key]int{keys[0]: 1})
	if err == nil || !strings.Contains(err.Error(), "constant") {
		t.Errorf("a network of negative latency: %v", err)
	}
}

// Equal counts give equal bits, though maps have no order.
func TestEstimateIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	p, counts := &profiles.Profile{}, map[ops.Key]int{}
	for c := range 40 {
		k := ops.Key{Kind: ops.ReLU, In: c + 1, Out: c + 1, H: 8, W: 8, N: 1}
		p.Entries = append(p.Entries, profiles.Entry{Key: k.String(), Timing: timing(rng.Float64()+0.01, 1e-3)})
		counts[k] = 1 + rng.IntN(9)
	}
	first, err := NewTable(p).EstimateCounts(counts)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		rng.Shuffle(len(p.Entries), func(i, j int) { p.Entries[i], p.Entries[j] = p.Entries[j], p.Entries[i] })
		if e, err := NewTable(p).EstimateCounts(counts); err != nil || e != first {
			t.Fatalf("%v, then %v (%v)", first, e, err)
		}
	}
}

// networksProfile has one operation of a millisecond and n networks that take
// it 1 to 10 times, plus beyond, times 1 + error.
func networksProfile(n int, beyond float64, relativeError func(i int) float64) *profiles.Profile {
	key := someKeys()[0].String()
	p := &profiles.Profile{Entries: []profiles.Entry{{Key: key, Timing: timing(1e-3, 0)}}}
	for i := range n {
		count := 1 + i%10
		median := (float64(count)*1e-3 + beyond) * (1 + relativeError(i))
		p.Networks = append(p.Networks, profiles.Network{
			Arch: strings.Repeat("n", i+1), Counts: map[string]int{key: count}, Timing: timing(median, 0)})
	}
	return p
}

func TestGuard(t *testing.T) {
	exact := func(int) float64 { return 0 }
	alternating := func(i int) float64 { return 0.02 * float64(i%3-1) } // −2, 0, 2 %
	slower := func(int) float64 { return 0.1 }
	for _, tc := range []struct {
		name     string
		p        *profiles.Profile
		lo, hi   float64
		basis    string
		networks int
	}{
		{"no network", networksProfile(0, 0, exact), 0.10, 0.10, "assumed: no network was measured whole", 0},
		{"two exact networks", networksProfile(2, 0, exact), 0.10, 0.10, "only 2", 2},
		{"two networks far off", networksProfile(2, 1e-3, exact), 0.5, 1, "only 2", 2},
		{"ten exact networks", networksProfile(10, 1e-4, exact), 0.04, 0.065, "held-out errors of 10", 10},
		{"ten of ±2 %", networksProfile(10, 0, alternating), 0.05, 0.07, "held-out errors of 10", 10},
		{"forty of ±2 %", networksProfile(40, 0, alternating), 0.04, 0.055, "held-out errors of 40", 40},
		{"all slower than predicted", func() *profiles.Profile {
			p, none := networksProfile(40, 0, slower), 0.0
			p.ConstantS = &none
			return p
		}(), 0.10, 0.2, "held-out errors of 40", 40},
		{"networks that failed or are unknown", func() *profiles.Profile {
			p := networksProfile(3, 0, exact)
			p.Networks[0].Timing = profiles.Timing{Status: profiles.Failed, Reason: "x"}
			p.Networks[1].Counts = map[string]int{"teleport": 1}
			p.Networks[2].Counts = nil
			return p
		}(), 0.10, 0.10, "of 3 networks measured whole only 0 can be used (failed: x)", 0},
	} {
		g := NewTable(tc.p).Guard(0.95)
		if g.Relative < tc.lo-1e-12 || g.Relative > tc.hi+1e-12 ||
			!strings.Contains(g.Basis, tc.basis) || g.Networks != tc.networks || g.Confidence != 0.95 {
			t.Errorf("%s: %+v, want %v…%v, %s", tc.name, g, tc.lo, tc.hi, tc.basis)
		}
	}
}

// The guard keeps what it promises on networks that it has not seen, also
// when errors have a heavy tail.
func TestGuardHolds(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 0))
	heavy := func(int) float64 { return 0.02 * (math.Exp(rng.NormFloat64()) - 1) }
	held, trials := 0, 0
	for range 100 {
		table := NewTable(networksProfile(30, 2e-4, heavy))
		for _, n := range networksProfile(10, 2e-4, heavy).Networks {
			e, err := table.EstimateCounts(map[ops.Key]int{someKeys()[0]: n.Counts[someKeys()[0].String()]})
			if err != nil {
				t.Fatal(err)
			}
			trials++
			if n.MedianS <= table.Upper(e, 0.9) {
				held++
			}
		}
	}
	if share := float64(held) / float64(trials); share < 0.87 || share > 0.96 {
		t.Errorf("%.3f of %d networks hold a budget guarded at 90 %%", share, trials)
	}
}

func TestConstant(t *testing.T) {
	noisy := func(i int) float64 { return 0.001 * float64(i%3-1) }
	if c := NewTable(networksProfile(21, 3e-4, noisy)).Constant(); math.Abs(c-3e-4) > 1e-5 {
		t.Errorf("fitted %v, want 0.0003", c)
	}
	if c := NewTable(networksProfile(0, 3e-4, noisy)).Constant(); c != 0 {
		t.Errorf("%v without networks", c)
	}
	p, given := networksProfile(21, 3e-4, noisy), 1e-5
	p.ConstantS = &given
	if c := NewTable(p).Constant(); c != given {
		t.Errorf("%v, though the profile says %v", c, given)
	}
}

func TestValidate(t *testing.T) {
	cases := []Case{
		{Arch: "a", PredictedS: 1.02, MeasuredS: 1},
		{Arch: "b", PredictedS: 1.8, MeasuredS: 2},
		{Arch: "c", PredictedS: 3.24, MeasuredS: 3},
		{Arch: "d", PredictedS: 4.6, MeasuredS: 4},
		{Arch: "e", PredictedS: 5, MeasuredS: 5},
		{Arch: "f", PredictedS: 6, MeasuredS: 6},
	}
	v, err := Validate(cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"n", float64(v.N), 6}, {"bias", v.Bias, (0.02 - 0.1 + 0.08 + 0.15) / 6}, {"mape", v.MAPE, 0.35 / 6},
		{"within 5 %", v.Within5, 0.5}, {"within 10 %", v.Within10, 5.0 / 6}, {"spearman", *v.Spearman, 1},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	var order []string
	for _, c := range v.Worst {
		order = append(order, c.Arch)
	}
	if strings.Join(order, "") != "dbcae" {
		t.Errorf("worst cases %v", order)
	}
	if _, err := Validate(nil); err == nil {
		t.Error("nothing is valid")
	}
	if v, err := Validate(cases[:1]); err != nil || v.Spearman != nil || len(v.Worst) != 1 {
		t.Errorf("one network: %+v, %v", v, err)
	}
}
