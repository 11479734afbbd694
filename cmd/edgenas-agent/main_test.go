// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// do runs the agent with a request.
func do(ctx context.Context, stdin string, args ...string) (stdout string, err error) {
	var out, progress bytes.Buffer
	err = run(ctx, args, strings.NewReader(stdin), &out, &progress)
	return out.String(), err
}

const (
	convKey    = "conv/k=1/s=1/p=0/d=1/g=1/cin=8/cout=8/h=4/w=4/n=1/f32/nhwc/relu_in+bias"
	groupedKey = "conv/k=1/s=1/p=0/d=1/g=2/cin=8/cout=8/h=4/w=4/n=1/f32/nhwc"
)

// ask is a request for these keys and a network of the smallest size.
func ask(t *testing.T, keys ...string) string {
	t.Helper()
	s, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Parse(cell)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(wire.Request{Format: wire.Format, Seed: 1, Rounds: 1, Keys: keys,
		Networks: []arch.Architecture{{Space: s, Choice: c}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"

func TestInfo(t *testing.T) {
	out, err := do(t.Context(), "", "info")
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeReport([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if got.Version == "" || got.Device.Cores < 1 || len(got.Runtimes) != 1 || got.Runtimes[0].Name != "native" ||
		got.Runtimes[0].Threads != 1 {
		t.Errorf("info %+v", got)
	}
	if got.Facts.Load.Processors != nil {
		t.Error("info has looked at other processes: want it only with -load")
	}
	if out, err = do(t.Context(), "", "info", "-load"); err != nil {
		t.Fatal(err)
	}
	if got, err = wire.DecodeReport([]byte(out)); err != nil {
		t.Fatal(err)
	}
	if got.Facts.Load.Processors == nil && runtime.GOOS == "linux" {
		t.Errorf("info -load %+v: want what other processes do", got.Facts.Load)
	}
}

func TestProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.json")
	if _, err := do(t.Context(), ask(t, convKey, groupedKey), "profile", "-o", path); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := p.Lookup(convKey); err != nil || e.MedianS <= 0 {
		t.Errorf("%s: %+v, %v", convKey, e, err)
	}
	var failed *profiles.FailedError
	if _, err := p.Lookup(groupedKey); !errors.As(err, &failed) || !strings.Contains(failed.Reason, "2 groups") {
		t.Errorf("%s: %v: want the reason of the failure", groupedKey, err)
	}
	if len(p.Networks) != 1 || p.Networks[0].Arch != cell || p.Networks[0].MedianS <= 0 {
		t.Errorf("networks %+v", p.Networks)
	}

	// What the file has is kept.
	if _, err := do(t.Context(), ask(t, convKey), "profile", "-o", path); err != nil {
		t.Fatal(err)
	}
	again, err := profiles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Entries, p.Entries) {
		t.Errorf("entries %+v: want %+v", again.Entries, p.Entries)
	}

	// Without a file, the profile is on stdout.
	out, err := do(t.Context(), ask(t, convKey), "profile")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = profiles.Decode([]byte(out)); err != nil || len(p.Entries) != 1 || len(p.Networks) != 1 {
		t.Errorf("stdout %s, %v", out, err)
	}
}

// An interrupted measurement leaves what it had beside the file.
func TestProfileInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.json")
	ctx, cancel := context.WithCancel(t.Context())
	stop := writerFunc(func([]byte) { cancel() }) // at the first sign of progress
	err := run(ctx, []string{"profile", "-o", path}, strings.NewReader(ask(t, groupedKey, convKey)), &bytes.Buffer{}, stop)
	if wire.ExitStatus(err) != wire.ExitInterrupted {
		t.Fatalf("error %v: want an interruption", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unfinished profile stands under its name: %v", err)
	}
	if _, err := os.Stat(path + ".partial"); err != nil {
		t.Error(err)
	}
	if _, err := do(t.Context(), ask(t, convKey), "profile", "-o", path); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lookup(convKey); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".partial"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// model writes a classifier of 4×4 images as ONNX.
func model(t *testing.T) string {
	t.Helper()
	dim := func(n int) onnx.Dim { return onnx.Dim{Size: n} }
	path := filepath.Join(t.TempDir(), "model.onnx")
	m := &onnx.Model{
		IRVersion: onnx.IRVersion, Opset: onnx.Opset, Name: "test",
		Inputs:  []onnx.Value{{Name: "x", Type: onnx.Float, Dims: []onnx.Dim{dim(1), dim(3), dim(4), dim(4)}}},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.Float, Dims: []onnx.Dim{dim(1), dim(2), dim(4), dim(4)}}},
		Nodes:   []onnx.Node{{OpType: "Conv", Name: "conv", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
		Initializers: []onnx.Tensor{{Name: "w", Type: onnx.Float, Dims: []int{2, 3, 1, 1},
			Floats: []float32{1, 2, 3, 4, 5, 6}}},
	}
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerify(t *testing.T) {
	out, err := do(t.Context(), "", "verify", model(t))
	if err != nil {
		t.Fatal(err)
	}
	var v latency.Verification
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.N == 0 || v.MedianS <= 0 || v.MinS > v.MedianS || v.MedianS > v.P90S || v.Runtime.Name != "native" {
		t.Errorf("verification %+v", v)
	}
}

func TestErrors(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := &profiles.Profile{Device: profiles.Device{Model: "another board"},
		Runtime: profiles.Runtime{Name: "native", Version: "0"}}
	foreign := filepath.Join(t.TempDir(), "foreign.json")
	if err := other.Save(foreign); err != nil {
		t.Fatal(err)
	}
	header := `{"format":"` + wire.Format + `",`
	for _, tt := range []struct {
		name   string
		args   string
		stdin  string
		status int
		want   string // in the error
	}{
		{"unknown command", "measure", "", wire.ExitUsage, `"measure"`},
		{"unknown flag", "profile -x", "", wire.ExitUsage, "-x"},
		{"flag of another command", "info -o file", "", wire.ExitUsage, "-o"},
		{"argument too many", "info now", "", wire.ExitUsage, "info: 1 arguments"},
		{"no model", "verify", "", wire.ExitUsage, "verify: 0 arguments"},
		{"no threads", "verify -infer-threads 0 model.onnx", "", wire.ExitUsage, "0 threads"},
		{"threads that are no number", "verify -infer-threads two model.onnx", "", wire.ExitUsage, "two"},
		{"empty request", "profile", "", wire.ExitUsage, "request: byte 0"},
		{"no JSON", "profile", "<html>", wire.ExitUsage, "request: byte"},
		{"half a request", "profile", header + `"keys":[`, wire.ExitUsage, "request: byte"},
		{"two requests", "profile", header + `"seed":1}{}`, wire.ExitUsage, "more than one value"},
		{"newer request", "profile", `{"format":"edgenas-agent/2"}`, wire.ExitUsage, "edgenas-agent/2"},
		{"unknown field", "profile", header + `"energy":true}`, wire.ExitUsage, "energy"},
		{"unknown key", "profile", header + `"keys":["conv3d/k=3"]}`, wire.ExitUsage, "conv3d"},
		{"unknown network", "profile", header + `"networks":[{"format":"edgenas-architecture/1","space":"nb301"}]}`,
			wire.ExitUsage, "nb301"},
		{"too many threads", "profile", header + `"threads":100000}`, wire.ExitUsage, "100000 threads"},
		{"unknown mode", "profile", header + `"mode":"turbo"}`, wire.ExitUsage, `mode "turbo"`},
		{"negative rounds", "profile", header + `"rounds":-1}`, wire.ExitUsage, "-1 rounds"},
		{"large request", "profile", strings.Repeat(" ", wire.MaxRequest+1), wire.ExitUsage, "larger than"},
		{"profile of another device", "profile -o " + foreign, header + `"seed":1}`, wire.ExitProfile,
			`runtime.version is "0", want "1"`},
		{"not a profile", "profile -o " + file("{}"), header + `"seed":1}`, wire.ExitProfile, "file"},
		{"missing folder", "profile -o " + filepath.Join(t.TempDir(), "missing", "file"), header + `"seed":1}`,
			wire.ExitUnexpected, "missing"},
		{"missing model", "verify missing.onnx", "", wire.ExitData, "missing.onnx"},
		{"not a model", "verify " + file("text"), "", wire.ExitData, "file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := do(t.Context(), tt.stdin, strings.Fields(tt.args)...)
			if err == nil {
				t.Fatalf("no error, output %s", out)
			}
			if wire.ExitStatus(err) != tt.status || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("exit %d, %v: want exit %d and %q", wire.ExitStatus(err), err, tt.status, tt.want)
			}
			if out != "" {
				t.Errorf("output %s", out)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"-h"}, {"help"}, {"verify", "-h"}, {"info", "--help"}} {
		out, err := do(t.Context(), "", args...)
		if err != nil || out != usage {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}
