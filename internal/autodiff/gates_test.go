// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// paths are columns to open, one for each edge of a nb201 cell; 0 is none.
var paths = [][]int{
	{3, 3, 3, 3, 3, 3},
	{3, 0, 4, 1, 2, 3},
	{2, 3, 0, 0, 0, 1}, // node 1 is computed for nobody
	{0, 0, 0, 0, 0, 0}, // the cell gives zeros
}

// TestClosedGates compares closed gates with mixture weights of 0, which gives
// the same loss and the same gradients of all that is open.
func TestClosedGates(t *testing.T) {
	for _, columns := range paths {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			m, all := supernet[float64](t, "nb201", tiny, 3, Options{}), supernet[float64](t, "nb201", tiny, 3, Options{})
			a := m.Alpha(0)
			open(a, columns)
			for i := range a.P {
				if !a.Open[i] {
					all.Alpha(0).P[i] = 0
				}
			}
			same := func(what string, got, want float64) {
				if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			got, _ := m.Step(Weights)
			want, _ := all.Step(Weights)
			same("loss", got, want)
			for i, d := range a.DP {
				if a.Open[i] {
					same(fmt.Sprintf("gradient of p[%d]", i), d, all.Alpha(0).DP[i])
				} else if d != 0 {
					t.Errorf("gradient of closed p[%d] is %v", i, d)
				}
			}
			for i, p := range m.Params() {
				for j, g := range all.Params()[i].G {
					if p.Active() {
						same(fmt.Sprintf("%s[%d]", p.Name, j), p.G[j], g)
					} else if g != 0 {
						t.Fatalf("%s is idle but its gradient is %v", p.Name, g)
					}
				}
			}
		})
	}
}

// TestIdleParameters lists what a path reaches.
func TestIdleParameters(t *testing.T) {
	m := supernet[float32](t, "nb201", tiny, 3, Options{})
	open(m.Alpha(0), []int{2, 3, 0, 0, 0, 1})
	m.Step(Weights)
	for _, p := range m.Params() {
		if !strings.HasPrefix(p.Name, "stage") {
			continue
		}
		want := p.Learn && strings.Contains(p.Name, "edge0-2.nor_conv_3x3")
		if p.Active() != want {
			t.Errorf("%s: active is %t", p.Name, p.Active())
		}
		if _, err := p.Grad(); (err == nil) != want {
			t.Errorf("%s: gradient: %v", p.Name, err)
		}
	}
	if n, all := m.running(), len(m.program.ins); n > all/2 {
		t.Errorf("%d of %d instructions run", n, all)
	}
}

// TestPathsShareMemory takes steps on changing paths, where terms of a row
// share memory and where they do not.
func TestPathsShareMemory(t *testing.T) {
	m := supernet[float32](t, "nb201", tiny, 3, Options{})
	shared := supernet[float32](t, "nb201", tiny, 3, Options{Paths: true})
	sgd, other := SGD[float32]{LR: 0.1, Momentum: 0.9}, SGD[float32]{LR: 0.1, Momentum: 0.9}
	for i := range 12 {
		open(m.Alpha(0), paths[i%len(paths)])
		open(shared.Alpha(0), paths[i%len(paths)])
		m.Step(Weights)
		shared.Step(Weights)
		if err := sgd.Step(m.Learnables()); err != nil {
			t.Fatal(err)
		}
		if err := other.Step(shared.Learnables()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(state(m), state(shared)) {
			t.Fatalf("step %d gives other bits", i)
		}
	}
	if s, a := shared.ArenaBytes(), m.ArenaBytes(); s > a*3/4 {
		t.Errorf("arena of %d bytes with paths, %d without", s, a)
	}
}

func TestPathsPromiseOneGate(t *testing.T) {
	m := supernet[float32](t, "nb201", tiny, 3, Options{Paths: true})
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "row 0 of α 0 has 5 open gates") {
			t.Errorf("panic: %v", r)
		}
	}()
	m.Step(Weights)
}
