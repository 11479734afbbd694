// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgenas/edgenas/ops"
)

// network has 3·4·9 + 4·2+2 learned values, 2·4 running ones and 7 nodes.
func network(t *testing.T, batch int) *ops.Graph {
	t.Helper()
	b, x := ops.NewBuilder(ops.Shape{N: batch, C: 3, H: 8, W: 8})
	x = b.ReLU("relu", b.BatchNorm("bn", b.Conv("conv", x, 4, ops.Same(3, 1, 1), 1, false), false))
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", x), 2))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// perImage plans an arena of so many bytes for each image.
func perImage(n int) Plan {
	return func(g *ops.Graph) (int, error) { return n * g.Nodes[0].Shape.N, nil }
}

func TestEstimate(t *testing.T) {
	g := network(t, 2)
	u, err := Estimate(g, perImage(1000), 77)
	if err != nil {
		t.Fatal(err)
	}
	const learned, running = 3*4*9 + 4*2 + 2, 2 * 4
	want := Use{Arena: 2000, Weights: 4 * (3*learned + running), Images: 4 * 2 * 3 * 8 * 8, Data: 77,
		Program: programBytes + nodeBytes*int64(len(g.Nodes)) + loadBytes*(learned+running)}
	if u != want || u.Total() != want.Arena+want.Weights+want.Images+want.Data+want.Program {
		t.Errorf("%+v: want %+v", u, want)
	}
	broken := errors.New("broken")
	if _, err := Estimate(g, func(*ops.Graph) (int, error) { return 0, broken }, 0); !errors.Is(err, broken) {
		t.Errorf("%v: want %v", err, broken)
	}
}

func TestCheck(t *testing.T) {
	const arena = 10 << 20 // for each image
	g := network(t, 64)
	one, err := Estimate(g.WithBatch(1), perImage(arena), 0)
	if err != nil {
		t.Fatal(err)
	}
	image := one.Arena + one.Images
	rest := one.Total() - image
	for name, tt := range map[string]struct {
		available int64
		fits      int // 64: all
	}{
		"enough":       {rest + 64*image, 64},
		"one too many": {rest + 64*image - 1, 63},
		"half":         {rest + 32*image, 32},
		"one":          {rest + image, 1},
		"none":         {rest + image - 1, 0},
		"nothing":      {0, 0},
	} {
		use, err := Check(g, perImage(arena), 0, tt.available)
		if use.Total() != rest+64*image {
			t.Errorf("%s: %v", name, use)
		}
		var large *TooLargeError
		switch {
		case tt.fits == 64:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &large) || large.Fits != tt.fits || large.Batch != 64 || large.Available != tt.available:
			t.Errorf("%s: %v: want one that %d images fit", name, err, tt.fits)
		}
	}
	broken := errors.New("broken")
	fails := func(g *ops.Graph) (int, error) {
		if g.Nodes[0].Shape.N < 64 {
			return 0, broken
		}
		return 1 << 40, nil
	}
	if _, err := Check(g, fails, 0, 1<<30); !errors.Is(err, broken) {
		t.Errorf("%v: want %v", err, broken)
	}
}

func TestTooLargeError(t *testing.T) {
	e := &TooLargeError{Use: Use{Arena: 1.9e9, Weights: 24e6, Images: 786432, Program: 54e6}, Available: 1.2e9, Batch: 64, Fits: 38}
	const want = "memory: training on 64 images a step takes 2.0 GB (step 1.9 GB, weights 24 MB, images 786 kB, data 0 B, program 54 MB), and 1.2 GB are available: a batch of 38 would fit"
	if e.Error() != want {
		t.Errorf("%s\nwant %s", e, want)
	}
	if e.Fits = 0; !strings.HasSuffix(e.Error(), "not even a batch of 1 would fit") {
		t.Error(e)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_600: "1.0 MB", 24e6: "24 MB", 2.14e9: "2.1 GB", 11.4e9: "11 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestAvailable(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	meminfo := file("MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable:    3000 kB\n")
	for name, tt := range map[string]struct {
		files fstest.MapFS
		n     int64
		ok    bool
	}{
		"not Linux":    {fstest.MapFS{}, 0, false},
		"no limit":     {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/\n")}, 3000 << 10, true},
		"max":          {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n"), "sys/fs/cgroup/memory.current": file("5\n")}, 3000 << 10, true},
		"group":        {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/memory.max": file("1000000\n"), "sys/fs/cgroup/a/memory.current": file("300000\n"), "sys/fs/cgroup/a/memory.stat": file("file 9\ninactive_file 100000\n")}, 800000, true},
		"over":         {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("10"), "sys/fs/cgroup/memory.current": file("30")}, 0, true},
		"version 1":    {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("4:cpu:/x\n3:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("2000000\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("500000\n")}, 1500000, true},
		"1, unlimited": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("3:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("500000\n")}, 3000 << 10, true},
		"nonsense":     {fstest.MapFS{"proc/meminfo": file("MemAvailable: x kB\nMemAvailable:\n"), "proc/self/cgroup": file("0\n::\n0::/../..\n"), "sys/fs/cgroup/memory.max": file("-3")}, 0, false},
	} {
		if n, ok := available(tt.files); n != tt.n || ok != tt.ok {
			t.Errorf("%s: %d, %t: want %d, %t", name, n, ok, tt.n, tt.ok)
		}
	}
}

// Whatever these files say, what is available is not negative and no more
// than a machine has.
func FuzzAvailable(f *testing.F) {
	f.Add("MemAvailable: 3000 kB\n", "0::/a\n", "max\n", "1\n")
	f.Add("", "3:memory:/\n", "10", "30")
	f.Fuzz(func(t *testing.T, meminfo, groups, limit, used string) {
		root := fstest.MapFS{}
		for name, data := range map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": groups,
			"sys/fs/cgroup/memory.max": limit, "sys/fs/cgroup/memory.current": used, "sys/fs/cgroup/memory.stat": "inactive_file " + used} {
			root[name] = &fstest.MapFile{Data: []byte(data)}
		}
		if n, ok := available(root); n < 0 || n > unlimited<<10 || !ok && n != 0 {
			t.Errorf("%d, %t", n, ok)
		}
	})
}
