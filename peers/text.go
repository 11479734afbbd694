// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/bench"
	"github.com/edgenas/edgenas/internal/stats"
)

// replace puts text between the markers of a document.
func replace(path, marker string, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := []byte("<!-- "+marker+" -->\n"), []byte("<!-- /"+marker+" -->\n")
	before, rest, ok := bytes.Cut(data, begin)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s: want lines %q and %q", path, begin, end)
	}
	fmt.Print(text)
	return atomicfile.Write(path, slices.Concat(before, begin, []byte(text), end, after))
}

// line is a line of a Markdown table.
func line(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// header is the head of a table; all columns but the first are numbers.
func header(b *strings.Builder, cells ...string) {
	line(b, cells...)
	b.WriteString("|---" + strings.Repeat("|--:", len(cells)-1) + "|\n")
}

const none = "–"

func seconds(s float64) string {
	switch {
	case math.IsNaN(s):
		return none
	case s >= 1:
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.3g ms", s*1e3)
}

func gigabytes(n int64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// factor is a/b: "3.1×".
func factor(a, b float64) string {
	if f := a / b; f > 0 && !math.IsInf(f, 0) { // false for NaN
		return fmt.Sprintf("%.2f×", f)
	}
	return none
}

func percent(share float64) string {
	if share > 0 && !math.IsInf(share, 0) {
		return fmt.Sprintf("%.0f %%", 100*share)
	}
	return none
}

func gigaflops(rate float64) string {
	if rate > 0 { // false for NaN
		return fmt.Sprintf("%.0f GFLOP/s", rate/1e9)
	}
	return none
}

// measured is what all rounds of a piece of work in a mode give together.
type measured struct {
	median float64 // of all steps of all rounds; NaN: there is none
	mean   float64
	rss    int64 // greatest
	arena  int
	macs   int64
	failed string
	torch  string
}

// take collects the rounds. The fields of PyTorch's steps are a subset of ours.
func take(records []record, work, mode string) measured {
	m := measured{median: math.NaN(), mean: math.NaN()}
	var steps []float64
	for _, r := range records {
		if r.Work != work || r.Mode != mode {
			continue
		}
		if r.Failed != "" {
			m.failed = r.Failed
			continue
		}
		var s struct {
			bench.StepResult
			Torch string `json:"torch"`
		}
		if json.Unmarshal(r.Results[0], &s) != nil {
			continue
		}
		steps = append(steps, s.StepsS...)
		m.rss, m.arena, m.macs, m.torch = max(m.rss, s.MaxRSS), s.Arena, s.MACs, s.Torch
	}
	if len(steps) > 0 {
		m.median, m.mean = stats.Median(steps), 0
		for _, s := range steps {
			m.mean += s / float64(len(steps))
		}
	}
	return m
}

// fastest is PyTorch's mode that counts.
func fastest(records []record, work string) (m measured, mode string) {
	m = measured{median: math.NaN()}
	for _, name := range modes {
		if c := take(records, work, name); !math.IsNaN(c.median) && !(c.median >= m.median) {
			m, mode = c, name
		}
	}
	return m, mode
}

// limits are the best of all rounds.
func limits(records []record, threads int) (l bench.Limits) {
	for _, r := range records {
		var x bench.Limits
		if r.Work == limitsWork(threads) && r.Failed == "" && json.Unmarshal(r.Results[0], &x) == nil {
			l.FMA, l.Conv, l.Copy, l.Add = max(l.FMA, x.FMA), max(l.Conv, x.Conv), max(l.Copy, x.Copy), max(l.Add, x.Add)
		}
	}
	return l
}

// arithmetic is the limit that steps are compared with, in FLOP/s.
func arithmetic(l bench.Limits) float64 { return max(l.FMA, l.Conv) * 1e9 }

// passes are forward and the two halves of backward, each with as many
// multiply-adds; flops are two for each.
const passes, flops = 3, 2

// provenance says where and when the records come from.
func provenance(records []record, jobs []job, u setup) string {
	used := slices.DeleteFunc(slices.Clone(records), func(r record) bool {
		return !slices.ContainsFunc(jobs, func(j job) bool { return r.done(j) })
	})
	var first, last, torch string
	for _, r := range used {
		day := r.Date.Format("2006-01-02")
		if first == "" || day < first {
			first = day
		}
		last = max(last, day)
		var v struct{ Torch string }
		if len(r.Results) > 0 && json.Unmarshal(r.Results[0], &v) == nil {
			torch = max(torch, v.Torch)
		}
	}
	when := first
	if first != last {
		when += " to " + last
	}
	text := fmt.Sprintf("%s, %s, %d cores, %s/%s, %s, edgenas build %s",
		when, u.cpu, u.cores, runtime.GOOS, runtime.GOARCH, runtime.Version(), u.build)
	if torch != "" {
		text += ", PyTorch " + torch
	}
	if n := len(missing(jobs, records)); n > 0 {
		text += fmt.Sprintf("; %d of %d runs are missing", n, len(jobs))
	}
	return text + ".\n\n"
}

// comparisonText is the chapter that compares with PyTorch.
func comparisonText(jobs []job, records []record, u setup) string {
	var b strings.Builder
	b.WriteString("\n" + provenance(records, jobs, u))
	most := 0
	for ; limits(records, most+1).Conv > 0; most++ {
	}
	limitsText(&b, records, most)
	trainingText(&b, records, most)
	operationsText(&b, records, most)
	return b.String()
}

func limitsText(b *strings.Builder, records []record, threads int) {
	b.WriteString("### The machine's limits\n\n")
	header(b, "threads", "multiply-adds on registers", "a convolution in cache", "copy", "sum of two arrays")
	for n := 1; n <= threads; n++ {
		l := limits(records, n)
		line(b, fmt.Sprint(n), gigaflops(l.FMA*1e9), gigaflops(l.Conv*1e9), fmt.Sprintf("%.1f GB/s", l.Copy),
			fmt.Sprintf("%.1f GB/s", l.Add))
	}
	b.WriteString("\n")
}

func trainingText(b *strings.Builder, records []record, threads int) {
	b.WriteString("### Training steps\n\n")
	header(b, append(append([]string{"step", "edgenas"}, modes...), "faster", "edgenas, memory", "PyTorch, memory", "less",
		"arithmetic", "of the limit")...)
	var failures []string
	for _, t := range trainings {
		own := take(records, t.name, edgenasMode)
		best, mode := fastest(records, t.name)
		peak := arithmetic(limits(records, threads))
		time := own.median
		switch t.name {
		case dartsPaths:
			time = own.mean
		case dartsOne:
			peak = arithmetic(limits(records, 1))
		}
		cells := []string{t.name, seconds(time)}
		for _, name := range modes {
			c := take(records, t.name, name)
			text := seconds(c.median)
			if name == mode {
				text = "**" + text + "**"
			}
			if c.failed != "" {
				failures = append(failures, fmt.Sprintf("%s, %s: %s", t.name, name, c.failed))
			}
			cells = append(cells, text)
		}
		if own.failed != "" {
			failures = append(failures, fmt.Sprintf("%s, %s: %s", t.name, edgenasMode, own.failed))
		}
		rate := passes * flops * float64(own.macs) / time
		cells = append(cells, factor(best.median, time), gigabytes(own.rss), gigabytes(best.rss),
			factor(float64(best.rss), float64(own.rss)),
			gigaflops(rate), percent(rate/peak))
		line(b, cells...)
	}
	mixture, one, paths := take(records, dartsMixture, edgenasMode), take(records, dartsOne, edgenasMode),
		take(records, dartsPaths, edgenasMode)
	b.WriteString("\nMedians over all rounds; of the random paths, the mean. Bold: the mode that counts. ")
	fmt.Fprintf(b, "Against the mixture on `darts`, one\nthread takes %s as long, and a random path, "+
		"any of the eight operations on each edge with the same chance, is %s cheaper.\n\n",
		factor(one.median, mixture.median), factor(mixture.median, paths.mean))
	for _, f := range failures {
		fmt.Fprintf(b, "* %s\n", f)
	}
	if len(failures) > 0 {
		b.WriteString("\n")
	}
}

// operation is a timed operation of all rounds, in the fastest layout.
type operation struct{ forward, both float64 } // seconds; NaN: unknown

func operationTimes(records []record, mode string, op bench.Op) (o operation, macs int64) {
	times := map[string]*[2][]float64{} // by layout
	for _, r := range records {
		if r.Work != operationsWork || r.Mode != mode {
			continue
		}
		for _, raw := range r.Results {
			var x bench.OpResult
			if json.Unmarshal(raw, &x) != nil || (bench.Op{Name: x.Op, N: x.N, C: x.C, Size: x.Size}) != op {
				continue
			}
			if times[x.Layout] == nil {
				times[x.Layout] = new([2][]float64)
			}
			t := times[x.Layout]
			t[0], t[1], macs = append(t[0], x.ForwardMS/1e3), append(t[1], x.BothMS/1e3), x.MACs
		}
	}
	o = operation{math.NaN(), math.NaN()}
	for _, t := range times {
		if f := stats.Median(t[0]); !(f >= o.forward) {
			o.forward = f
		}
		if f := stats.Median(t[1]); !(f >= o.both) {
			o.both = f
		}
	}
	return o, macs
}

func operationsText(b *strings.Builder, records []record, threads int) {
	b.WriteString("### Single operations\n\n")
	l := limits(records, threads)
	header(b, "operation, images × channels × rows", "edgenas forward", "PyTorch", "faster", "of the limit",
		"edgenas with backward", "PyTorch", "faster", "of the limit")
	for _, op := range bench.Ops() {
		own, macs := operationTimes(records, edgenasMode, op)
		peer, _ := operationTimes(records, "PyTorch", op)
		image := 4 * float64(op.N*op.C*op.Size*op.Size)
		least := func(macs, images float64) float64 { // seconds, by the machine's limits
			return max(flops*macs/arithmetic(l), images*image/(l.Add*1e9))
		}
		line(b, fmt.Sprintf("%s, %d × %d × %d", op.Name, op.N, op.C, op.Size),
			seconds(own.forward), seconds(peer.forward), factor(peer.forward, own.forward),
			percent(least(float64(macs), 2)/own.forward),
			seconds(own.both), seconds(peer.both), factor(peer.both, own.both), percent(least(passes*float64(macs), 5)/own.both))
	}
	b.WriteString("\nPyTorch in the faster of its two layouts. The limit is the time for the arithmetic, " +
		"or for reading and writing each image once (2 of them forward,\n" +
		"5 with backward) from memory, whichever is longer; images that stay in the cache can be faster than it.\n\n")
}
