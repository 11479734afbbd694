// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// aging is a board whose networks take a tenth more than their operations, and
// all a factor that is another in each measurement.
type aging struct {
	board
	factors []float64 // of the measurements to come
	broken  string    // a network that fails
}

func (b *aging) Measure(_ context.Context, w Work, p *profiles.Profile, _ Record, tell Progress) error {
	b.work = append(b.work, w)
	factor := b.factors[0]
	b.factors = b.factors[1:]
	timing := func(s float64) profiles.Timing {
		s *= factor
		return profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: 0.999 * s, HiS: 1.001 * s}
	}
	for _, k := range w.Keys {
		p.Merge([]profiles.Entry{{Key: k.String(), Timing: timing(predict.Rough(k))}}, nil)
	}
	for i := len(w.Networks) - 1; i >= 0; i-- { // in an order of its own
		n := w.Networks[i]
		m, sum := profiles.Network{Arch: n.Arch, Counts: map[string]int{}}, 0.0
		for k, count := range ops.Keys(n.Graph) {
			m.Counts[k.String()] = count
			sum += float64(count) * predict.Rough(k)
		}
		m.Timing = timing(1.1 * sum)
		if n.Arch == b.broken {
			m.Timing = profiles.Timing{Status: profiles.Failed, Reason: "illegal instruction"}
		}
		p.Merge(nil, []profiles.Network{m})
	}
	tell(latency.Progress{Elapsed: time.Second, Remaining: time.Second})
	return nil
}

// validation is a request for n networks on a board, which was profiled with so
// many networks when its factor was 1.
func validation(t *testing.T, b *aging, profiled, n int) ValidateRequest {
	t.Helper()
	sizes, err := new(inventory.Cache).Sizes("mbconv", []arch.Size{
		{Cells: 2, Channels: 8, Image: 8, Colours: 1, Classes: 3},
		{Cells: 2, Channels: 4, Image: 8, Colours: 1, Classes: 3},
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := sizes.Sample(profiled+n, rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	rand.New(rand.NewPCG(2, 0)).Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	p, factors := &profiles.Profile{}, b.factors
	b.factors = []float64{1}
	if err := b.Measure(t.Context(), Work{Keys: sizes.Keys(), Networks: drawn[:profiled]}, p, nil,
		func(latency.Progress) {}); err != nil {
		t.Fatal(err)
	}
	b.work, b.factors = nil, factors
	return ValidateRequest{Profile: p, Table: predict.NewTable(p), Sizes: sizes, Networks: drawn[profiled:],
		Confidence: 0.95}
}

// A device that has become slower is told from predictions that are wrong.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name       string
		profiled   int
		n          int
		factors    []float64 // of each session
		drift      float64
		bias       float64 // of the predictions
		asMeasured float64
		references int
	}{
		{"as fast as it was", 22, 50, []float64{1}, 0, 0, 0, 6},
		{"4 % slower", 22, 50, []float64{1.04}, 0.04, 0, 1/1.04 - 1, 6},
		{"4 % faster", 22, 50, []float64{0.96}, -0.04, 0, 1/0.96 - 1, 6},
		{"another speed in the second half", 22, 100, []float64{1.06, 0.98}, 0.02, 0, (1/1.06+1/0.98)/2 - 1, 6},
		{"few networks in the profile", 4, 20, []float64{1.04}, 0.04, 0, 1/1.04 - 1, 4},
		{"too few to tell", 2, 20, []float64{1.04}, 0, 1/(1.1*1.04) - 1, 1/(1.1*1.04) - 1, 0},
		{"none in the profile", 0, 100, []float64{1.04}, 0, 1/(1.1*1.04) - 1, 1/(1.1*1.04) - 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &aging{factors: tt.factors}
			q := validation(t, b, tt.profiled, tt.n)
			var told []event.Event
			targets := New(Host{}, 1, func(e event.Event) { told = append(told, e) })
			targets.used = []used{{Default(), b}}
			v, err := targets.Validate(t.Context(), q, Default())
			if err != nil {
				t.Fatal(err)
			}
			checkBias(t, "with drift", v.Cases, tt.bias)
			raw := append([]predict.Case{}, v.Cases...)
			for i := range raw {
				raw[i].Drift = 0
				if raw[i].Arch != q.Networks[i].Arch {
					t.Fatalf("case %d is %s, want %s", i, raw[i].Arch, q.Networks[i].Arch)
				}
			}
			checkBias(t, "as measured", raw, tt.asMeasured)
			if len(b.work) != len(tt.factors) {
				t.Fatalf("%d sessions, want %d", len(b.work), len(tt.factors))
			}
			if tt.references == 0 {
				if v.Drift != nil || len(b.work[0].Networks) != tt.n {
					t.Errorf("drift %+v of %d networks measured", v.Drift, len(b.work[0].Networks))
				}
				return
			}
			if v.Drift == nil || math.Abs(v.Drift.Relative-tt.drift) > 1e-9 || len(v.Drift.References) != tt.references {
				t.Fatalf("drift %+v, want %v by %d networks", v.Drift, tt.drift, tt.references)
			}
			times := map[string]int{}
			for s, w := range b.work {
				if len(w.Networks) > latency.MaxOpen {
					t.Errorf("%d networks in session %d", len(w.Networks), s)
				}
				for _, n := range w.Networks {
					times[n.Arch]++
				}
			}
			for _, r := range v.Drift.References {
				if times[r.Arch] != len(b.work) || len(r.NowS) != len(b.work) {
					t.Errorf("%s was measured %d times in %d sessions", r.Arch, times[r.Arch], len(b.work))
				}
			}
			if len(times) != tt.n+tt.references {
				t.Errorf("%d networks measured, want %d", len(times), tt.n+tt.references)
			}
			if e := told[len(told)-2]; e != event.Event(event.Measured{Networks: tt.n + tt.references}) {
				t.Errorf("told %+v", e)
			}
		})
	}
}

