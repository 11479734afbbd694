// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
)

// TestReadme runs every command of the README, one after the other in one
// folder. To make that a matter of seconds and of this machine,
//
//   - "go run ./cmd/edgenas" runs this test binary as edgenas, and "go test
//     ./..." only lists what it would test;
//   - search and profile get flags for a tiny network, few epochs and one
//     round of measurement; for the board, of mbconv, whose operations are
//     counted in no time even where that is emulated;
//   - scp, ssh and adb are scripts that stand for a board and a phone with two
//     folders. The program that was built for them runs under qemu on the
//     board. On the phone, and on the board where there is no qemu, this
//     test binary runs in its place. With EDGENAS_CI=1 qemu must be there.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	qemu := findQemu(t)
	home := t.TempDir()
	dir := func(name string) string {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bin, work, board, phone := dir("bin"), dir("work"), dir("board"), dir("phone")
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	here, boardProgram := strings.Join(self(), " "), qemu+" "+board+"/edgenas-arm64.program"
	if qemu == "" {
		boardProgram = here
	}
	boardFlags := []string{"--space", "mbconv", "--cells", "1", "--channels", "1"}
	allow := "*pi.json*"
	if emulated() {
		allow = "*"
	}
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nset -eu\n"+text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	// tiny PROGRAM ARGUMENT...: the program with small flags
	script("tiny", fmt.Sprintf(`
program=$1; shift
case "$*" in
*pi.json*) size="%s" ;;
*) size="--cells 1 --channels 4" ;;
esac
case "$*" in
*--resume*) ;;
search*)
	set -- "$@" $size --epochs 2 --rounds 1
	case "$*" in *--data*) ;; *) set -- "$@" --data "idx:%s" ;; esac
	case "$*" in %s) set -- "$@" --allow-emulated ;; esac ;;
profile*)
	set -- "$@" $size --image 8 --classes 3 --rounds 1 ;;
esac
exec $program "$@"
`, strings.Join(boardFlags, " "), fixture(t, "tiny"), allow))
	script("go", fmt.Sprintf(`
case "$*" in
"run ./cmd/edgenas "*) shift 2; exec tiny "%s" "$@" ;;
"test ./...") exec "%s" list -C "%s" ./... ;;
"build -o edgenas-arm64 ./cmd/edgenas") exec "%[2]s" build -C "%[3]s" -o "$PWD/$3" "$4" ;;
esac
echo "go $*: unknown to the test" >&2; exit 1
`, here, goTool, root))
	// install FOLDER PROGRAM: make FOLDER/edgenas-arm64 a script that runs the program
	script("install-program", `
mv "$1/edgenas-arm64" "$1/edgenas-arm64.program"
printf '#!/bin/sh\nexec tiny "%s" "$@"\n' "$2" > "$1/edgenas-arm64"
chmod +x "$1/edgenas-arm64"
`)
	script("scp", fmt.Sprintf(`
from=$1 to=$2
case "$from" in *:*) from="%[1]s/${from#*:}" ;; esac
case "$to" in *:*) to="%[1]s/${to#*:}" ;; esac
cp "$from" "$to"
case "$from" in edgenas-arm64) install-program "%[1]s" "%[2]s" ;; esac
`, board, boardProgram))
	script("ssh", fmt.Sprintf(`shift; cd "%s"; exec sh -c "$*"`, board))
	script("adb", fmt.Sprintf(`
there() { printf %%s "$1" | sed 's|/data/local/tmp|%[1]s|'; }
case "$1" in
push) cp "$2" "$(there "$3")"
	case "$2" in edgenas-arm64) install-program "%[1]s" "%[2]s" ;; esac ;;
pull) cp "$(there "$2")" "$3" ;;
shell) shift; exec sh -c "$(there "$*")" ;;
esac
`, phone, here))
	writeFlowers(t, filepath.Join(work, "flowers"))

	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(
		string(read(t, filepath.Join(root, "README.md"))), -1)
	commands := 0
	for _, b := range blocks {
		for line := range strings.Lines(b[1]) {
			commands++
			cmd := bounded(t, "sh", "-c", line)
			cmd.Dir = work
			for _, v := range os.Environ() {
				if !strings.HasPrefix(v, "GOARCH=") && !strings.HasPrefix(v, "GOOS=") && !strings.HasPrefix(v, "GOFLAGS=") {
					cmd.Env = append(cmd.Env, v)
				}
			}
			cmd.Env = append(cmd.Env, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
			start := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s%v: %s", line, err, out)
			}
			t.Logf("%.1f s: %s", time.Since(start).Seconds(), line)
		}
	}
	if commands < 10 {
		t.Fatalf("%d commands in %d blocks: is the pattern right?", commands, len(blocks))
	}

	var r runfile.Result
	if err := json.Unmarshal(read(t, filepath.Join(work, "edgenas-out", runfile.ResultName)), &r); err != nil ||
		!r.WithinBudget || r.LatencyMeasuredS == nil {
		t.Errorf("the main job: %+v, %v", r, err)
	}
	checkStatic(t, filepath.Join(work, "edgenas-arm64"))
	if qemu != "" {
		p := load(t, filepath.Join(work, "pi.json"))
		if !p.Emulated() || !strings.Contains(strings.Join(p.Warnings, "\n"), "times are not valid") {
			t.Errorf("the profile from the emulated board: emulation %q, warnings %q", p.Device.Emulation, p.Warnings)
		}
		args := []string{"search", "--latency-budget", "20ms", "--profile", filepath.Join(work, "pi.json"),
			"--data", "idx:" + fixture(t, "tiny"), "--out", filepath.Join(home, "refused")}
		refused(t, edgenas(t, append(args, boardFlags...)...), fault.Profile, "pi.json",
			"measured under emulation and are not valid")
	}
}

// findQemu is the emulator of arm64 programs; empty: this machine has none.
func findQemu(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if path, err := exec.LookPath(name); err == nil && runtime.GOOS == "linux" {
			return path
		}
	}
	if os.Getenv("EDGENAS_CI") != "" {
		t.Fatal("qemu-aarch64-static is missing: install qemu-user-static")
	}
	return ""
}

// checkStatic fails the test unless the file is an arm64 program that needs
// nothing else.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != elf.EM_AARCH64 {
		t.Errorf("%s is for %v", path, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static", path)
		}
	}
}

// writeFlowers writes the tiny images as PNG files, a folder for each class.
func writeFlowers(t *testing.T, dir string) {
	t.Helper()
	side := tinySize.Image
	pixels := read(t, filepath.Join(fixture(t, "tiny"), "train-images-idx3-ubyte"))[16:]
	labels := read(t, filepath.Join(fixture(t, "tiny"), "train-labels-idx1-ubyte"))[8:]
	for i, label := range labels {
		class := filepath.Join(dir, []string{"daisy", "rose", "tulip"}[label])
		if err := os.MkdirAll(class, 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(class, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		grey := &image.Gray{Pix: pixels[i*side*side : (i+1)*side*side], Stride: side, Rect: image.Rect(0, 0, side, side)}
		if err := png.Encode(f, grey); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
