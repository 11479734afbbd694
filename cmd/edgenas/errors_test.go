// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// refused fails the test unless the command ended with the code and one line
// on stderr that says all of want.
func refused(t *testing.T, o outcome, code int, want ...string) {
	t.Helper()
	o.want(t, code)
	var said []string
	for _, line := range o.lines() {
		if strings.HasPrefix(line, "edgenas: ") {
			said = append(said, line)
		}
	}
	if len(said) != 1 || said[0] != o.lines()[len(o.lines())-1] {
		t.Fatalf("stderr %s: want one line of error, the last", o.stderr)
	}
	for _, w := range want {
		if !strings.Contains(said[0], w) {
			t.Errorf("%s\nwant it to say %q", said[0], w)
		}
	}
	if o.stdout != "" || strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("stdout %s, stderr %s: want nothing but an error", o.stdout, o.stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args string
		want []string
	}{
		{"unknown command", "serch --latency-budget 2ms", []string{`unknown command "serch"`, "see edgenas -h"}},
		{"unknown command below", "lut shw", []string{`unknown command "shw" for "edgenas lut"`, "see edgenas lut -h"}},
		{"unknown flag", "search --latency-buget 2ms", []string{"unknown flag: --latency-buget", "see edgenas search -h"}},
		{"flag of another command", "version --out x", []string{"unknown flag: --out"}},
		{"unknown short flag", "profile -x", []string{"unknown shorthand flag: 'x'", "see edgenas profile -h"}},
		{"flag without value", "search --latency-budget", []string{"flag needs an argument: --latency-budget"}},
		{"no argument", "verify", []string{"0 arguments: want edgenas verify FILE.onnx", "see edgenas verify -h"}},
		{"two arguments", "lut show a b", []string{"2 arguments: want edgenas lut show FILE"}},
		{"argument of a command without", "search 2ms", []string{"1 arguments: want edgenas search"}},
		{"no folder", "report", []string{"0 arguments: want edgenas report DIR..."}},
		{"no budget", "search", []string{"--latency-budget is needed, such as --latency-budget 20ms"}},
		{"budget without unit", "search --latency-budget 20", []string{`"20" has no unit: did you mean 20ms?`}},
		{"budget that is no number", "search --latency-budget NaN", []string{`"NaN": want a positive time with its unit`}},
		{"budget of another unit", "search --latency-budget 20fps", []string{`"20fps": want a positive time with its unit`}},
		{"no time", "search --latency-budget 0ms", []string{"want a positive time"}},
		{"negative budget", "search --latency-budget -2ms", []string{"want a positive time"}},
		{"unknown kind of images", "search --latency-budget 2ms --data mnist", []string{"--data", `"mnist"`, "idx:DIR"}},
		{"unknown device", "search --latency-budget 2ms --device usb",
			[]string{`--device "usb"`, "known are local, ssh://[user@]host[:port], adb and adb:SERIAL"}},
		{"unknown cores", "profile --cluster fast", []string{`--cluster "fast"`, "want big, little or a mask"}},
		{"unknown runtime", "search --latency-budget 2ms --runtime tflite", []string{`--runtime "tflite"`, "native"}},
		{"unknown method", "search --latency-budget 2ms --method enas", []string{`--method`, `"enas"`, "gdas"}},
		{"unknown space", "search --latency-budget 2ms --space nb301", []string{`"nb301"`, "nb201"}},
		{"no cells", "profile --cells 0", []string{`--cells`, `"0": want auto or a number from 1`}},
		{"too many cells", "profile --cells 101", []string{"cells 101: want 1 to 100"}},
		{"negative channels", "profile --channels -1", []string{`"-1": want auto or a number from 1`}},
		{"no such size", "profile --channels wide", []string{`"wide": want auto or a number from 1`}},
		{"a budget without its unit", "profile --latency-budget 20", []string{"did you mean 20ms?"}},
		{"odd image", "profile --image 30", []string{"image 30: want a multiple of 4"}},
		{"two profiles", "search --latency-budget 2ms --profile a --profile b", []string{"--profile: 2 files: want one"}},
		{"no profile", "predict model.onnx", []string{"--profile is needed"}},
		{"no architecture", "train", []string{"--arch is needed"}},
		{"no weights", "export --arch @run/architecture.json", []string{"--weights is needed"}},
		{"merge into nothing", "lut merge @board.json @board.json", []string{"-o is needed"}},
		{"threads", "version --threads 0", []string{"--threads 0: want 1 to 1024"}},
		{"inference threads", "profile --infer-threads 65", []string{"--infer-threads 65: want 1 to 64"}},
		{"rounds", "profile --rounds -1", []string{"--rounds -1: want 0 to 10000"}},
		{"effort", "search --latency-budget 2ms --effort huge", []string{`--effort "huge": want quick, standard, thorough`}},
		{"epochs", "search --latency-budget 2ms --epochs -1", []string{"--epochs -1: want 0"}},
		{"smoothing", "train --label-smoothing 1", []string{"--label-smoothing 1: want 0 to below 1"}},
		{"rate", "search --latency-budget 2ms --lr 0", []string{"--lr 0: want more than 0"}},
		{"rate of Muon", "train --muon-lr 11", []string{"--muon-lr 11: want 0 to 10"}},
		{"search rate", "search --latency-budget 2ms --search-lr 11",
			[]string{"--search-lr 11: want more than 0, at most 10"}},
		{"alpha rate", "search --latency-budget 2ms --alpha-lr 0", []string{"--alpha-lr 0: want more than 0"}},
		{"tolerance without unit", "verify @run/model.onnx --tolerance 5",
			[]string{`--tolerance: "5": want a percentage such as 5%`}},
		{"number of networks", "lut validate --n 1", []string{"--n 1: want 2 to 1000"}},
		{"resume of no folder", "search --resume missing", []string{"--resume missing: holds no run (no request.json)"}},
		{"resume of another folder", "search --resume @tiny", []string{"holds no run"}},
		{"resume with a flag", "search --resume @run --latency-budget 2ms", []string{"--resume takes no other flag"}},
		{"resume with a seed", "search --resume @run --seed 2", []string{"--resume takes no other flag"}},
		{"folder that holds a run",
			"search --latency-budget 65us --profile @board.json --data idx:@tiny --cells 1 --channels 4 --out @run",
			[]string{"holds a run already: go on with --resume", "or choose another folder"}},
		{"training into a folder that holds a run", "train --arch @run/architecture.json --data idx:@tiny --out @run",
			[]string{"holds another run already", "choose another folder"}},
		{"profile that is there", "profile -o @board.json",
			[]string{"board.json: is there already: --only-missing adds to it, or choose another file"}},
		{"report of no run", "report @tiny", []string{"tiny", "holds none of"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, edgenas(t, at(t, tt.args)...), fault.Usage, tt.want...)
		})
	}
	if code := edgenas(t, "--threads", "2").code; code != fault.Done {
		t.Errorf("edgenas by itself: exit %d: want its help and exit 0", code)
	}
}

