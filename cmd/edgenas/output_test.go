// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
)

// TestJSONError checks that with --json a command that fails writes one object
// to stdout, the error, unless it has written its result before.
func TestJSONError(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"predict model.onnx --json", fault.Usage, "--profile is needed"},
		{"--json searhc", fault.Usage, `unknown command "searhc"`},
		{"search --latency 2ms --json", fault.Usage, "unknown flag: --latency"},
		{"search --json --latency-budget 2ms --threads 0", fault.Usage, "--threads 0"},
		{"data info idx:missing --json", fault.Data, "missing"},
		{"lut show missing.json --json", fault.Profile, "missing.json"},
		{"bench ops --match nothing --json", fault.Usage, "--match"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o := edgenas(t, strings.Fields(tt.args)...).want(t, tt.code)
			d := json.NewDecoder(strings.NewReader(o.stdout))
			d.DisallowUnknownFields()
			var got struct {
				Error    string `json:"error"`
				ExitCode int    `json:"exit_code"`
			}
			if err := d.Decode(&got); err != nil {
				t.Fatalf("stdout %q: %v: want an error", o.stdout, err)
			}
			if got.ExitCode != tt.code || !strings.Contains(got.Error, tt.want) {
				t.Errorf("stdout %s: want exit code %d and %q", o.stdout, tt.code, tt.want)
			}
			if _, err := d.Token(); err != io.EOF {
				t.Errorf("stdout %s: want one object", o.stdout)
			}
			if !strings.HasSuffix(o.stderr, "edgenas: "+got.Error+"\n") {
				t.Errorf("stderr %s: want %s too", o.stderr, got.Error)
			}
		})
	}
	model := filepath.Join(baseline(t), "model.onnx")
	o := edgenas(t, "verify", model, "--latency-budget", "1ns", "--json").want(t, fault.Verify)
	var one map[string]any
	if err := json.Unmarshal([]byte(o.stdout), &one); err != nil || one["median_s"] == nil {
		t.Errorf("stdout %s: %v: want the measurement and nothing else", o.stdout, err)
	}
}

// TestEscapeSequences checks that a terminal obeys no text that stands in a
// file or is the name of one.
func TestEscapeSequences(t *testing.T) {
	const red, quoted = "\x1b[31mred\u009b0m", `\u001b[31mred\u009b0m`
	dir := t.TempDir()
	p := load(t, fixture(t, "board.json"))
	p.Device.Model = red
	p.Warnings = []string{red}
	p.Entries[0].Warnings = []string{red}
	profile := save(t, p, filepath.Join(dir, "profile.json"))
	broken := write(t, filepath.Join(dir, "broken.json"), []byte(`{"format": "\u001b[31mred\u009b0m"}`))
	images := filepath.Join(dir, "images")
	for _, class := range []string{red, "plain"} {
		if err := os.MkdirAll(filepath.Join(images, class), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			var picture bytes.Buffer
			pixels := image.NewGray(image.Rect(0, 0, 8, 8))
			pixels.Pix[i] = 255
			if err := png.Encode(&picture, pixels); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(images, class, fmt.Sprintf("%d.png", i)), picture.Bytes())
		}
	}
	for _, args := range [][]string{
		{"lut", "show", profile},
		{"lut", "diff", profile, profile},
		{"lut", "show", profile, "--json"},
		{"lut", "show", broken},
		{"predict", filepath.Join(baseline(t), "model.onnx"), "--profile", profile},
		{"data", "info", "images:" + images},
		{"data", "info", "images:" + filepath.Join(dir, red)},
	} {
		o := edgenas(t, args...)
		all := o.stdout + o.stderr
		if strings.ContainsAny(all, "\x1b\u009b") || !strings.Contains(all, quoted) {
			t.Errorf("%q says %q: want %s in it", args, all, quoted)
		}
	}
}
