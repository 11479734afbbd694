// SPDX-License-Identifier: Apache-2.0

package edgenas

import (
	"bytes"
	"go/ast"
	"os"
	"strings"
	"testing"
)

// TestPackageDocs checks that each package says once what it is for, in the
// form that go doc expects.
func TestPackageDocs(t *testing.T) {
	code, _ := sources(t)
	docs := map[string]int{}
	for _, s := range code {
		if ignored(s.file) {
			continue
		}
		docs[s.pkg] += 0
		if s.file.Doc == nil {
			continue
		}
		docs[s.pkg]++
		text := s.file.Doc.Text()
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + s.pkg[strings.LastIndexByte(s.pkg, '/')+1:] + " "
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: package comment %.40q: want it to begin with %q", s.path, text, want)
		}
	}
	for pkg, n := range docs {
		if n != 1 {
			t.Errorf("%s: %d package comments: want 1", pkg, n)
		}
	}
}

// ignored says whether a file is a program to be run by itself.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

func TestLicenceLines(t *testing.T) {
	code, tests := sources(t)
	for _, s := range append(code, tests...) {
		data, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(data, []byte("// SPDX-License-Identifier: Apache-2.0\n\n")) {
			t.Errorf("%s: want the licence identifier in the first line and nothing in the second", s.path)
		}
	}
}