// at splits a command line and puts the folder of the fixtures for @, the
// baseline for @run, and for @allow what lets emulated tests measure.
func at(t *testing.T, line string) []string {
	t.Helper()
	if strings.Contains(line, "@run") {
		line = strings.ReplaceAll(line, "@run", baseline(t))
	}
	allow := ""
	if emulated() {
		allow = "--allow-emulated"
	}
	line = strings.ReplaceAll(line, "@allow", allow)
	return strings.Fields(strings.ReplaceAll(line, "@", fixture(t, "")+string(filepath.Separator)))
}

func TestBadData(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.safetensors")
	scalar := ops.Tensor{Dims: []int{1}, Data: []float32{1}}
	if err := safetensors.WriteFile(other, safetensors.File{Weights: ops.Weights{"w": scalar}}); err != nil {
		t.Fatal(err)
	}
	const search = "search --latency-budget 65us --profile @board.json --cells 1 --channels 4 --out " // and its folder
	images := func(name string, spoil func(map[string][]byte)) string {
		files := map[string][]byte{}
		for _, part := range []string{"train", "t10k"} {
			for _, f := range []string{part + "-images-idx3-ubyte", part + "-labels-idx1-ubyte"} {
				files[f] = read(t, filepath.Join(fixture(t, "tiny"), f))
			}
		}
		spoil(files)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		for f, data := range files {
			write(t, filepath.Join(path, f), data)
		}
		return "idx:" + path
	}
	const trainImages = "train-images-idx3-ubyte"
	small := func(count, side int) func(map[string][]byte) {
		return func(f map[string][]byte) {
			for _, part := range []string{"train", "t10k"} {
				f[part+"-images-idx3-ubyte"] = append(idxHeader(count, side, side),
					bytes.Repeat([]byte{1, 2, 3}, count*side*side)[:count*side*side]...)
				f[part+"-labels-idx1-ubyte"] = append(idxHeader(count), bytes.Repeat([]byte{0, 1, 2}, count)[:count]...)
			}
		}
	}
	text := func(name, content string) string { return write(t, filepath.Join(dir, name), []byte(content)) }
	cut := func(name string) string {
		data := read(t, filepath.Join(baseline(t), name))
		return write(t, filepath.Join(dir, "cut-"+name), data[:len(data)*2/3])
	}
	for _, tt := range []struct {
		name string
		args string
		want []string
	}{
		{"missing folder", search + dir + "/a --data idx:missing", []string{"missing: no such file or directory"}},
		{"missing folder of images", search + dir + "/a --data images:missing",
			[]string{"missing: no such file or directory"}},
		{"truncated",
			search + dir + "/a --data " + images("short", func(f map[string][]byte) { f[trainImages] = f[trainImages][:1000] }),
			[]string{trainImages, "truncated: 1000 bytes, should be 16400"}},
		{"test images of another size", search + dir + "/a --data " + images("mixed", func(f map[string][]byte) {
			f["t10k-images-idx3-ubyte"] = append(idxHeader(64, 4, 16), make([]byte, 64*64)...)
		}), []string{"t10k-images-idx3-ubyte", "images are 16×4, those of the training part 8×8"}},
		{"size that the space does not take", search + dir + "/a --data " + images("odd", small(300, 10)),
			[]string{"odd", "image 10: want a multiple of 4"}},
		{"too few images", search + dir + "/a --data " + images("few", small(20, 8)),
			[]string{"few", "20 training images: want at least"}},
		{"images that do not suit the architecture",
			"train --arch @run/architecture.json --data embedded --out " + dir + "/a",
			[]string{"embedded has 28×28 images of 1 channel(s) and 10 classes: the architecture takes 8×8, 1 and 3"}},
		{"data check", "data check " + images("odd", small(300, 10)), []string{"image 10: want a multiple of 4"}},
		{"data check of a batch", "data check " + images("batch", small(32, 8)),
			[]string{"batch: 32 training images: want at least 33"}},
		{"training on a batch", search + dir + "/a --data " + images("batch", small(32, 8)),
			[]string{"batch: 32 training images: want at least 33"}},
		{"missing architecture", "train --arch missing.json", []string{"missing.json"}},
		{"corrupt architecture", "train --arch " + cut(runfile.ArchitectureName), []string{"cut-architecture.json"}},
		{"architecture of another format", "train --arch @board.json", []string{"board.json"}},
		{"corrupt weights", "export --arch @run/architecture.json --data idx:@tiny --weights " + cut(runfile.WeightsName),
			[]string{"cut-weights.safetensors"}},
		{"weights of another network", "export --arch @run/architecture.json --data idx:@tiny --weights " + other,
			[]string{"other.safetensors", "is missing"}},
		{"missing model", "verify missing.onnx", []string{"missing.onnx"}},
		{"corrupt model", "verify " + cut(runfile.ModelName), []string{"cut-model.onnx"}},
		{"text for a model", "verify " + text("text.onnx", "no model"), []string{"text.onnx"}},
		{"prediction of a corrupt model", "predict --profile @board.json " + cut(runfile.ModelName),
			[]string{"cut-model.onnx"}},
		{"prediction of a corrupt architecture", "predict --profile @board.json " + cut(runfile.ArchitectureName),
			[]string{"cut-architecture.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := tree(t, fixture(t, ""))
			refused(t, edgenas(t, at(t, tt.args)...), fault.Data, tt.want...)
			if tree(t, fixture(t, "")) != before {
				t.Error("files have changed")
			}
			if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
				t.Error("a folder was made for a run that cannot begin")
			}
		})
	}
}

