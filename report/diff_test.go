// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/profiles"
)

// comparison has an operation of each kind for each ratio.
func comparison(t *testing.T, ratios ...float64) profiles.Comparison {
	t.Helper()
	keys := []string{
		"conv/k=3/s=1/p=1/d=1/g=1/cin=%d/cout=16/h=8/w=8/n=1/f32/nhwc",
		"conv/k=3/s=1/p=1/d=1/g=%d/cin=%[1]d/cout=%[1]d/h=8/w=8/n=1/f32/nhwc",
		"avgpool/k=3/s=1/p=1/d=1/cin=%d/cout=%[1]d/h=8/w=8/n=1/f32/nhwc", "operation of another version %d",
	}
	a, b := &profiles.Profile{}, &profiles.Profile{}
	for i, r := range ratios {
		for j, key := range keys {
			s := 1e-6 * math.Pow(1.7, float64(i+j))
			for p, s := range map[*profiles.Profile]float64{a: s, b: s * r} {
				p.Entries = append(p.Entries, profiles.Entry{Key: fmt.Sprintf(key, 2+i),
					Timing: profiles.Timing{Status: profiles.OK, N: 1, MedianS: s, LoS: s, HiS: s,
						SamplesS: [][]float64{{s}}, SentinelS: []float64{1e-3}}})
			}
		}
	}
	c, err := profiles.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Operations whose bounds overlap are faint, and the picture says how many.
func TestDiffFaint(t *testing.T) {
	c := comparison(t, 1, 2)
	var b bytes.Buffer
	if err := Diff(&b, c, "A", "B"); err != nil {
		t.Fatal(err)
	}
	text := wellFormed(t, b.Bytes())
	if !strings.Contains(text, "faint: bounds overlap (4)") || !strings.Contains(text, ", bounds overlap") {
		t.Errorf("does not say what is faint:\n%s", text)
	}
	if n := strings.Count(b.String(), `fill-opacity="0.3"`); n != 4 {
		t.Errorf("%d dots are faint: want 4", n)
	}
}

func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ratios []float64
		yTicks []string // some of them
	}{
		{"two sessions", []float64{0.98, 0.99, 1, 1.01, 1.03}, []string{"0.98", "1.00", "1.02"}},
		{"two devices", []float64{0.5, 1.5, 4, 8, 20}, []string{"0.5", "1", "2", "10", "20"}},
		{"one entry of each kind", []float64{1}, []string{"1.0"}},
		{"far apart", []float64{1e-9, 1, 1e12}, []string{"1e-09", "1", "1e+12"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := comparison(t, tt.ratios...)
			var b bytes.Buffer
			if err := Diff(&b, c, "Raspberry Pi 4 <script>alert(1)</script> & Co", "Raspberry Pi 5"); err != nil {
				t.Fatal(err)
			}
			text := wellFormed(t, b.Bytes())
			for _, want := range append(tt.yTicks, "time in A (", "time in B / time in A",
				"A: Raspberry Pi 4 <script>alert(1)</script> & Co", "B: Raspberry Pi 5", "equal", "median",
				fmt.Sprintf("convolution (%d)", len(tt.ratios)), fmt.Sprintf("grouped convolution (%d)", len(tt.ratios)),
				fmt.Sprintf("pooling (%d)", len(tt.ratios)), fmt.Sprintf("other (%d)", len(tt.ratios)), "95th percentile") {
				if !strings.Contains(text, want) {
					t.Errorf("does not say %q:\n%s", want, text)
				}
			}
			if strings.Contains(b.String(), "<script") || strings.Contains(b.String(), "NaN") ||
				strings.Contains(b.String(), "Inf") {
				t.Errorf("not a picture:\n%s", &b)
			}
			d := drawDiff(c, "", "")
			for _, k := range append(d.X, d.Y...) {
				if k.At < d.Top && k.At < d.Left || k.At > d.Right {
					t.Errorf("a tick at %v", k)
				}
			}
			if gap := math.Abs(d.Rules[0].LabelAt - d.Rules[1].LabelAt); gap < 12 {
				t.Errorf("the names of the lines are %v pixels apart", gap)
			}
		})
	}
}

// wellFormed reads XML and returns its text, a line each.
func wellFormed(t *testing.T, data []byte) string {
	t.Helper()
	var text []string
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return strings.Join(text, "\n")
		}
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if c, ok := token.(xml.CharData); ok {
			text = append(text, string(c))
		}
	}
}

func TestLogAxis(t *testing.T) {
	for _, tt := range []struct {
		lo, hi float64
		want   string
	}{
		{1, 10, "1 2 5 10"},
		{3, 40, "2 5 10 20 50"},
		{0.07, 0.3, "0.05 0.1 0.2 0.5"},
		{1, 1e5, "1 10 100 1000 10000 100000"},
		{1, 1, "0.5 1 2"},
	} {
		var got []string
		l := newLogAxis(tt.lo, tt.hi, 0, 100)
		for _, k := range l.ticks() {
			got = append(got, k.Label)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%g to %g: ticks %q, want %s", tt.lo, tt.hi, got, tt.want)
		}
		if at := l.at(math.Sqrt(tt.lo * tt.hi)); at < 0 || at > 100 {
			t.Errorf("%g to %g: the middle is at %v", tt.lo, tt.hi, at)
		}
	}
}
