// SPDX-License-Identifier: Apache-2.0

package target

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
)

func TestMain(m *testing.M) {
	if script := os.Getenv("EDGENAS_TEST_VERIFY"); script != "" {
		os.Exit(pretend(script))
	}
	os.Exit(m.Run())
}

// pretend is a verify command that writes its arguments to a file, or fails.
func pretend(what string) int {
	kind, rest, _ := strings.Cut(what, " ")
	switch kind {
	case "exit":
		code := 0
		for _, digit := range rest {
			code = 10*code + int(digit-'0')
		}
		return code
	case "kill":
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		select {}
	}
	if err := os.WriteFile(rest, []byte(strings.Join(os.Args[1:], " ")), 0o666); err != nil {
		return 1
	}
	os.Stdout.WriteString(`{"median_s": 0.001}`)
	return 0
}

func here(t *testing.T, o Options) Target {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := append(strings.Fields(os.Getenv("EDGENAS_EMULATOR")), self) // .ci/emulate
	return New(Host{Self: words}, 5, func(event.Event) {}).Of(o)
}

// What goes wrong in the process that verifies is what it says, not a network
// that is too slow.
func TestVerifyTellsWhatWentWrong(t *testing.T) {
	for how, want := range map[string]int{"exit 1": fault.Unexpected, "exit 2": fault.Usage, "exit 4": fault.Profile,
		"exit 7": fault.Data, "exit 127": fault.Device, "exit 137": fault.Device, "exit 130": fault.Interrupted,
		"kill": fault.Device} {
		t.Setenv("EDGENAS_TEST_VERIFY", how)
		_, err := here(t, Default()).Verify(t.Context(), "model.onnx", "burst")
		if got := fault.Code(err); got != want || err == nil {
			t.Errorf("%s: %v is exit %d, want %d", how, err, got, want)
		}
	}
}

// The process gets everything that says how to measure.
func TestVerifyPassesAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "args")
	t.Setenv("EDGENAS_TEST_VERIFY", "write "+file)
	o := Default()
	o.InferThreads, o.Cluster = 4, "big"
	v, err := here(t, o).Verify(t.Context(), "model.onnx", "sustained")
	if err != nil || v.MedianS != 1e-3 {
		t.Fatalf("%+v, %v", v, err)
	}
	args, err := os.ReadFile(file)
	want := "verify model.onnx --json --quiet --mode sustained --infer-threads 4 --seed 5 --cluster big"
	if err != nil || string(args) != want {
		t.Errorf("%s, %v: want %s", args, err, want)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		threads       int
		cluster, mode string
		want          string
	}{
		{1, "", "burst", ""}, {0, "", "", ""}, {4, "", "", " --infer-threads 4"},
		{2, "0xf0", "paced=33ms", " --infer-threads 2 --cluster 0xf0 --mode paced=33ms"},
	} {
		if got := Flags(c.threads, c.cluster, c.mode); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"--device": func(o *Options) { o.Device = "usb" }, "--cluster": func(o *Options) { o.Cluster = "fast" },
		"--infer-threads": func(o *Options) { o.InferThreads = 0 }, "--rounds": func(o *Options) { o.Rounds = -1 },
		"--max-temp": func(o *Options) { o.MaxTemp = 5 }, "--mode": func(o *Options) { o.Mode = "turbo" },
		"--runtime":        func(o *Options) { o.Runtime = "tflite" },
		"--mode sustained": func(o *Options) { o.Mode, o.MaxTemp = "sustained", 60 },
	} {
		o := Default()
		spoil(&o)
		if err := Check(&o); fault.Code(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	o := Default()
	o.Mode = "paced=0.033s"
	if err := Check(&o); err != nil || o.Mode != "paced=33ms" {
		t.Errorf("mode %s, %v", o.Mode, err)
	}
}

// Equal options are one target, whatever profile goes with them.
func TestOf(t *testing.T) {
	all := New(Host{}, 1, func(event.Event) {})
	a, b := Default(), Default()
	b.Profile = "pi5.json"
	if all.Of(a) != all.Of(b) {
		t.Error("two targets on one machine")
	}
	b.Device = "adb"
	if all.Of(a) == all.Of(b) {
		t.Error("a phone is this machine")
	}
}