func TestBadProfile(t *testing.T) {
	dir := t.TempDir()
	variant := func(name string, change func(*profiles.Profile)) string {
		p := load(t, fixture(t, "board.json"))
		change(p)
		return save(t, p, filepath.Join(dir, name))
	}
	firstConv := func(p *profiles.Profile) int {
		return slices.IndexFunc(p.Entries, func(e profiles.Entry) bool { return strings.HasPrefix(e.Key, "conv/k=3") })
	}
	failed := variant("failed.json", func(p *profiles.Profile) {
		i := firstConv(p)
		p.Entries[i] = profiles.Entry{Key: p.Entries[i].Key,
			Timing: profiles.Timing{Status: profiles.Failed, Reason: "illegal instruction"}}
	})
	incomplete := variant("incomplete.json", func(p *profiles.Profile) {
		i := firstConv(p)
		p.Entries = append(p.Entries[:i], p.Entries[i+1:]...)
	})
	failedHere := variant("failed-here.json", func(p *profiles.Profile) {
		p.Device, p.Entries = latency.ThisDevice(), load(t, failed).Entries
	})
	half := write(t, filepath.Join(dir, "half.json"), read(t, fixture(t, "board.json"))[:3000])
	const rest = " --latency-budget 65us --data idx:@tiny --cells 1 --channels 4"
	again := "edgenas profile --space nb201 --cells 1 --channels 4 --image 8 --colours 1 --classes 3 --only-missing -o "
	for _, tt := range []struct {
		name string
		args string
		want []string
	}{
		{"missing", "search --profile missing.json" + rest, []string{"missing.json"}},
		{"half-written", "search --profile " + half + rest, []string{"half.json: truncated", "measure that device again"}},
		{"text", "search --profile @tiny/train-labels-idx1-ubyte" + rest, []string{"train-labels-idx1-ubyte"}},
		{"another device than asked for", "search --device local --profile @board.json @allow" + rest,
			[]string{"board.json", `device.cores is "3", want "`, "or leave --device out"}},
		{"another thread count", "search --infer-threads 2 --profile @board.json" + rest,
			[]string{"board.json", `runtime.threads is "1", want "2"`}},
		{"another runtime",
			"search --profile " + variant("ort.json", func(p *profiles.Profile) { p.Runtime.Name = "onnxruntime" }) + rest,
			[]string{`runtime.name is "onnxruntime", want "native"`}},
		{"failed entry", "search --profile " + failed + rest,
			[]string{"failed.json", "conv/k=3", "its measurement failed: illegal instruction", again + failed}},
		{"missing entry", "search --profile " + incomplete + rest,
			[]string{"incomplete.json", "not measured: conv/k=3", again + incomplete}},
		{"space of another size",
			"search --profile @board.json --latency-budget 65us --data idx:@tiny --cells 1 --channels 8",
			[]string{"not measured", "more", "--channels 8"}},
		{"emulated",
			"search --profile " + variant("qemu.json", func(p *profiles.Profile) { p.Device.Emulation = "qemu" }) + rest,
			[]string{"qemu.json", "measured under emulation and are not valid", "--allow-emulated"}},
		{"emulated for a prediction",
			"predict @run/model.onnx --profile " +
				variant("qemu.json", func(p *profiles.Profile) { p.Device.Emulation = "qemu" }),
			[]string{"measured under emulation"}},
		{"failed entry for a prediction",
			"predict @run/model.onnx --profile " + variant("all.json", func(p *profiles.Profile) {
				for i, e := range p.Entries {
					p.Entries[i] = profiles.Entry{Key: e.Key, Timing: profiles.Timing{Status: profiles.Failed, Reason: "no"}}
				}
			}),
			[]string{"its measurement failed: no"}},
		{"check of another device's", "lut check @board.json", []string{"board.json", "device.cores"}},
		{"check of a failed entry", "lut check " + failedHere,
			[]string{"failed-here.json", "illegal instruction", "--only-missing"}},
		{"more of another device", "profile --only-missing -o @board.json", []string{"board.json", "device.cores"}},
		{"more of a half-written one", "profile --only-missing -o " + half, []string{"half.json"}},
		{"validation of a half-written one", "lut validate --n 2 @allow --profile " + half, []string{"half.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := at(t, tt.args)
			out := filepath.Join(dir, "a")
			if args[0] == "search" {
				args = append(args, "--out", out)
			}
			before := tree(t, dir) + tree(t, fixture(t, ""))
			refused(t, edgenas(t, args...), fault.Profile, tt.want...)
			if tree(t, dir)+tree(t, fixture(t, "")) != before {
				t.Error("files have changed")
			}
		})
	}
	t.Run("emulated and allowed", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "run")
		o := interrupted(t, "search", 1,
			append(at(t, "search --allow-emulated --profile "+filepath.Join(dir, "qemu.json")+rest), "--out", out)...)
		o.want(t, fault.Interrupted)
	})
}

