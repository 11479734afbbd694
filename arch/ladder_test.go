// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"testing"
)

// The ladder of each space goes from tiny to huge in short steps, whatever the
// images. Where networks are narrow, and at the last step, spaces have few sizes.
func TestLadder(t *testing.T) {
	for _, tt := range []struct {
		space    string
		image    int
		smallest float64 // the first size has at most so many multiply-accumulates
		fine     int     // steps between sizes with so many channels or more are short
	}{
		{"nb201", 28, 1e5, 24}, {"nb201", 32, 2e5, 24}, {"nb201", 224, 6e6, 24},
		{"darts", 28, 2e5, 3}, {"darts", 32, 3e5, 3}, {"darts", 224, 2e7, 3},
		{"mbconv", 28, 1e6, 24}, {"mbconv", 32, 1e6, 24}, {"mbconv", 224, 2e6, 24},
	} {
		t.Run(fmt.Sprint(tt.space, tt.image), func(t *testing.T) {
			base := Size{Image: tt.image, Colours: 3, Classes: 7}
			ladder, err := Ladder(tt.space, base)
			if err != nil {
				t.Fatal(err)
			}
			last, lastChannels := 0.0, 0
			for i, size := range ladder {
				s, err := NewSpace(tt.space, size)
				if err != nil {
					t.Fatal(err)
				}
				macs, err := ReferenceMACs(s)
				if err != nil {
					t.Fatal(err)
				}
				if size.Image != base.Image || size.Colours != base.Colours || size.Classes != base.Classes {
					t.Errorf("%+v is not for %+v", size, base)
				}
				step := macs / last
				switch fine := min(size.Channels, lastChannels) >= tt.fine; {
				case i == 0 && macs > tt.smallest:
					t.Errorf("the smallest size %+v has %.3g multiply-accumulates: want at most %.3g", size, macs, tt.smallest)
				case i > 0 && step < 1.1, fine && step > 1.4 && i < len(ladder)-1, i > 0 && step > 2.4:
					t.Errorf("%+v has %.3f times as many multiply-accumulates as the size below", size, step)
				}
				if size.Channels >= 8 && size.Channels%8 != 0 {
					t.Errorf("the channels of %+v do not fill vectors", size)
				}
				last, lastChannels = macs, size.Channels
			}
			if last < 1e11 || last > 1.3e11 {
				t.Errorf("the largest size has %.3g multiply-accumulates", last)
			}
		})
	}
}

// Wherever steps allow it, networks become wider and deeper together.
func TestLadderGrowsEvenly(t *testing.T) {
	ladder, err := Ladder("nb201", Size{Image: 28, Colours: 1, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	narrowAndDeep := 0
	for _, size := range ladder {
		if size.Channels < 16 && size.Cells == 5 && size.Channels >= 8 {
			narrowAndDeep++
		}
		if size.Channels >= 128 && size.Cells < 2 {
			t.Errorf("%+v is shallow", size)
		}
	}
	if narrowAndDeep > 1 {
		t.Errorf("%d sizes are narrow and deep", narrowAndDeep)
	}
}

// Channels and cells that are given stay.
func TestLadderKeeps(t *testing.T) {
	for _, tt := range []struct {
		name string
		base Size
		want int // sizes
	}{
		{"channels", Size{Channels: 22, Image: 28, Colours: 1, Classes: 10}, 5},
		{"both", Size{Channels: 22, Cells: 9, Image: 28, Colours: 1, Classes: 10}, 1},
		{"cells", Size{Cells: 2, Image: 28, Colours: 1, Classes: 10}, 0},
		{"cells of which no size is huge", Size{Cells: 1, Image: 8, Colours: 1, Classes: 10}, 0},
	} {
		ladder, err := Ladder("nb201", tt.base)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range ladder {
			if tt.base.Channels > 0 && size.Channels != tt.base.Channels || tt.base.Cells > 0 && size.Cells != tt.base.Cells {
				t.Errorf("%s: %+v", tt.name, size)
			}
		}
		if tt.want > 0 && len(ladder) != tt.want || len(ladder) == 0 {
			t.Errorf("%s: %d sizes: want %d", tt.name, len(ladder), tt.want)
		}
	}
}

func TestLadderRefuses(t *testing.T) {
	for name, base := range map[string]Size{"nb202": {Image: 28, Colours: 1, Classes: 10},
		"nb201": {Image: 27, Colours: 1, Classes: 10}} {
		if ladder, err := Ladder(name, base); err == nil {
			t.Errorf("%s, %+v: %d sizes", name, base, len(ladder))
		}
	}
}

// The reference networks are those of the literature.
func TestReference(t *testing.T) {
	for _, tt := range []struct {
		space string
		want  func(Space) Choice
	}{
		{space: "nb201", want: func(s Space) Choice { return Choice{{3, 0, 3, 1, 0, 1}} }},
		{space: "darts", want: func(s Space) Choice { return parse(t, s, dartsV2) }},
		{space: "mbconv", want: func(s Space) Choice {
			c := First(s)
			for i := range c {
				for row := range c[i] {
					c[i][row] = 1
				}
			}
			return c
		}},
	} {
		for _, cells := range []int{3, 5} {
			s, err := NewSpace(tt.space, Size{Cells: cells, Channels: 4, Image: 28, Colours: 1, Classes: 10})
			if err != nil {
				t.Fatal(err)
			}
			if got := Reference(s); !got.Equal(tt.want(s)) {
				t.Errorf("%s: %s", tt.space, s.Notation(got))
			}
		}
	}
}
