// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// standard is NAS-Bench-201's width and depth, on the embedded images.
var standard = Size{Cells: 5, Channels: 16, Image: 28, Colours: 1, Classes: 10}

func TestArchitectureJSON(t *testing.T) {
	for _, tt := range []struct {
		name            string
		size            Size
		digits, written string // choice, and its canonical form
	}{
		{"all alive", paper, "334123", "334123"},
		{"dead edges", standard, "300301", "000300"},
		{"smallest size", Size{Cells: 1, Channels: 1, Image: 8, Colours: 1, Classes: 2}, "111111", "111111"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := Architecture{newSpace(t, tt.size), cell(tt.digits)}
			data, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			var b Architecture
			if err := json.Unmarshal(data, &b); err != nil {
				t.Fatal(err)
			}
			if b.Space != a.Space || !b.Choice.Equal(cell(tt.written)) {
				t.Errorf("read %v of size %+v: want %s of size %+v", b, b.Space.Size(), tt.written, tt.size)
			}
			again, err := json.Marshal(b)
			if err != nil || string(again) != string(data) {
				t.Errorf("written again as %s, %v: want %s", again, err, data)
			}
		})
	}
}

func TestArchitectureFile(t *testing.T) {
	a := Architecture{newSpace(t, standard), cell("334123")}
	path := filepath.Join(t.TempDir(), "architecture.json")
	if err := a.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	b, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Space != a.Space || !b.Choice.Equal(a.Choice) {
		t.Errorf("read %v: want %v", b, a)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "architecture.golden", string(text))
	want := "nb201 |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
	if a.String() != want {
		t.Errorf("String: %s: want %s", a, want)
	}

	missing := filepath.Join(t.TempDir(), "missing", "architecture.json")
	if err := a.WriteFile(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("written into a missing folder: %v", err)
	}
	if _, err := ReadFile(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("read from a missing folder: %v", err)
	}
}

func TestReadErrors(t *testing.T) {
	data, err := json.Marshal(Architecture{newSpace(t, standard), cell("333333")})
	if err != nil {
		t.Fatal(err)
	}
	file := string(data)
	if _, err := Read(strings.NewReader(file), "a.json"); err != nil {
		t.Fatal(err)
	}
	notation := newSpace(t, paper).Notation(cell("333333"))
	dead := strings.ReplaceAll(file, "nor_conv_3x3", "none")
	replace := func(old, new string) string {
		if !strings.Contains(file, old) {
			t.Errorf("no %q in %s", old, file)
		}
		return strings.Replace(file, old, new, 1)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "a.json"},
		{"half", file[:len(file)/2], "byte"},
		{"two", file + file, "byte"},
		{"no JSON", "<html>", "byte 1"},
		{"another value", "[]", "a.json"},
		{"null", "null", "format"},
		{"no fields", "{}", "format"},
		{"a newer format", replace(`architecture/1`, `architecture/2`), `"edgenas-architecture/2"`},
		{"a newer format with a new field", replace(`architecture/1"`, `architecture/2","x":1`),
			`format is "edgenas-architecture/2": this program reads "edgenas-architecture/1": use a newer edgenas`},
		{"a format that is no text", replace(`"edgenas-architecture/1"`, `1`), "format"},
		{"unknown field", replace(`{`, `{"x":1,`), `unknown field "x"`},
		{"unknown space", replace(`"nb201"`, `"nb301"`), `"nb301"`},
		{"no cells", replace(`"cells":5`, `"cells":0`), "cells 0"},
		{"too many cells", replace(`"cells":5`, `"cells":1000000000`), "cells 1000000000"},
		{"negative channels", replace(`"channels":16`, `"channels":-16`), "channels -16"},
		{"large image", replace(`"image":28`, `"image":100000`), "image 100000"},
		{"fraction", replace(`"image":28`, `"image":28.5`), "28.5"},
		{"beyond int64", replace(`"image":28`, `"image":1e30`), "1e30"},
		{"one class", replace(`"classes":10`, `"classes":1`), "classes 1"},
		{"no colours", replace(`"colours":1`, `"colours":0`), "colours 0"},
		{"unknown operation", replace(`"nor_conv_3x3"`, `"nor_conv_9x9"`), "nor_conv_9x9"},
		{"a row too few", replace(`"nor_conv_3x3",`, ``), "5 rows"},
		{"a row too many", replace(`"nor_conv_3x3",`, `"nor_conv_3x3","nor_conv_3x3",`), "7 rows"},
		{"unknown α", replace(`"cell":[`, `"reduce":["none"],"cell":[`), "2 α"},
		{"another α", replace(`"cell":[`, `"normal":[`), "0 rows"},
		{"no choices", replace(`"choices"`, `"notes":1,"choices"`), "notes"},
		{"notation of another network",
			replace(notation, strings.Replace(notation, "nor_conv_3x3", "none", 1)), "does not agree"},
		{"no notation", replace(notation, ""), "does not agree"},
		{"dead", dead, ErrDead.Error()},
		{"deep", strings.Repeat("[", 1<<19), "a.json"},
		{"large", strings.Repeat(" ", maxFileBytes) + file, "larger than"},
		{"long operation", replace(`"nor_conv_3x3"`, `"`+strings.Repeat("x", 1<<18)+`"`), "xxx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Read(strings.NewReader(tt.text), "a.json")
			if err == nil {
				t.Fatalf("read %v", a)
			}
			text := err.Error()
			if !strings.Contains(text, "a.json") || !strings.Contains(text, tt.want) || len(text) > 2000 ||
				strings.Contains(text, "\n") {
				t.Errorf("error %.2000q: want one line with a.json and %q", text, tt.want)
			}
		})
	}
	if _, err := Read(strings.NewReader(dead), "a.json"); !errors.Is(err, ErrDead) {
		t.Errorf("dead: error %v is not ErrDead", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, digits := range []string{"333333", "104020"} {
		s, err := NewSpace("nb201", Size{Cells: 1, Channels: 2, Image: 8, Colours: 1, Classes: 2})
		if err != nil {
			f.Fatal(err)
		}
		data, err := json.Marshal(Architecture{s, cell(digits)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Read(strings.NewReader(text), "a.json")
		if err != nil {
			return
		}
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Read(strings.NewReader(string(data)), "b.json")
		if err != nil {
			t.Fatal(err)
		}
		if b.Space != a.Space || !b.Choice.Equal(a.Space.Canonical(a.Choice)) {
			t.Errorf("%v was read as %v", a, b)
		}
	})
}