// A budget that nothing keeps names the fastest latency, and leaves the folder
// free for another try.
func TestInfeasible(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := searchArgs(t, out, "--latency-budget", "1us")
	for range 2 {
		refused(t, edgenas(t, args...), fault.Infeasible,
			"no network keeps 1.00 µs: the fastest possible is predicted at 45.3 µs", "needs a budget of 47.5 µs")
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the folder of a run that could not begin is there")
	}
}

// A run that diverges names the flag that helps. It would do so again if it
// went on, so that nobody is told to.
func TestDiverges(t *testing.T) {
	for _, tt := range []struct {
		name    string
		without []string
		rate    string // its text in the request
		want    []string
	}{
		{"search", []string{runfile.ResultName, runfile.ArchitectureName, runfile.WeightsName,
			runfile.SearchCheckpoint, runfile.TrainCheckpoint, runfile.HistoryName},
			`"lr_min"`, []string{"search: step", "--search-lr below 1e+30"}},
		{"train", []string{runfile.ResultName, runfile.WeightsName, runfile.TrainCheckpoint}, `"warmup"`,
			[]string{"train: step", "--lr below 1e+30"}},
	} {
		dir := copyRun(t, tt.without...)
		path := filepath.Join(dir, runfile.RequestName)
		text := bytes.Replace(read(t, path), []byte(tt.rate), []byte(`"lr": 1e30, `+tt.rate), 1) // the last one counts
		write(t, path, text)
		o := edgenas(t, "search", "--resume", dir)
		refused(t, o, fault.Unexpected, tt.want...)
		if strings.Contains(o.stderr, "go on with") {
			t.Errorf("%s: %s", tt.name, o.stderr)
		}
	}
}

