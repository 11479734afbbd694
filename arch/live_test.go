// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLive(t *testing.T) {
	edges := nb201Edges // 1<-0 2<-0 2<-1 3<-0 3<-1 3<-2
	for _, tt := range []struct{ name, present, want string }{
		{"all", "111111", "111111"},
		{"none", "000000", "000000"},
		{"direct", "000100", "000100"},
		{"one path of three", "101001", "101001"},
		{"start is not reached", "001001", "000000"},
		{"end does not reach", "111000", "000000"},
		{"dead end beside a path", "110001", "010001"},
		{"dead start beside a path", "010011", "010001"},
		{"both", "011010", "000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			present := make([]bool, len(edges))
			for i := range present {
				present[i] = tt.present[i] == '1'
			}
			got := make([]byte, len(edges))
			for i, live := range Live(edges, 3, present) {
				got[i] = '0'
				if live {
					got[i] = '1'
				}
			}
			if string(got) != tt.want {
				t.Errorf("present %s: live %s: want %s", tt.present, got, tt.want)
			}
		})
	}
}

// paths marks the edges of every path from node at to out, found by walking
// them all.
func paths(edges []Edge, out int, present, live []bool, at int, walked []int) {
	if at == out {
		for _, i := range walked {
			live[i] = true
		}
	}
	for i, e := range edges {
		if present[i] && e.From == at {
			paths(edges, out, present, live, e.To, append(walked[:len(walked):len(walked)], i))
		}
	}
}

func TestLiveAgainstPaths(t *testing.T) {
	var darts []Edge // 14 edges into 4 nodes from two inputs, all gathered in an output node
	for to := 2; to < 6; to++ {
		for from := range to {
			darts = append(darts, Edge{from, to})
		}
		darts = append(darts, Edge{to, 6})
	}
	darts = append(darts, Edge{0, 1})
	rng := rand.New(rand.NewPCG(1, 0))
	for _, tt := range []struct {
		name  string
		edges []Edge
		out   int
	}{
		{"nb201", nb201Edges, 3},
		{"nb201, edges in another order", []Edge{{2, 3}, {1, 3}, {1, 2}, {0, 3}, {0, 2}, {0, 1}}, 3},
		{"larger", darts, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := len(tt.edges)
			for i := range min(1<<n, 1<<9) {
				mask := uint64(i)
				if n > 9 {
					mask = rng.Uint64()
				}
				present := make([]bool, n)
				for e := range present {
					present[e] = mask>>e&1 == 1
				}
				want := make([]bool, n)
				paths(tt.edges, tt.out, present, want, 0, nil)
				if got := Live(tt.edges, tt.out, present); !slices.Equal(got, want) {
					t.Fatalf("present %v: live %v: want %v", present, got, want)
				}
			}
		})
	}
}

func TestLiveIntoAllocatesNothing(t *testing.T) {
	live, present := make([]bool, 6), []bool{true, true, false, true, false, true}
	if n := testing.AllocsPerRun(10, func() { LiveInto(live, nb201Edges, 3, present) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
