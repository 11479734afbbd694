// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// panel is a small chart of y against x, both from 0.
type panel struct {
	title, label string // of y and of x
	x, y         []float64
}

// The extent of a panel and of the axes in it, in pixels.
const (
	panelW, panelH = 230, 180
	left, right    = 40, 218
	top, bottom    = 26, 142
	labelWidth     = 18
)

// svg draws panels, so many in a row. A dashed line shows what would grow in
// proportion, from the first point on.
func svg(panels []panel, columns int) []byte {
	var b bytes.Buffer
	rows := (len(panels) + columns - 1) / columns
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`font-family="sans-serif" font-size="11">`+"\n", columns*panelW, rows*panelH)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", columns*panelW, rows*panelH)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*panelW, i/columns*panelH)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (p panel) draw(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text x="%d" y="16">%s</text><text x="%d" y="%d" text-anchor="end">%s</text>`+"\n",
		left, p.title, right, bottom+28, p.label)
	fmt.Fprintf(b, `<path d="M%d %dV%dH%d" fill="none" stroke="black"/>`+"\n", left, top, bottom, right)
	if len(p.x) == 0 {
		return
	}
	mostX, mostY := round(slices.Max(p.x)), round(slices.Max(p.y))
	at := func(x, y float64) (h, v float64) {
		return left + x/mostX*(right-left), bottom - y/mostY*(bottom-top)
	}
	for _, y := range []float64{0, mostY / 2, mostY} {
		_, h := at(0, y)
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.3g</text>`+"\n",
			left, h, right, left-4, h+4, y)
	}
	slope := p.y[0] / p.x[0]
	end := min(mostX, mostY/slope)
	x, y := at(end, end*slope)
	fmt.Fprintf(b, `<path d="M%d %dL%.1f %.1f" stroke="#bbb" stroke-dasharray="3 3"/>`+"\n", left, bottom, x, y)
	path, labelled := "", math.Inf(-1)
	for i := range p.x {
		x, y := at(p.x[i], p.y[i])
		path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(i, 1)], x, y)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="#1f6fb4"/>`+"\n", x, y)
		if x-labelled > labelWidth {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x, bottom+14, p.x[i])
			labelled = x
		}
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#1f6fb4" stroke-width="1.5"/>`+"\n", path)
}

// round is the least of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten that is not below v.
func round(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}
