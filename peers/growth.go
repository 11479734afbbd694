// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// extents are those of a step of the darts supernet.
type extents struct{ batch, channels, cells, image, threads int }

// variation lets one extent grow while the others stay.
type variation struct {
	name   string
	values []int
	at     func(value int) extents
}

var variations = []variation{
	{"batch", []int{16, 32, 64, 128}, func(v int) extents { return extents{v, 16, 8, 32, 2} }},
	{"channels", []int{8, 16, 24, 36}, func(v int) extents { return extents{64, v, 8, 32, 2} }},
	{"cells", []int{4, 8, 12, 16, 20}, func(v int) extents { return extents{64, 16, v, 32, 2} }},
	{"image, 16 a step:", []int{28, 32, 48, 64}, func(v int) extents { return extents{16, 16, 8, v, 2} }},
	{"image, 2 a step:", []int{32, 64, 128, 224}, func(v int) extents { return extents{2, 16, 8, v, 2} }},
	{"threads", []int{1, 2}, func(v int) extents { return extents{64, 16, 8, 32, v} }},
}

func (e extents) String() string {
	return fmt.Sprintf("%d images of %d×%d, %d channels, %d cells, %d threads",
		e.batch, e.image, e.image, e.channels, e.cells, e.threads)
}

// growth lists the runs: what two variations share is run once.
func growth(s settings) (jobs []job) {
	seen := map[extents]bool{}
	for round := range s.rounds {
		clear(seen)
		for _, v := range variations {
			for _, value := range v.values {
				e := v.at(value)
				if seen[e] {
					continue
				}
				seen[e] = true
				jobs = append(jobs, job{e.String(), edgenasMode, round,
					[]string{"bench", "step", "--json", "--space", "darts", "--steps", strconv.Itoa(s.steps),
						"--batch", strconv.Itoa(e.batch), "--channels", strconv.Itoa(e.channels), "--cells", strconv.Itoa(e.cells),
						"--image", strconv.Itoa(e.image), "--threads", strconv.Itoa(e.threads)}})
			}
		}
	}
	return jobs
}

const growthPicture = "growth.svg" // beside the document

// growthText is the chapter on how the cost grows.
func growthText(jobs []job, records []record, u setup) string {
	var b strings.Builder
	b.WriteString("\n" + provenance(records, jobs, u) + "![Time and memory of a step](" + growthPicture + ")\n\n")
	header(&b, "what grows", "step", "an image", "memory", "of it, the step's", "multiply-adds forward",
		"time for one, against the first row")
	for _, v := range variations {
		first := math.NaN()
		for _, value := range v.values {
			e := v.at(value)
			m := take(records, e.String(), edgenasMode)
			each := m.median / float64(m.macs)
			if math.IsNaN(first) {
				first = each
			}
			line(&b, fmt.Sprintf("%s %d", v.name, value), seconds(m.median), seconds(m.median/float64(e.batch)),
				gigabytes(m.rss), gigabytes(int64(m.arena)),
				fmt.Sprintf("%.3g G", float64(m.macs)/1e9), factor(each, first))
		}
	}
	b.WriteString("\nA last column near 1 is a time that grows as the arithmetic does. " +
		"More threads share it: there the column should fall to 1/threads.\n\n")
	return b.String()
}

// growthSVG draws time and memory of each variation.
func growthSVG(records []record) []byte {
	var panels []panel
	for _, row := range []struct {
		name string
		of   func(measured) float64
	}{
		{"seconds a step", func(m measured) float64 { return m.median }},
		{"GB of memory", func(m measured) float64 { return float64(m.rss) / 1e9 }},
	} {
		for _, v := range variations[:4] {
			p := panel{title: row.name, label: strings.TrimSuffix(v.name, ":")}
			for _, value := range v.values {
				if m := take(records, v.at(value).String(), edgenasMode); !math.IsNaN(m.median) {
					p.x, p.y = append(p.x, float64(value)), append(p.y, row.of(m))
				}
			}
			panels = append(panels, p)
		}
	}
	return svg(panels, 4)
}
