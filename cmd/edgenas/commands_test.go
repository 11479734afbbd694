// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/latency"
)

// commands are all of edgenas, by their path: "edgenas lut show".
func commands() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		all[c.CommandPath()] = c
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newApp(nil, io.Discard, io.Discard).command())
	return all
}

func TestHelp(t *testing.T) {
	for path, c := range commands() {
		args := append(strings.Fields(path)[1:], "-h")
		o := edgenas(t, args...).want(t, fault.Done)
		if o.stderr != "" || !strings.Contains(o.stdout, "Examples:\n  "+path) {
			t.Errorf("%s -h: stdout %s, stderr %s: want an example of the command", path, o.stdout, o.stderr)
		}
		for line := range strings.Lines(c.Example) {
			if err := parses(strings.Fields(line)); err != nil {
				t.Errorf("%s: example %s: %v", path, strings.TrimSpace(line), err)
			}
		}
	}
}

// parses says whether a command line is one of edgenas.
func parses(words []string) error {
	c, rest, err := newApp(nil, io.Discard, io.Discard).command().Find(words[1:])
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}

// TestMan checks that every command has a manual page, which is the same on
// every machine.
func TestMan(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	dir := filepath.Join(t.TempDir(), "man")
	all := commands()
	o := edgenas(t, "man", dir, "--threads", "3").want(t, fault.Done)
	if want := fmt.Sprintf("%s: %d pages\n", dir, len(all)); o.stdout != want {
		t.Errorf("stdout %s, want %s", o.stdout, want)
	}
	for path := range all {
		page := string(read(t, filepath.Join(dir, strings.ReplaceAll(path, " ", "-")+".1")))
		for _, want := range []string{"Jan 2026", ".SH EXAMPLE"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: want %q in its page:\n%.500s", path, want, page)
			}
		}
	}
	if page := string(read(t, filepath.Join(dir, "edgenas.1"))); !strings.Contains(page, "all processors") {
		t.Errorf("want no number of threads in\n%s", page)
	}
}

// TestCompletion checks that shells are given a script, and what could stand on
// a command line.
func TestCompletion(t *testing.T) {
	if o := edgenas(t, "-h").want(t, fault.Done); !strings.Contains(o.stdout, "\n  completion ") {
		t.Errorf("%s\nwant it to name completion", o.stdout)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		o := edgenas(t, "completion", shell).want(t, fault.Done)
		if o.stderr != "" || !strings.Contains(o.stdout, cobra.ShellCompRequestCmd) || strings.Contains(o.stdout, `\u0`) {
			t.Errorf("%s: stderr %s, stdout %.200s…: want a script", shell, o.stderr, o.stdout)
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"lu", "lut\t"},
		{"lut va", "validate\t"},
		{"search --latency-b", "--latency-budget\t"},
	} {
		o := edgenas(t, append([]string{cobra.ShellCompRequestCmd}, strings.Fields(tt.args)...)...).want(t, fault.Done)
		if !strings.HasPrefix(o.stdout, tt.want) {
			t.Errorf("%s: %q, want %q", tt.args, o.stdout, tt.want)
		}
	}
	refused(t, edgenas(t, "completion", "tcsh"), fault.Usage, `unknown command "tcsh"`)
	refused(t, edgenas(t, "completion", "bash", "x"), fault.Usage, "1 arguments")
}

// TestDocumentedFlags checks that every flag which the documents speak of is one.
func TestDocumentedFlags(t *testing.T) {
	known := map[string]bool{"--help": true}
	for _, c := range commands() {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { known["--"+f.Name] = true })
		}
	}
	root := filepath.Join("..", "..")
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md"))
	flag := regexp.MustCompile(`(?:^|[^-\w])(--[a-z][a-z-]*)`)
	seen := 0
	for _, path := range documents {
		for _, m := range flag.FindAllStringSubmatch(string(read(t, path)), -1) {
			if seen++; !known[m[1]] {
				t.Errorf("%s: there is no flag %s", path, m[1])
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d flags were found in %q: is the pattern right?", seen, documents)
	}
}

// noPhones is an adb server that knows none, for the time of a test.
func noPhones(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("ADB_SERVER_SOCKET", "tcp:"+l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.ReadFull(conn, make([]byte, len("000ehost:devices-l")))
			io.WriteString(conn, "OKAY0000") // a list of no bytes
			conn.Close()
		}
	}()
}

