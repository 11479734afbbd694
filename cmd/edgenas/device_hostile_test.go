// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// hostile are ways in which a device can answer that an agent would not. Each
// changes one of the lines of a good answer, which has that key.
var hostile = []struct {
	name string
	line func(rng *rand.Rand, line, key string) string
	want string // in the refusal; empty: any
}{
	{"truncated", func(rng *rand.Rand, line, _ string) string { return line[:1+rng.IntN(len(line)-2)] + "\n" }, ""},
	{"the last line truncated", func(rng *rand.Rand, line, _ string) string { return line[:1+rng.IntN(len(line)-2)] }, ""},
	{"huge", number("1e300", "1e999", "1e-400", "3601", strings.Repeat("9", 5000)), ""},
	{"not a number", number("NaN", "Infinity", "-Infinity", "nan", "null", `"NaN"`, "[]"), ""},
	{"negative", number("-0.001", "-1e-300", "0", "-0"), ""},
	{"wrong key", func(rng *rand.Rand, line, key string) string {
		return strings.ReplaceAll(line, key, key[:rng.IntN(len(key))]+string(rune('a'+rng.IntN(26)))+key[rng.IntN(len(key)):])
	}, ""},
	{"path trick", func(rng *rand.Rand, line, key string) string {
		return strings.ReplaceAll(line, key, one(rng, "../../../etc/passwd", "/etc/passwd", `..\\..\\x`, "~/.ssh/id_ed25519",
			"pi.json", "$(touch hacked)", "; touch hacked", "-o hacked"))
	}, "not asked for"},
	{"control characters", func(rng *rand.Rand, line, key string) string {
		return strings.ReplaceAll(line, key,
			key+one(rng, `\u001b[2J`, `\u0000`, `\r`, `\u0007`, `\u009b`, `\u202e`, "\x1b]0;x\x07", "\x00", "\xff"))
	}, ""},
	{"a label that takes the terminal over", func(rng *rand.Rand, line, _ string) string {
		return `{"progress":{"label":"` + one(rng, `\u001b[2J`, `\u001b]52;c;eA==\u0007`, `a\u0000b`, `\u009b31m`) +
			`","done":1,"total":2}}` + "\n" + line
	}, "cannot be printed"},
	{"deep", func(rng *rand.Rand, line, _ string) string {
		return strings.Repeat(one(rng, "[", `{"round":`, `{"a":[`), 200_000) + "\n"
	}, ""},
	{"again and again", func(_ *rand.Rand, line, _ string) string { return strings.Repeat(line, 200) }, "again and again"},
	{"another status", func(rng *rand.Rand, line, _ string) string {
		return strings.Replace(line, `"status":"ok"`, `"status":"`+one(rng, "", "OK", "fine", `ok\u0000`)+`"`, 1)
	}, ""},
	{"unknown members", func(_ *rand.Rand, line, _ string) string {
		return strings.Replace(line, `"n":1`, `"n":1,"secret":true`, 1)
	}, ""},
	{"counts that do not fit", func(rng *rand.Rand, line, _ string) string {
		return strings.Replace(line, `"n":1`, `"n":`+one(rng, "2", "-1", "99999999999999999999", "1e9", "0"), 1)
	}, ""},
	{"random bytes", func(rng *rand.Rand, line, _ string) string {
		noise := make([]byte, 1+rng.IntN(1000))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		return string(noise) + "\n" + line
	}, ""},
	{"a long line", func(*rand.Rand, string, string) string { return strings.Repeat("a", 9<<20) }, "a line of more than"},
	{"markup", func(*rand.Rand, string, string) string { return "HTTP/1.1 200 OK\r\n\r\n<html>\n" }, ""},
}

func one(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// number puts one of them in the place of the median.
func number(values ...string) func(*rand.Rand, string, string) string {
	return func(rng *rand.Rand, line, _ string) string {
		return strings.Replace(line, `"median_s":0.001`, `"median_s":`+one(rng, values...), 1)
	}
}

// TestDeviceUntrusted lets a device give hostile answers to the whole command:
// each is refused in one line that can be printed, with little memory, and
// nothing of it comes into a file.
func TestDeviceUntrusted(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	report, err := json.Marshal(wire.Report{Format: wire.Format, Version: "1",
		Device: latency.ThisDevice(), Runtimes: []profiles.Runtime{native.Info(1)}})
	if err != nil {
		t.Fatal(err)
	}
	answer := filepath.Join(t.TempDir(), "answer")
	b.script(`if [ "$1" = info ]; then echo '` + string(report) + `'; else cat '` + answer + `'; fi`)
	var good, keys []string
	for _, e := range load(t, fixture(t, "here.json")).Entries[:12] {
		e := profiles.Entry{Key: e.Key, Timing: profiles.Timing{Status: profiles.OK, N: 1,
			MedianS: 0.001, LoS: 0.001, HiS: 0.001, SamplesS: [][]float64{{0.001}}, SentinelS: []float64{0.001}}}
		var line bytes.Buffer
		if err := wire.Send(&line, wire.Message{Round: &wire.Round{Entries: []profiles.Entry{e}}}); err != nil {
			t.Fatal(err)
		}
		good, keys = append(good, line.String()), append(keys, e.Key)
	}
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	const end = `{"session":{"protocol":{}}}` + "\n"

	path, args := b.lacking(t, "--quiet")
	incomplete := read(t, path)
	write(t, answer, []byte(strings.Join(good, "")+end))
	b.edgenas(t, args...).want(t, fault.Done) // so that what is refused is refused for its fault
	whole(t, path)

	times := 1
	if everything() {
		times = 30 // 510 answers
	}
	rng := rand.New(rand.NewPCG(4, 0))
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			for range times {
				write(t, path, incomplete)
				lines := append([]string{}, good...)
				i := rng.IntN(len(lines))
				lines[i] = tt.line(rng, lines[i], keys[i])
				if strings.Join(lines, "") == strings.Join(good, "") {
					t.Fatalf("it is a good answer: %s", lines[i])
				}
				text := strings.Join(lines, "") + end
				if !strings.HasSuffix(lines[i], "\n") {
					text = strings.Join(lines[:i+1], "") // and no more
				}
				write(t, answer, []byte(text))
				o := b.edgenas(t, args...)
				refused(t, o, fault.Device, tt.want)
				hidden := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
				if i := strings.IndexFunc(strings.TrimSuffix(o.stderr, "\n"), hidden); i >= 0 || len(o.stderr) > 8<<10 {
					t.Errorf("%d bytes of stderr, what cannot be printed at %d: %.300q", len(o.stderr), i, o.stderr)
				}
				if !bytes.Equal(read(t, path), incomplete) {
					t.Error("the profile was changed")
				}
				if journal, err := os.ReadFile(path + ".partial"); err == nil { // what came before is kept
					for _, line := range strings.Split(string(journal), "\n")[1:] {
						if line != "" && !strings.Contains(strings.Join(good, ""), strings.TrimPrefix(line, `{"entry":`)[:len(line)-11]) {
							t.Errorf("its journal has %.1000s", line)
						}
					}
					os.Remove(path + ".partial")
				}
				if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(files) != 1 {
					t.Errorf("%q", files)
				}
			}
			b.clean(t)
		})
	}
	var after runtime.MemStats
	if runtime.ReadMemStats(&after); after.HeapSys > before.HeapSys+512<<20 {
		t.Errorf("the heap grew by %d MiB", (after.HeapSys-before.HeapSys)>>20)
	}
}
