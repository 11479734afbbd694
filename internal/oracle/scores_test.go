// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A record that was killed in the middle of a line goes on behind the last
// whole one.
func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scores.jsonl")
	first := Score{Evaluator: "a", Architecture: skip, Score: -1.5, Tail: -2, CPUS: 0.5, Images: 100, Seed: 1}
	second := Score{Evaluator: "b", Architecture: skip, Score: 3}
	for i, s := range []Score{first, second} {
		r, err := OpenRecord(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Evaluators()) != i {
			t.Errorf("opened for score %d: evaluators %q", i, r.Evaluators())
		}
		if err := r.Add(s); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeScores(t, path, string(text)+`{"evaluator":"c","arch`)
	}
	s, err := OpenScores(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Of("a", skip, Budget{}); !ok || got != first {
		t.Errorf("%+v, want %+v", got, first)
	}
	if got, ok := s.Of("b", skip, Budget{}); !ok || got != second || !slices.Equal(s.Evaluators(), []string{"a", "b"}) {
		t.Errorf("%+v of %q, want %+v", got, s.Evaluators(), second)
	}
	if _, ok := s.Of("a", chain, Budget{}); ok {
		t.Error("a network without a score has one")
	}
	if s, err := OpenScores(path + "x"); err != nil || s.Evaluators() != nil {
		t.Errorf("no file: %v", err)
	}
	r, err := OpenRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Add(Score{Evaluator: "a", Architecture: chain, Score: math.NaN()}); err == nil {
		t.Error("a score that is no number was written")
	}
	if _, err := OpenRecord(filepath.Join(path, "x")); err == nil {
		t.Error("a file in a file was opened")
	}
}

func TestOpenScoresRefuses(t *testing.T) {
	good := `{"evaluator":"a","architecture":"x","score":1,"cpu_s":1,"seed":1}` + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", good + "score\n", "line 2: "},
		{"no evaluator", `{"architecture":"x"}` + "\n", "line 1: want an evaluator"},
		{"another field", `{"evaluator":"a","architecture":"x","speed":1}` + "\n", `"speed"`},
		{"twice", good + good, "line 2: a has a score of x already"},
	} {
		path := filepath.Join(t.TempDir(), "scores.jsonl")
		writeScores(t, path, tc.text)
		_, err := OpenScores(path)
		if err == nil || !strings.HasPrefix(err.Error(), "oracle: "+path+": ") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

// writeScores makes a file of scores.
func writeScores(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenScores(f *testing.F) {
	f.Add([]byte(`{"evaluator":"a","architecture":"x","score":1,"cpu_s":1,"seed":1}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "scores")
		writeScores(t, path, string(data))
		s, err := OpenScores(path)
		if err != nil {
			return
		}
		var b bytes.Buffer
		for _, e := range s.Evaluators() {
			for _, score := range s.of[e] {
				if err := json.NewEncoder(&b).Encode(score); err != nil {
					t.Fatal(err)
				}
			}
		}
		writeScores(t, path, b.String())
		again, err := OpenScores(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Evaluators() {
			if len(again.of[e]) != len(s.of[e]) {
				t.Errorf("%q: %d scores became %d", e, len(s.of[e]), len(again.of[e]))
			}
		}
	})
}