// With --json each command writes one object to stdout, but for scripts of a
// shell.
func TestJSON(t *testing.T) {
	noPhones(t)
	dir := t.TempDir()
	here := filepath.Join(dir, "here.json")
	write(t, here, read(t, fixture(t, "here.json")))
	tiny := " " + strings.Join(tinyFlags, " ")
	covered, table := map[string]bool{}, oracleTable(t)
	for _, tt := range []struct {
		args string
		has  string // a member of the object
	}{
		{"profile --only-missing -o " + here + tiny, "entries"},
		{"search --resume @run", "within_budget"},
		{"train --arch @run/architecture.json --data idx:@tiny --epochs 1 --out " + filepath.Join(dir, "train"),
			"test_accuracy"},
		{"export --arch @run/architecture.json --weights @run/weights.safetensors --data idx:@tiny --check -o " +
			filepath.Join(dir, "model.onnx"),
			"max_difference"},
		{"verify @run/model.onnx --latency-budget 1s", "median_s"},
		{"predict @run/model.onnx --profile @board.json", "latency_predicted_s"},
		{"lut show @board.json", "entries"},
		{"lut check " + here, "warnings"},
		{"lut merge @board.json @board.json -o " + filepath.Join(dir, "merged.json"), "networks"},
		{"lut diff @board.json @here.json", "ratio"},
		{"lut validate --n 2 --rounds 1 @allow --profile " + here + tiny, "within_10pct"},
		{"devices list", "devices"},
		{"devices info local", "facts"},
		{"devices doctor local", "findings"},
		{"data list", "kinds"},
		{"data check idx:@tiny", "classes"},
		{"data info idx:@tiny", "digest"},
		{"report " + copyRun(t), "reports"},
		{"man " + filepath.Join(dir, "man"), "pages"},
		{"bench step --space nb201 --batch 2 --channels 2 --cells 1 --image 8 --steps 1", "median_s"},
		{"bench ops --match relu/n=32 --seconds 0.001", "both_ms"},
		{"bench limits --seconds 0.001", "conv_gflops"},
		{"bench evaluators --n 30 --table " + table + " --scores " + filepath.Join(dir, "scores.jsonl"), "cards"},
		{"bench oracle --seeds 1 --table " + table, "replays"},
		{"bench search --list --data idx:@tiny --runs " + filepath.Join(dir, "runs.jsonl"), "rows"},
		{"version", "version"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o := edgenas(t, append(at(t, tt.args), "--json")...).want(t, fault.Done)
			d := json.NewDecoder(strings.NewReader(o.stdout))
			var object map[string]any
			if err := d.Decode(&object); err != nil || object[tt.has] == nil {
				t.Fatalf("stdout %s: %v: want an object with %s", o.stdout, err, tt.has)
			}
			if _, err := d.Token(); err != io.EOF {
				t.Errorf("stdout %s: want one object", o.stdout)
			}
		})
		c, _, err := newApp(nil, io.Discard, io.Discard).command().Find(at(t, tt.args))
		if err != nil {
			t.Fatal(err)
		}
		covered[c.CommandPath()] = true
	}
	for path, c := range commands() {
		if !c.HasSubCommands() && !covered[path] && c.Parent().Name() != "completion" {
			t.Errorf("%s is not tested with --json", path)
		}
	}
}

// With --quiet there is no progress, and no text for people but the result.
func TestQuiet(t *testing.T) {
	o := edgenas(t, searchArgs(t, filepath.Join(t.TempDir(), "run"), "--quiet")...).want(t, fault.Done)
	if o.stderr != "" || !strings.Contains(o.stdout, "accuracy") {
		t.Errorf("stdout %s, stderr %s", o.stdout, o.stderr)
	}
}

// A run leaves every file that it promises.
func TestRunFiles(t *testing.T) {
	for _, name := range []string{runfile.RequestName, runfile.ProfileName, runfile.HistoryName, runfile.ArchitectureName,
		runfile.WeightsName, runfile.ModelName, runfile.ResultName, runfile.ReportName, runfile.SearchCheckpoint,
		runfile.TrainCheckpoint} {
		if info, err := os.Stat(filepath.Join(baseline(t), filepath.FromSlash(name))); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r runfile.Result
	if err := json.Unmarshal(read(t, filepath.Join(baseline(t), runfile.ResultName)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Device != "Test Board 1" || r.LatencyMeasuredS != nil || !r.WithinBudget || r.LatencyPredictedHiS > 65e-6 ||
		r.TestAccuracy < 0.9 || r.ONNXMaxDifference > 1e-4 {
		t.Errorf("result %+v", r)
	}
}

// With the device at hand the result is verified there, in a process of its own.
func TestSearchHere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := searchIn(fixture(t, ""), "here.json", dir, "--device", "local", "--latency-budget", "1s")
	if emulated() {
		refused(t, edgenas(t, args...), fault.Profile, "runs under emulation", "--allow-emulated")
		args = append(args, "--allow-emulated")
	}
	o := edgenas(t, append(args, "--json")...).want(t, fault.Done)
	var r runfile.Result
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.LatencyMeasuredS == nil || *r.LatencyMeasuredS <= 0 || !r.WithinBudget {
		t.Errorf("result %+v", r)
	}
}

// model is a copy of the baseline's model that says other things of itself.
func model(t *testing.T, says map[string]string) string {
	t.Helper()
	m, err := onnx.ReadFile(filepath.Join(baseline(t), runfile.ModelName))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range says {
		m.Metadata[export.Prefix+name] = value
	}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "model.onnx"), data)
}

