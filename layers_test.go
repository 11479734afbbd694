// SPDX-License-Identifier: Apache-2.0

package edgenas

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/edgenas/edgenas"

// layers is the whole import policy, lowest layer first: each package with the
// packages of this module that it may import. Absence is a prohibition. Adding
// an edge is an architecture decision: write a record in docs/adr with it.
var layers = []struct{ pkg, may string }{
	{"internal/atomicfile", ""},
	{"internal/kernels", ""},
	{"internal/stats", ""},
	{"internal/ridge", "internal/stats"},
	{"internal/units", ""},
	{"internal/jsonlines", ""},
	{"internal/hostinfo", "internal/stats"},
	{"internal/version", ""},
	{"internal/dataset/embedded", ""},
	{"internal/dataset", ""},
	{"ops", ""},
	{"ops/opstest", "ops"},
	{"internal/safetensors", "ops internal/atomicfile"},
	{"internal/onnx", "ops internal/atomicfile"},
	{"arch", "ops internal/atomicfile"},
	{"profiles", "internal/stats internal/atomicfile"},
	{"internal/arena", ""},
	{"internal/infer", "ops internal/arena internal/kernels"},
	{"internal/autodiff", "ops internal/arena internal/kernels"},
	{"internal/bench", "ops arch internal/kernels internal/autodiff internal/stats internal/hostinfo internal/version"},
	{"internal/memory", "ops internal/units internal/hostinfo"},
	{"peers", "internal/stats internal/hostinfo internal/atomicfile internal/bench"},
	{"predict", "ops profiles internal/stats internal/ridge"},
	{"internal/hostprofile", "profiles internal/hostinfo"},
	{"latency", "ops profiles internal/stats internal/hostinfo internal/hostprofile"},
	{"internal/native", "ops profiles latency internal/infer internal/kernels internal/version"},
	{"search", "ops arch internal/autodiff internal/kernels internal/ridge internal/stats"},
	{"train", "ops arch internal/autodiff internal/kernels internal/dataset"},
	{"internal/evaluate", "ops arch train internal/dataset internal/infer internal/kernels"},
	{"export", "ops arch internal/onnx internal/atomicfile"},
	{"internal/runfile", "ops arch search train internal/safetensors internal/atomicfile"},
	{"report", "ops arch profiles predict internal/units internal/runfile internal/atomicfile"},
	{"devices", ""},
	{"devices/devicestest", "devices"},
	{"internal/wire", "ops arch profiles latency internal/hostinfo internal/hostprofile"},
	{"internal/agent", ""},
	{"internal/wording", ""},
	{"internal/oracle", "ops arch search train internal/units internal/stats internal/ridge internal/dataset" +
		" internal/kernels internal/evaluate internal/jsonlines"},
	{"internal/event", "search train internal/runfile"},
	{"internal/fault", "profiles search export devices internal/wire internal/runfile"},
	{"internal/inventory", "ops arch"},
	{"internal/target", "ops arch profiles latency predict devices internal/native internal/infer internal/kernels" +
		" internal/wire internal/agent internal/version internal/inventory internal/runfile" + telling},
	{"internal/run", "internal/units ops arch profiles predict latency search train export report internal/native" +
		" internal/infer internal/kernels internal/autodiff internal/dataset internal/evaluate internal/memory" +
		" internal/safetensors internal/atomicfile internal/version internal/inventory internal/target" +
		" internal/runfile internal/stats" + telling},
	{"internal/compare", "arch profiles internal/dataset internal/stats internal/units internal/version" +
		" internal/jsonlines internal/inventory internal/target internal/run internal/runfile internal/event"},
	{"cmd/edgenas-agent", "profiles latency internal/kernels internal/native internal/onnx internal/version" +
		" internal/wire"},
	{"examples/betadecay", "arch search internal/dataset"},
	{"examples/learningcurves", "arch train internal/dataset internal/evaluate internal/jsonlines internal/kernels"},
	{"examples/library", "ops arch profiles predict export"},
	{"cmd/edgenas", "ops arch profiles predict latency search train report devices internal/infer internal/native" +
		" internal/kernels internal/onnx internal/safetensors internal/atomicfile internal/dataset internal/bench" +
		" internal/hostinfo internal/version internal/units internal/wire internal/agent internal/inventory internal/target" +
		" internal/oracle internal/run internal/runfile internal/compare" + telling},
}

