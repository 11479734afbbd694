// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/cpuid/v2"
)

// recordFile says which sources of each implementation have passed the tests,
// and on which processor: no machine can run all implementations. Lines are
// the implementation, the hash of its sources, the processor and the date.
const recordFile = "testdata/implementations.txt"

var update = flag.Bool("update", false, "record that the implementations of this machine have passed the tests")

// sources are the files that an implementation's results depend on.
var sources = func() map[string][]string {
	common := []string{"loops.go", "loops_portable.go", "loops_twin_test.go"}
	vector := append([]string{"loops_vector.go"}, common...)
	avx2 := append([]string{
		"conv_winograd_amd64.go", "conv_winograd_amd64.h", "conv_winograd_amd64.s",
		"depthwise_amd64.s", "depthwise_plane_amd64.go", "depthwise_plane_amd64.s", "depthwise_slide_amd64.s",
		"depthwise_weights_amd64.go", "depthwise_weights_amd64.s",
		"loops_amd64.go", "loops_amd64.s", "loops_avx2_amd64.h", "norm_affine_amd64.s",
		"pointwise_amd64.go", "pointwise_amd64.s", "pointwise_lay_amd64.go", "pointwise_lay_amd64.s",
		"pooling_3x3_amd64.go", "pooling_3x3_amd64.s", "pooling_3x3_grad_amd64.s", "pooling_amd64.s",
	}, vector...)
	return map[string][]string{
		"portable": append([]string{"conv_winograd_portable.go"}, common...),
		"avx2":     avx2,
		"avx512": append([]string{
			"conv_winograd512_amd64.s", "depthwise_plane512_amd64.s", "loops_rows512_amd64.s",
		}, avx2...),
		"neon": append([]string{
			"depthwise_arm64.s", "depthwise_weights_arm64.s",
			"loops_arm64.go", "loops_arm64.s", "loops_neon_arm64.h", "pooling_arm64.s",
		}, vector...),
	}
}()

// noLoops is the assembly that computes nothing.
var noLoops = []string{
	"memory_prefetch_amd64.s", "memory_prefetch_arm64.s", "workers_pause_amd64.s", "workers_pause_arm64.s",
}

// sourcesHash is the hash of an implementation's sources.
func sourcesHash(name string) (string, error) {
	h := sha256.New()
	files := slices.Sorted(slices.Values(sources[name]))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", file, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// record is a line of recordFile.
type record struct{ name, hash, processor string }

func readRecords() (records []record, err error) {
	f, err := os.Open(recordFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), "\t", 3)
		if len(fields) != 3 || sources[fields[0]] == nil {
			return nil, fmt.Errorf("%s: line %q is not of an implementation", recordFile, lines.Text())
		}
		records = append(records, record{fields[0], fields[1], fields[2]})
	}
	return records, nil
}

// writeRecords records this machine's implementations and keeps the lines of others.
func writeRecords() error {
	records, err := readRecords()
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, im := range implementations() {
		hash, err := sourcesHash(im.name)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(records, func(r record) bool { return r.name == im.name })
		if i >= 0 && records[i].hash == hash {
			continue // the processor that was first stays
		}
		r := record{im.name, hash, processor() + ", " + time.Now().UTC().Format(time.DateOnly)}
		if i < 0 {
			records = append(records, r)
		} else {
			records[i] = r
		}
	}
	slices.SortFunc(records, func(a, b record) int { return strings.Compare(a.name, b.name) })
	var text strings.Builder
	for _, r := range records {
		fmt.Fprintf(&text, "%s\t%s\t%s\n", r.name, r.hash, r.processor)
	}
	return os.WriteFile(recordFile, []byte(text.String()), 0o644)
}

// processor names what the tests run on.
func processor() string {
	if cpu := os.Getenv("QEMU_CPU"); cpu != "" {
		return "qemu " + cpu
	}
	name := cpuid.CPU.BrandName
	if name == "" {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return fmt.Sprintf("%s (family %d, model %d)", strings.TrimSpace(name), cpuid.CPU.Family, cpuid.CPU.Model)
}

// microTests is the -run of go test that runs all tests of the loops.
const microTests = "Micro"

// TestMain writes the record with -update, after the tests of the loops have passed.
func TestMain(m *testing.M) {
	flag.Parse()
	if run := flag.Lookup("test.run").Value.String(); *update && run != "" && run != microTests {
		fmt.Fprintf(os.Stderr, "-update needs the tests of all loops: -run %s or none, not -run %s\n", microTests, run)
		os.Exit(2)
	}
	code := m.Run()
	if *update && code == 0 {
		if err := writeRecords(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// TestRecorded: the sources of each implementation are those whose tests have
// passed on a machine that can run it. For one that this machine cannot run,
// it only says so.
func TestRecorded(t *testing.T) {
	if *update {
		return // TestMain writes them
	}
	records, err := readRecords()
	if err != nil {
		t.Fatal(err)
	}
	here := implementations()
	for name := range sources {
		hash, err := sourcesHash(name)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(records, func(r record) bool { return r.name == name })
		runs := slices.ContainsFunc(here, func(im implementation) bool { return im.name == name })
		switch {
		case i >= 0 && records[i].hash == hash:
			t.Logf("%s: passed on %s", name, records[i].processor)
		case runs:
			t.Errorf("%s: no test of these sources is recorded: run go test ./internal/kernels -run %s -update", name,
				microTests)
		default:
			t.Logf("%s: has not run since its sources changed, and cannot on this machine", name)
		}
	}
}

// TestSources: all assembly is in the sources of an implementation.
func TestSources(t *testing.T) {
	files, err := filepath.Glob("*_a*64.[sh]")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		known := slices.Contains(noLoops, file)
		for _, list := range sources {
			known = known || slices.Contains(list, file)
		}
		if !known {
			t.Errorf("%s is in the sources of no implementation", file)
		}
	}
}