// A model that takes longer than it may, or than it was predicted to, has
// exit code 6, and is measured all the same.
func TestVerifyFails(t *testing.T) {
	here := model(t, map[string]string{"device": latency.ThisDevice().Name()})
	for flags, want := range map[string]string{
		"--latency-budget 1ns": "over the budget of",
		"--tolerance 0.001%":   "% off, more than 0.001%", // of times that are made up
	} {
		o := edgenas(t, append([]string{"verify", here}, strings.Fields(flags)...)...).want(t, fault.Verify)
		if !strings.Contains(o.stdout, "measured is") || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: stdout %s, stderr %s: want %q", flags, o.stdout, o.stderr, want)
		}
	}
}

// A prediction is compared with nothing but what it is a prediction of.
func TestVerifyElsewhere(t *testing.T) {
	elsewhere := model(t, nil)
	const want = "on Test Board 1, native runtime, 1 thread(s), burst"
	o := edgenas(t, "verify", elsewhere).want(t, fault.Done)
	if strings.Contains(o.stdout, "measured is") || !strings.Contains(o.stdout, want) {
		t.Errorf("stdout %s: want no comparison, and %q", o.stdout, want)
	}
	o = edgenas(t, "verify", elsewhere, "--tolerance", "1000%").want(t, fault.Profile)
	if !strings.Contains(o.stderr, "leave --tolerance out") || !strings.Contains(o.stderr, want) {
		t.Errorf("stderr %s: want %q", o.stderr, want)
	}
}

func TestPredictedOn(t *testing.T) {
	device := latency.ThisDevice()
	here := device.Name()
	for _, tt := range []struct {
		name string
		says map[string]string
		mode string
		want string // of it; empty: it is a prediction of this
	}{
		{"the same", map[string]string{"device": here}, "burst", ""},
		{"another device", nil, "burst", "Test Board 1, native runtime, 1 thread(s), burst"},
		{"more threads", map[string]string{"device": here, "infer_threads": "4"}, "burst", "4 thread(s)"},
		{"another mode", map[string]string{"device": here}, "paced=2ms", "burst"},
		{"other cores", map[string]string{"device": here, "cluster": "big"}, "burst", "cores big"},
		{"another runtime", map[string]string{"device": here, "runtime": "tflite"}, "burst", "tflite runtime"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := onnx.ReadFile(model(t, tt.says))
			if err != nil {
				t.Fatal(err)
			}
			p, ok := run.ReadPrediction(m.Metadata)
			if !ok {
				t.Fatalf("%v: want a prediction", m.Metadata)
			}
			got := predictedOn(p, latency.Verification{Mode: tt.mode, Device: device, Runtime: native.Info(1)}, "")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("predicted on %q: want %q", got, tt.want)
			}
		})
	}
}

// The command that verifies the result measures what the profile measured.
func TestPrintedVerify(t *testing.T) {
	var out strings.Builder
	r := runfile.Result{LatencyBudgetS: 2e-3, InferThreads: 4, Cluster: "big", Mode: "sustained"}
	summarise(&out, "run", r)
	want := "edgenas verify " + filepath.Join("run", "model.onnx") +
		" --latency-budget 2ms --infer-threads 4 --cluster big --mode sustained\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("%s: want %s", out.String(), want)
	}
	if err := parses(strings.Fields(strings.TrimSpace(want))); err != nil {
		t.Error(err)
	}
	out.Reset()
	summarise(&out, "run", runfile.Result{LatencyBudgetS: 2e-3}) // of a run from before
	if !strings.Contains(out.String(), " --latency-budget 2ms\n") {
		t.Errorf("%s", out.String())
	}
}

// The way of measuring reaches the result and the model from the profile.
func TestResultSaysHow(t *testing.T) {
	p := load(t, fixture(t, "board.json"))
	p.Runtime.Threads, p.Protocol.Mode = 4, "sustained"
	dir := t.TempDir()
	board, out := save(t, p, filepath.Join(dir, "four.json")), filepath.Join(dir, "run")
	args := searchArgs(t, out, "--infer-threads", "4")
	args[slices.Index(args, "--profile")+1] = board
	o := edgenas(t, args...).want(t, fault.Done)
	if want := "--infer-threads 4 --mode sustained\n"; !strings.Contains(o.stdout, want) {
		t.Errorf("stdout %s: want %s", o.stdout, want)
	}
	r, err := runfile.Dir(out).ReadResult()
	if err != nil || r.InferThreads != 4 || r.Mode != "sustained" {
		t.Errorf("%+v, %v", r, err)
	}
	o = edgenas(t, "predict", filepath.Join(out, runfile.ModelName), "--profile", board, "--json").want(t, fault.Done)
	var said predicted
	if err := json.Unmarshal([]byte(o.stdout), &said); err != nil || said.Threads != 4 || said.Mode != "sustained" ||
		math.Abs(said.PredictedS/r.LatencyPredictedS-1) > 1e-9 {
		t.Errorf("%+v, %v: want %v s with 4 threads", said, err, r.LatencyPredictedS)
	}
}