func checkBias(t *testing.T, name string, cases []predict.Case, want float64) {
	t.Helper()
	v, err := predict.Validate(cases)
	if err != nil || math.Abs(v.Bias-want) > 0.002 {
		t.Errorf("%s: bias %v, %v: want %v", name, v.Bias, err, want)
	}
}

// Neither a network nor a reference that fails is left out in silence.
func TestValidateFails(t *testing.T) {
	for _, which := range []string{"a network", "a reference"} {
		b := &aging{factors: []float64{1}}
		q := validation(t, b, 5, 10)
		b.broken = q.Networks[3].Arch
		if which == "a reference" {
			b.broken = q.Profile.Networks[2].Arch
		}
		targets := New(Host{}, 1, func(event.Event) {})
		targets.used = []used{{Default(), b}}
		_, err := targets.Validate(t.Context(), q, Default())
		if err == nil || !strings.Contains(err.Error(), b.broken+": illegal instruction") {
			t.Errorf("%s: %v", which, err)
		}
	}
}

// Two sessions are one progress, in which share and remaining time agree.
func TestProgressOfSessions(t *testing.T) {
	for _, tt := range []struct {
		name               string
		session, of        int
		elapsed, remaining time.Duration // of the whole
	}{
		{"alone", 0, 1, 10 * time.Second, 30 * time.Second},
		{"first", 0, 3, 10 * time.Second, 110 * time.Second},
		{"last", 2, 3, 90 * time.Second, 30 * time.Second},
	} {
		p := ofSession(latency.Progress{Elapsed: 10 * time.Second, Remaining: 30 * time.Second}, tt.session, tt.of)
		if p.Elapsed != tt.elapsed || p.Remaining != tt.remaining {
			t.Errorf("%s: %v, and %v to go: want %v and %v", tt.name, p.Elapsed, p.Remaining, tt.elapsed, tt.remaining)
		}
	}
}