// A file of the run that is broken is named, with the way out of it.
func TestResumeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		without []string
		broken  string
		spoil   func([]byte) []byte
		want    string
	}{
		{"search checkpoint cut", []string{runfile.ResultName, runfile.ArchitectureName}, runfile.SearchCheckpoint,
			func(b []byte) []byte { return b[:len(b)-5] },
			"delete it and resume"},
		{"search checkpoint changed", []string{runfile.ResultName, runfile.ArchitectureName}, runfile.SearchCheckpoint,
			func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
			"digest"},
		{"training checkpoint empty", []string{runfile.ResultName, runfile.WeightsName}, runfile.TrainCheckpoint,
			func([]byte) []byte { return nil },
			"delete it and resume"},
		{"architecture", []string{runfile.ResultName}, runfile.ArchitectureName,
			func(b []byte) []byte { return b[:20] },
			"delete it and resume"},
		{"architecture of another size", []string{runfile.ResultName}, runfile.ArchitectureName,
			func(b []byte) []byte { return bytes.Replace(b, []byte(`"channels": 4`), []byte(`"channels": 8`), 1) },
			"delete it and resume"},
		{"weights", []string{runfile.ResultName}, runfile.WeightsName,
			func(b []byte) []byte { return b[:len(b)/2] },
			"delete it and resume"},
		{"request", []string{runfile.ResultName}, runfile.RequestName,
			func(b []byte) []byte { return b[:len(b)/2] },
			runfile.RequestName},
		{"request of an impossible space", []string{runfile.ResultName}, runfile.RequestName,
			func(b []byte) []byte { return bytes.Replace(b, []byte(`"cells": 1`), []byte(`"cells": 1000`), 1) },
			"cells 1000"},
		{"result", nil, runfile.ResultName, func(b []byte) []byte { return b[:len(b)/2] }, runfile.ResultName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyRun(t, tt.without...)
			path := filepath.Join(dir, filepath.FromSlash(tt.broken))
			write(t, path, tt.spoil(read(t, path)))
			refused(t, edgenas(t, "search", "--resume", dir), fault.Data, filepath.Base(path), tt.want)
			if tt.want == "delete it and resume" && strings.HasPrefix(tt.name, "training") {
				os.Remove(path)
				edgenas(t, "search", "--resume", dir).want(t, fault.Done)
				same(t, dir)
			}
		})
	}
	t.Run("images that have changed", func(t *testing.T) {
		dir := copyRun(t, runfile.ResultName)
		var r map[string]any
		path := filepath.Join(dir, runfile.RequestName)
		if err := json.Unmarshal(read(t, path), &r); err != nil {
			t.Fatal(err)
		}
		r["dataset_digest"] = "0"
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, data)
		refused(t, edgenas(t, "search", "--resume", dir), fault.Data, "have changed since the run began")
	})
}

// Where nothing can be written, one line says where.
func TestUnwritable(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), nil)
	below := filepath.Join(file, "below")
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"search", searchArgs(t, below)},
		{"train", at(t, "train --arch @run/architecture.json --data idx:@tiny --epochs 1 --out "+below)},
		{"export",
			at(t, "export --arch @run/architecture.json --weights @run/weights.safetensors --data idx:@tiny -o "+below)},
		{"profile", append(append([]string{"profile"}, tinyFlags...), "-o", below)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, edgenas(t, tt.args...), fault.Unexpected, below, "not a directory")
		})
	}
}

// A report that cannot be written is no fault of the run's files.
func TestReportUnwritable(t *testing.T) {
	dir := copyRun(t, runfile.ReportName)
	if err := os.MkdirAll(filepath.Join(dir, runfile.ReportName, "taken"), 0o777); err != nil {
		t.Fatal(err)
	}
	refused(t, edgenas(t, "report", dir), fault.Unexpected, runfile.ReportName)
}