// telling are the packages by which work tells what happens.
const telling = " internal/event internal/fault internal/wording"

// confined names the packages that may import each third-party module; a
// module that is not here is in nobody's plan.
var confined = map[string]string{
	"gorgonia.org/gorgonia":            "internal/autodiff",
	"gorgonia.org/tensor":              "internal/autodiff export", // onnx-go's interfaces speak tensor
	"github.com/owulveryck/onnx-go":    "export",
	"google.golang.org/protobuf":       "internal/onnx",
	"github.com/klauspost/cpuid/v2":    "internal/kernels internal/hostinfo",
	"golang.org/x/crypto":              "devices devices/devicestest",
	"github.com/pkg/sftp":              "devices devices/devicestest",
	"github.com/kevinburke/ssh_config": "devices",
	"golang.org/x/sys":                 "internal/kernels internal/hostinfo latency internal/bench",
	"github.com/chewxy/hm":             "internal/autodiff",                    // Gorgonia's operations speak its types
	"gonum.org/v1/gonum":               "internal/stats internal/ridge export", // onnx-go's graphs are gonum's
	"golang.org/x/term":                "cmd/edgenas",
	"github.com/spf13/cobra":           "cmd/edgenas",
	"github.com/spf13/pflag":           "cmd/edgenas",
	"github.com/vbauerster/mpb/v8":     "cmd/edgenas",
}

// source is a Go file of the module that is no test.
type source struct {
	path, pkg string // from the root, with slashes
	file      *ast.File
	imports   []string
}

// sources parses all Go files of the module with their comments, tests too.
func sources(t *testing.T) (code, tests []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		skipped := d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		if d.IsDir() && name != "." && skipped {
			return filepath.SkipDir // as the go tool does
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(name), file: f}
		s.pkg = path.Dir(s.path)
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imp)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, s)
		} else {
			code = append(code, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return code, tests
}

// within says whether imp is module or a package in it.
func within(imp, module string) bool {
	return imp == module || strings.HasPrefix(imp, module+"/")
}

func TestLayers(t *testing.T) {
	code, _ := sources(t)
	exists := map[string]bool{}
	for _, s := range code {
		exists[s.pkg] = true
	}
	may := map[string][]string{}
	for _, l := range layers {
		if !exists[l.pkg] {
			t.Errorf("layers: there is no package %s", l.pkg)
		}
		for _, d := range strings.Fields(l.may) {
			if _, lower := may[d]; !lower {
				t.Errorf("layers: %s may import %s, which is not below it", l.pkg, d)
			}
		}
		may[l.pkg] = strings.Fields(l.may)
	}
	seen := 0 // imports inside the module: none means that this looks past them
	for _, s := range code {
		rule, placed := may[s.pkg]
		if !placed {
			t.Errorf("%s: package %s is in no layer", s.path, s.pkg)
		}
		for _, imp := range s.imports {
			dep, ok := strings.CutPrefix(imp, module+"/")
			if !ok {
				continue
			}
			seen++
			if !slices.Contains(rule, dep) {
				t.Errorf("%s imports %s, a layer that it may not see", s.path, dep)
			}
		}
	}
	if seen == 0 {
		t.Error("no import inside the module was seen: is the module path right?")
	}
}

func TestThirdParty(t *testing.T) {
	code, _ := sources(t)
	used := map[string]bool{}
	for _, s := range code {
		for _, imp := range s.imports {
			first, _, _ := strings.Cut(imp, "/")
			if !strings.Contains(first, ".") || within(imp, module) {
				continue // standard library, or ours
			}
			known := false
			for mod, homes := range confined {
				if !within(imp, mod) {
					continue
				}
				known, used[mod] = true, true
				if !slices.Contains(strings.Fields(homes), s.pkg) {
					t.Errorf("%s imports %s, which is confined to %s", s.path, imp, homes)
				}
			}
			if !known {
				t.Errorf("%s imports %s, which has no home", s.path, imp)
			}
		}
	}
	for mod := range confined {
		if !used[mod] {
			t.Errorf("nothing imports %s", mod)
		}
	}
}
