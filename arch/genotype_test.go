// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The genotypes that were published with DARTS, as they stand there; and one
// that has every operation at strides 1 and 2.
const (
	dartsV1 = "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), " +
		"('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), " +
		"('skip_connect', 2)], normal_concat=[2, 3, 4, 5], " +
		"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), " +
		"('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
	dartsV2 = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), " +
		"('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), " +
		"('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], " +
		"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), " +
		"('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
	everyOperation = "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('max_pool_3x3', 0), " +
		"('avg_pool_3x3', 2), ('skip_connect', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 3), " +
		"('skip_connect', 4)], normal_concat=range(2, 6), " +
		"reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('dil_conv_3x3', 1), " +
		"('avg_pool_3x3', 0), ('dil_conv_5x5', 1), ('sep_conv_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))"
)

func TestGenotype(t *testing.T) {
	s := newDARTSSpace(t, small)
	for _, tt := range []struct {
		name, text string
		want       Choice // rows 2<-0 2<-1 · 3<-0 … 3<-2 · 4<-0 … 4<-3 · 5<-0 … 5<-4
	}{
		{"V1", dartsV1, Choice{{4, 4, 3, 4, 0, 3, 4, 0, 0, 4, 0, 3, 0, 0}, {1, 1, 1, 0, 3, 1, 0, 3, 0, 2, 0, 3, 0, 0}}},
		{"V2", dartsV2, Choice{{4, 4, 4, 4, 0, 3, 4, 0, 0, 3, 0, 6, 0, 0}, {1, 1, 0, 1, 3, 1, 0, 3, 0, 0, 1, 3, 0, 0}}},
		{"every operation", everyOperation,
			Choice{{4, 7, 1, 0, 2, 3, 5, 0, 0, 0, 0, 0, 6, 3}, {1, 5, 3, 6, 0, 2, 7, 0, 0, 0, 4, 3, 0, 0}}},
		{"spaces and line ends", "\n" + strings.NewReplacer(",", " ,\n\t", "(", " ( ", "=", " = ").Replace(everyOperation) +
			"\r\n", Choice{{4, 7, 1, 0, 2, 3, 5, 0, 0, 0, 0, 0, 6, 3}, {1, 5, 3, 6, 0, 2, 7, 0, 0, 0, 4, 3, 0, 0}}},
		{"no spaces", strings.ReplaceAll(everyOperation, " ", ""),
			Choice{{4, 7, 1, 0, 2, 3, 5, 0, 0, 0, 0, 0, 6, 3}, {1, 5, 3, 6, 0, 2, 7, 0, 0, 0, 4, 3, 0, 0}}},
	} {
		if got := parse(t, s, tt.text); !got.Equal(tt.want) {
			t.Errorf("%s: %v: want %v", tt.name, got, tt.want)
		}
	}
	if got := s.Notation(parse(t, s, everyOperation)); got != everyOperation {
		t.Errorf("notation %s: want %s", got, everyOperation)
	}
	want := "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
		"('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), " +
		"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), " +
		"('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))"
	if got := s.Notation(parse(t, s, dartsV2)); got != want {
		t.Errorf("notation %s: want %s", got, want)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for range 500 {
		c := random(s, rng)
		text := s.Notation(c)
		if got := parse(t, s, text); !got.Equal(c) {
			t.Fatalf("%s was read as %v: want %v", text, got, c)
		}
	}
}

func TestGenotypeErrors(t *testing.T) {
	s := newDARTSSpace(t, small)
	replace := func(old, new string) string {
		if !strings.Contains(everyOperation, old) {
			t.Errorf("no %q in the genotype", old)
		}
		return strings.Replace(everyOperation, old, new, 1)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "want Genotype"},
		{"another notation", "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|", "want Genotype"},
		{"half", everyOperation[:len(everyOperation)/2], "want"},
		{"more", everyOperation + ",", "want the end"},
		{"no end", everyOperation[:len(everyOperation)-1], "want )"},
		{"a pair too few", replace(", ('skip_connect', 4)", ""), "want ,"},
		{"a pair too many", replace(", ('skip_connect', 4)", ", ('skip_connect', 4), ('skip_connect', 3)"), "want ]"},
		{"unknown operation", replace("sep_conv_3x3", "sep_conv_7x7"), `at "sep_conv_7x7', 0), (": want one of`},
		{"none", replace("sep_conv_3x3", "none"), "want one of"},
		{"no operation", replace("'sep_conv_3x3'", "''"), "want one of"},
		{"no number", replace("'sep_conv_3x3', 0", "'sep_conv_3x3', x"), "want a node before 2"},
		{"negative", replace("'sep_conv_3x3', 0", "'sep_conv_3x3', -1"), "want a node before 2"},
		{"a node that is not there yet", replace("'avg_pool_3x3', 2", "'avg_pool_3x3', 3"), "want a node before 3"},
		{"two digits", replace("'avg_pool_3x3', 2", "'avg_pool_3x3', 22"), "want )"},
		{"one node twice", replace("'dil_conv_5x5', 1", "'dil_conv_5x5', 0"), "node 2 reads node 0 twice"},
		{"other nodes concatenated", replace("range(2, 6)", "range(3, 6)"), "want 2"},
		{"fewer nodes concatenated", replace("range(2, 6)", "[3, 4, 5]"), "want 2"},
		{"reduce first", replace("normal", "reduce"), "want normal"},
		{"one cell", replace("reduce=", "normal="), "want reduce"},
		{"long", strings.Repeat(" ", maxGenotype) + everyOperation, "bytes: want at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.Parse(tt.text)
			if err == nil || c != nil {
				t.Fatalf("read %v, error %v", c, err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "arch: genotype") ||
				!strings.Contains(text, tt.want) || len(text) > 300 {
				t.Errorf("error %q: want …%s…", text, tt.want)
			}
		})
	}
}

func FuzzGenotype(f *testing.F) {
	s := newDARTSSpace(f, small)
	f.Add(dartsV1)
	f.Add(everyOperation)
	f.Add("Genotype(normal=[('none', 0), ('")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.Parse(text)
		if err != nil {
			return
		}
		if _, err := s.Network(c, 1); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		again, err := s.Parse(s.Notation(c))
		if err != nil || !slices.EqualFunc(again, c, slices.Equal) {
			t.Errorf("%q was read as %v, written and read again as %v, %v", text, c, again, err)
		}
	})
}

// A choice that is no network still has a notation, for error messages.
func TestGenotypeOfNoNetwork(t *testing.T) {
	s := newDARTSSpace(t, small)
	c := Choice{make([]int, 14), make([]int, 14)}
	if got, want := s.Notation(c),
		"Genotype(normal=[], normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))"; got != want {
		t.Errorf("notation %s: want %s", got, want)
	}
	if _, err := s.Network(c, 1); !errors.Is(err, ErrEdges) {
		t.Errorf("error %v", err)
	}
}
