// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// entryTable shows measured operations, those that cost the found network most
// first.
type entryTable struct {
	Rows            []entryRow
	OK, Failed      int
	Range           string // half the width of the interval bars
	Shares          bool   // the network is known
	Protocol        string
	Warnings        []string
	Emulated        bool
	interval, total float64
}

type entryRow struct {
	Name, Key, Status   string
	Failed              bool
	Median, Spread      string
	N                   int
	Left, Width, Length float64 // the interval, and the median beside the longest: per cent
	Uses                int     // in the found network
	Share               string  // of its operations' time
	ShareLength         float64
	Warnings            []string
	median              float64
}

// The half width of the interval bars stays between these.
const minInterval, maxInterval = 0.01, 0.05

// tabulate lists the profile's entries; found, which may be nil, is the network
// that they are counted in.
func tabulate(p *profiles.Profile, found *arch.Architecture) entryTable {
	t := entryTable{interval: minInterval, Warnings: p.Warnings, Emulated: p.Emulated(), Protocol: describeProtocol(p)}
	uses := map[string]int{}
	if found != nil {
		if g, err := found.Network(1); err == nil {
			t.Shares = true
			for k, n := range ops.Keys(ops.Fuse(g)) {
				uses[k.String()] = n
			}
		}
	}
	longest := 0.0
	for _, e := range p.Entries {
		r := entryRow{Name: describe(e.Key), Key: e.Key, Status: e.Status, Uses: uses[e.Key], Warnings: e.Warnings}
		if e.Status != profiles.OK {
			t.Failed++
			r.Failed, r.Status = true, e.Status+": "+e.Reason
		} else {
			t.OK++
			r.N, r.median, r.Median = e.N, e.MedianS, latency(e.MedianS)
			longest = math.Max(longest, e.MedianS)
			t.total += float64(r.Uses) * e.MedianS
			t.interval = math.Max(t.interval, math.Max(1-e.LoS/e.MedianS, e.HiS/e.MedianS-1))
		}
		t.Rows = append(t.Rows, r)
	}
	t.interval = math.Min(t.interval, maxInterval)
	t.Range = "±" + percent.in(t.interval)
	for i, e := range p.Entries {
		if r := &t.Rows[i]; !r.Failed {
			t.measure(r, e, longest)
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b entryRow) int {
		return cmp.Or(-cmp.Compare(float64(a.Uses)*a.median, float64(b.Uses)*b.median), -cmp.Compare(a.median, b.median),
			cmp.Compare(a.Key, b.Key))
	})
	return t
}

// measure fills in the lengths of a row's bars.
func (t *entryTable) measure(r *entryRow, e profiles.Entry, longest float64) {
	lo, hi := 1-e.LoS/e.MedianS, e.HiS/e.MedianS-1
	at := func(v float64) float64 { return tenth(50 + float64(50*math.Max(-1, math.Min(1, v/t.interval)))) }
	r.Left, r.Width = at(-lo), tenth(at(hi)-at(-lo))
	r.Spread = "−" + share(lo) + " +" + share(hi)
	r.Length = tenth(100 * e.MedianS / longest)
	if r.Uses > 0 {
		part := float64(r.Uses) * e.MedianS / t.total
		r.Share, r.ShareLength = share(part), tenth(100*part)
	}
}

// describe says in words what a key names; a key of another program stays as
// it is.
func describe(key string) string {
	k, err := ops.ParseKey(key)
	if err != nil {
		return key
	}
	parts := []string{k.Kind.String()}
	switch k.Kind {
	case ops.Conv, ops.MaxPool, ops.AvgPool:
		parts[0] += fmt.Sprintf(" %d×%d", k.Window.Kernel, k.Window.Kernel)
	}
	if k.Window.Stride > 1 {
		parts = append(parts, fmt.Sprintf("stride %d", k.Window.Stride))
	}
	if k.Window.Dilation > 1 {
		parts = append(parts, fmt.Sprintf("dilation %d", k.Window.Dilation))
	}
	if k.Groups > 1 {
		parts = append(parts, fmt.Sprintf("%d groups", k.Groups))
	}
	channels := fmt.Sprintf("%d", k.In)
	if k.Out != k.In {
		channels += fmt.Sprintf(" → %d", k.Out)
	}
	parts = append(parts, channels+" ch", fmt.Sprintf("%d×%d", k.H, k.W))
	for _, f := range []struct {
		on   bool
		name string
	}{{k.ReLUIn, "ReLU in"}, {k.Accumulate, "add"}, {k.ReLUOut, "ReLU out"}} {
		if f.on {
			parts = append(parts, f.name)
		}
	}
	return strings.Join(parts, " · ")
}

// describeProtocol says where, with what and how the entries were measured.
func describeProtocol(p *profiles.Profile) string {
	parts := []string{p.Device.Name()}
	if p.Runtime.Name != "" {
		parts = append(parts, strings.TrimSpace(p.Runtime.Name+" "+p.Runtime.Version))
	}
	if p.Runtime.Threads > 0 {
		parts = append(parts, fmt.Sprintf("inference threads: %d", p.Runtime.Threads))
	}
	if p.Protocol.Rounds > 0 {
		parts = append(parts, fmt.Sprintf("at least %d rounds of %d samples", p.Protocol.Rounds, p.Protocol.SamplesPerRound))
	}
	if p.Protocol.Date != "" {
		parts = append(parts, p.Protocol.Date)
	}
	return strings.Join(parts, " · ")
}
