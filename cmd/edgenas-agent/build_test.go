// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/elf"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// closure collects what a package of this module imports, directly or through
// others of the module, on any system and with any build tag.
func closure(t *testing.T, pkg string, imports map[string]bool) {
	const module = "github.com/edgenas/edgenas/"
	entries, err := os.ReadDir(filepath.Join("..", "..", filepath.FromSlash(pkg)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", filepath.FromSlash(pkg), e.Name()), nil,
			parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if imports[imp] {
				continue
			}
			imports[imp] = true
			if dep, ok := strings.CutPrefix(imp, module); ok {
				closure(t, dep, imports)
			}
		}
	}
}

// TestClosure keeps the agent small: what it imports must do without the
// libraries for training and for a second look at ONNX files, and without data.
func TestClosure(t *testing.T) {
	imports := map[string]bool{}
	closure(t, "cmd/edgenas-agent", imports)
	var modules []string
	for imp := range imports {
		first, _, _ := strings.Cut(imp, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(imp, "github.com/edgenas/edgenas/") {
			modules = append(modules, imp)
		}
	}
	slices.Sort(modules)
	if len(modules) == 0 || !imports["github.com/edgenas/edgenas/internal/kernels"] {
		t.Fatalf("the walk missed imports: it found %v", imports)
	}
	allowed := []string{"github.com/klauspost/cpuid/v2", "golang.org/x/sys/", "gonum.org/v1/gonum/stat",
		"google.golang.org/protobuf/encoding/protowire"}
	for _, m := range modules {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(m, a) }) {
			t.Errorf("the agent imports %s: want only %q", m, allowed)
		}
	}
	if imports["embed"] {
		t.Error("the agent embeds data")
	}
}

// TestSize builds the agent for boards and phones: static, at most 8 MB.
func TestSize(t *testing.T) {
	for _, arch := range []string{"arm64", "arm"} {
		t.Run(arch, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "edgenas-agent")
			build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > 8_000_000 {
				t.Errorf("%d bytes: want at most 8 MB", info.Size())
			}
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP {
					t.Error("not static: it asks for an interpreter")
				}
			}
		})
	}
}
