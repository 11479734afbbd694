// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/edgenas/edgenas/profiles"
)

// columns are the numbers of a history, as they stand in its CSV.
var columns = []struct {
	name string
	of   func(*point) *float64
}{
	{"loss_train", func(p *point) *float64 { return p.LossTrain }},
	{"loss_val", func(p *point) *float64 { return p.LossVal }},
	{"accuracy_train", func(p *point) *float64 { return p.AccuracyTrain }},
	{"accuracy_val", func(p *point) *float64 { return p.AccuracyVal }},
	{"lr", func(p *point) *float64 { return p.LR }},
	{"alpha_entropy", func(p *point) *float64 { return p.AlphaEntropy }},
	{"skip_share", func(p *point) *float64 { return p.SkipShare }},
	{"lambda", func(p *point) *float64 { return p.Lambda }},
	{"temperature", func(p *point) *float64 { return p.Temperature }},
	{"expected_latency_s", func(p *point) *float64 { return p.ExpectedLatencyS }},
	{"derived_latency_s", func(p *point) *float64 { return p.DerivedLatencyS }},
}

// historyCSV writes a history as a table: a row for each point, six digits of
// each number, an empty field for what a point does not say. After the named columns come the elements of α,
// p[α][row][column], as many as the first point that has α.
func historyCSV(w io.Writer, history []point) error {
	head := []string{"phase", "epoch"}
	for _, c := range columns {
		head = append(head, c.name)
	}
	head = append(head, "derived")
	var shape [][][]float64
	for _, p := range history {
		if len(p.Alpha) > 0 {
			shape = p.Alpha
			break
		}
	}
	for a, rows := range shape {
		for r, row := range rows {
			for c := range row {
				head = append(head, fmt.Sprintf("p[%d][%d][%d]", a, r, c))
			}
		}
	}
	out := csv.NewWriter(w)
	out.Write(head) // a csv.Writer keeps its first error
	for i := range history {
		p := &history[i]
		row := []string{p.Phase, strconv.Itoa(p.Epoch)}
		for _, c := range columns {
			row = append(row, optional(c.of(p)))
		}
		row = append(row, p.Derived)
		for a, rows := range shape {
			for r, cols := range rows {
				for c := range cols {
					row = append(row, optional(weight(p, a, r, c)))
				}
			}
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// weight is p[α][row][column], or nil where the point has none.
func weight(p *point, alpha, row, col int) *float64 {
	if alpha < len(p.Alpha) && row < len(p.Alpha[alpha]) && col < len(p.Alpha[alpha][row]) {
		return &p.Alpha[alpha][row][col]
	}
	return nil
}

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', 6, 64)
}

// EntriesCSV writes the measured operations of a profile as a table, six digits
// of each number. An empty field was not measured.
func EntriesCSV(w io.Writer, p *profiles.Profile) error {
	out := csv.NewWriter(w)
	out.Write([]string{"key", "status", "reason", "n", "median_s", "lo_s", "hi_s", "min_s", "p90_s", "p95_s", "p99_s",
		"warnings"})
	for _, e := range p.Entries {
		row := []string{e.Key, e.Status, e.Reason, "", "", "", "", "", "", "", strings.Join(e.Warnings, "; ")}
		if e.N > 0 {
			row[3] = strconv.Itoa(e.N)
		}
		for i, v := range []float64{e.MedianS, e.LoS, e.HiS, e.MinS, e.P90S, e.P95S, e.P99S} {
			if v > 0 {
				row[4+i] = optional(&v)
			}
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}
