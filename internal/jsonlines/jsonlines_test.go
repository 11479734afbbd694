// SPDX-License-Identifier: Apache-2.0

package jsonlines

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type named struct {
	Name string `json:"name"`
}

// names takes in lines.
func names(all *[]string) func(line []byte) error {
	return func(line []byte) error {
		var n named
		err := Decode(line, &n)
		*all = append(*all, n.Name)
		return err
	}
}

// A line that a crash has cut is written again, behind those that are whole.
func TestGoOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	if err := Read(path, names(nil)); err != nil {
		t.Fatalf("without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{\"name\":\"first\"}\n{\"na"), 0o666); err != nil {
		t.Fatal(err)
	}
	var there []string
	f, err := Open(path, names(&there))
	if err != nil || !slices.Equal(there, []string{"first"}) {
		t.Fatalf("%q (%v): want the whole line", there, err)
	}
	if err := f.Add(named{"second"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := "{\"name\":\"first\"}\n{\"name\":\"second\"}\n"; err != nil || string(text) != want {
		t.Errorf("file %q (%v): want %q", text, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", "{\"name\":\"a\"}\nb\n", "lines.jsonl: line 2: invalid character"},
		{"an unknown field", "{\"size\":1}\n", `lines.jsonl: line 1: json: unknown field "size"`},
		{"two values", "{}{}\n", "lines.jsonl: line 1: more than one value"},
		{"a long line", "{}\n" + strings.Repeat(" ", 2*maxLineBytes) + "\n", "lines.jsonl: line 2: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lines.jsonl")
			if err := os.WriteFile(path, []byte(tc.text), 0o666); err != nil {
				t.Fatal(err)
			}
			var all []string
			if err := Read(path, names(&all)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("read: %v: want %q", err, tc.want)
			}
			if _, err := Open(path, names(&all)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("open: %v: want %q", err, tc.want)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != tc.text {
				t.Errorf("the file has changed (%v)", err)
			}
		})
	}
}
