// SPDX-License-Identifier: Apache-2.0

package edgenas

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// public reports whether pkg, a path from the root, is for other modules: the
// programs, examples and test helpers are not.
func public(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	private := []string{".", "internal", "cmd", "peers", "examples"}
	return !slices.Contains(private, first) && !strings.HasSuffix(pkg, "test")
}

// publicPackages returns the paths of all public packages, from the root.
func publicPackages(t *testing.T) (pkgs []string) {
	t.Helper()
	code, _ := sources(t)
	for _, s := range code {
		if public(s.pkg) && !slices.Contains(pkgs, s.pkg) {
			pkgs = append(pkgs, s.pkg)
		}
	}
	if len(pkgs) == 0 {
		t.Fatal("no public package was seen")
	}
	return pkgs
}

// TestPublicAPI checks that another module can name every type that a public
// package speaks of: none of them belongs to an internal package.
func TestPublicAPI(t *testing.T) {
	pkgs := publicPackages(t)
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, pkg := range pkgs {
		args = append(args, "./"+pkg)
	}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	compiled := map[string]string{} // import path: file of export data
	for line := range strings.Lines(string(list)) {
		pkg, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		compiled[pkg] = file
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(pkg string) (io.ReadCloser, error) {
		return os.Open(compiled[pkg])
	})
	for _, pkg := range pkgs {
		p, err := imp.Import(path.Join(module, pkg))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Scope().Names()) == 0 {
			t.Errorf("%s: no identifier was seen", pkg)
		}
		for _, leak := range exposed(p) {
			t.Errorf("%s: %s: another module cannot name that type", pkg, leak)
		}
	}
}

// exposed lists the exported identifiers of a package through which a type of
// an internal package can be reached.
func exposed(pkg *types.Package) []string {
	w := apiWalk{pkg: pkg, seen: map[types.Type]bool{}}
	for _, name := range pkg.Scope().Names() {
		o := pkg.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
			w.own(name, o.Type().(*types.Named))
		} else {
			w.visit(name, o.Type())
		}
	}
	return w.leaks
}

// apiWalk walks the types that the exported identifiers of a package lead to.
type apiWalk struct {
	pkg   *types.Package
	seen  map[types.Type]bool // types of pkg
	leaks []string
}

// own visits what a type of the package shows: type parameters, underlying
// type, methods.
func (w *apiWalk) own(where string, t *types.Named) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	w.params(where, t.TypeParams())
	w.visit(where, t.Underlying())
	for method := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		if o := method.Obj(); o.Exported() && !types.IsInterface(t) {
			w.visit(where+"."+o.Name(), o.Type())
		}
	}
}

func (w *apiWalk) params(where string, list *types.TypeParamList) {
	for p := range list.TypeParams() {
		w.visit(where, p.Constraint())
	}
}

// visit visits a type that the identifier where shows.
func (w *apiWalk) visit(where string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		w.visit(where, types.Unalias(t))
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			w.visit(where, arg)
		}
		switch o := t.Obj(); {
		case o.Pkg() == w.pkg && o.Exported(): // visited by itself
		case o.Pkg() == w.pkg:
			w.own(where, t.Origin())
		case o.Pkg() != nil && slices.Contains(strings.Split(o.Pkg().Path(), "/"), "internal") &&
			within(o.Pkg().Path(), module):
			w.leaks = append(w.leaks, fmt.Sprintf("%s exposes %s", where, t))
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() { // what an embedded type has is promoted
				w.visit(where+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			w.visit(where+"."+m.Name(), m.Type())
		}
		for e := range t.EmbeddedTypes() {
			w.visit(where, e)
		}
	case *types.Signature:
		w.params(where, t.TypeParams())
		w.visit(where, t.Params())
		w.visit(where, t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			w.visit(where, v.Type())
		}
	case *types.Map:
		w.visit(where, t.Key())
		w.visit(where, t.Elem())
	case *types.Union:
		for term := range t.Terms() {
			w.visit(where, term.Type())
		}
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		w.visit(where, t.Elem())
	}
}

// TestExposed checks that exposed looks everywhere.
func TestExposed(t *testing.T) {
	check := func(path, text string, imp types.Importer) *types.Package {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path+".go", text, 0)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := (&types.Config{Importer: imp}).Check(path, fset, []*ast.File{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return pkg
	}
	hidden := check(module+"/internal/hidden", `package hidden
		type T struct{}
		type I interface{ M() }
		const C T2 = "c"
		type T2 string
		func (T) Method(T2) {}`, nil)
	got := exposed(check(module+"/shown", `package shown
		import "github.com/edgenas/edgenas/internal/hidden"
		type Alias = hidden.T
		type Array [2]hidden.T
		const Constant = hidden.C
		type Constraint interface{ ~int | hidden.T2 }
		type Defined hidden.I // has only what hidden.I has
		type Embedded struct{ inner }
		type Field struct{ F map[string][]*hidden.T; hidden hidden.T }
		func Func(func(chan hidden.T))  {}
		type Generic[P hidden.I] struct{}
		type Instance struct{ G Box[hidden.T] }
		type Interface interface{ Do() hidden.T; hidden.I }
		type Method struct{}
		func (*Method) Exported() (hidden.T, error) { panic(0) }
		func (*Method) unexported() hidden.T { panic(0) }
		func Unexported() result { panic(0) }
		var Variable hidden.T

		type Box[P any] struct{ x hidden.T }
		type inner struct{ Promoted hidden.T; not hidden.T }
		type result struct{}
		func (result) Reached() hidden.T { panic(0) }
		func function() hidden.T { panic(0) }`, only{hidden}))
	var names []string
	for _, leak := range got {
		name, _, _ := strings.Cut(leak, " ")
		names = append(names, name)
	}
	want := []string{"Alias", "Array", "Constant", "Constraint", "Embedded.inner.Promoted", "Field.F", "Func", "Generic",
		"Instance.G", "Interface.Do", "Interface", "Method.Exported", "Unexported.Reached", "Variable"}
	if !slices.Equal(names, want) {
		t.Errorf("exposed\n%q, want\n%q", names, want)
	}
}

// only imports one package, under any path.
type only struct{ pkg *types.Package }

func (o only) Import(string) (*types.Package, error) { return o.pkg, nil }

// TestExamples checks that go doc shows for every public package how it is
// used, by a program that runs as a test.
func TestExamples(t *testing.T) {
	_, tests := sources(t)
	runs := map[string]bool{}
	for _, s := range tests {
		for _, e := range doc.Examples(s.file) {
			if e.Output != "" {
				runs[s.pkg] = true
			}
		}
	}
	for _, pkg := range publicPackages(t) {
		if !runs[pkg] {
			t.Errorf("%s: no example that runs", pkg)
		}
	}
}

// TestPicture checks that the picture in ARCHITECTURE.md has every internal
// package.
func TestPicture(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, picture, _ := strings.Cut(string(text), "## The picture")
	picture, _, _ = strings.Cut(picture, "\n## ")
	words := strings.FieldsFunc(picture, func(r rune) bool { return strings.ContainsRune(" ,;:\n", r) })
	for _, l := range layers {
		pkg, internal := strings.CutPrefix(l.pkg, "internal/")
		if internal && !strings.Contains(pkg, "/") && !slices.Contains(words, pkg) && !slices.Contains(words, l.pkg) {
			t.Errorf("the picture lacks %s", l.pkg)
		}
	}
}
