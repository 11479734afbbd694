// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// The run in testdata/run is made up: times from a count of multiplications,
// curves from exponentials. It is written anew by go test -update.
const (
	fixtureDir      = "testdata/run"
	fixtureNotation = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
	fixtureBudget   = 0.002
	fixtureEpochs   = 30
)

// round keeps four significant digits, as a person would.
func round(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return r
}

func writeFixture(t *testing.T) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 0))
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 5, Channels: 16, Image: 28, Colours: 1, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	choice, err := space.Parse(fixtureNotation)
	if err != nil {
		t.Fatal(err)
	}
	found := arch.Architecture{Space: space, Choice: choice}
	p := fixtureProfile(t, rng, space, found)
	if err := os.MkdirAll(fixtureDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(filepath.Join(fixtureDir, "profile.json")); err != nil {
		t.Fatal(err)
	}
	graph, err := found.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	cost := graph.Count()
	request := map[string]any{
		"command": "edgenas search --latency-budget 2ms --out out/first", "version": "0.1.0", "date": "2026-01-15T09:28:12Z",
		"space": "nb201", "size": space.Size(), "method": "gdas", "seed": 1,
		"dataset": "embedded", "device": "", "runtime": "native", "latency_budget_s": fixtureBudget, "confidence": 0.95,
	}
	result := map[string]any{
		"latency_predicted_s": 0.001872, "latency_predicted_hi_s": 0.001961, "guard_band": 0.0476,
		"latency_measured_s": 0.001858, "latency_measured_p90_s": 0.001893, "latency_measured_p99_s": 0.002034,
		"within_budget": true, "test_accuracy": 0.9041, "test_images": 5000, "params": cost.Params, "macs": cost.MACs,
		"search_wall_s": 96.2, "train_wall_s": 141.7, "train_epochs": 24, "onnx_max_difference": 7.2e-7,
		"warnings": p.Warnings, "architecture": fixtureNotation, "onnx": "model.onnx",
	}
	for name, v := range request {
		if name != "version" && name != "date" {
			result[name] = v
		}
	}
	result["device"] = p.Device.Model
	for name, v := range map[string]any{"request.json": request, "result.json": result, "architecture.json": found} {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, filepath.Join(fixtureDir, name), append(data, '\n'))
	}
	writeTestFile(t, filepath.Join(fixtureDir, "history.jsonl"), fixtureHistory(t, rng, space, choice))
}

func writeTestFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// fixtureProfile has the operations of the found network and of 40 random
// ones, 39 of which were measured whole.
func fixtureProfile(t *testing.T, rng *rand.Rand, space arch.Space, found arch.Architecture) *profiles.Profile {
	constant := 8e-6
	p := &profiles.Profile{
		Device:    profiles.Device{Model: "Example Board Rev 1.0", Cores: 4},
		Runtime:   profiles.Runtime{Name: "native", Version: "0.1.0", Threads: 1, DType: "f32", Layout: "nhwc"},
		Protocol:  profiles.Protocol{Date: "2026-01-15T09:30:00Z", Rounds: 9, SamplesPerRound: 12},
		ConstantS: &constant,
		Warnings:  []string{"governor is ondemand: times may vary with the clock"},
	}
	median := map[string]float64{}
	add := func(a arch.Architecture, whole bool) {
		g, err := a.Network(1)
		if err != nil {
			return // dead
		}
		counts, sum := map[string]int{}, 0.0
		f := ops.Fuse(g)
		for _, n := range f.Nodes {
			k, ok := f.Key(n)
			if !ok {
				continue
			}
			key := k.String()
			if _, known := median[key]; !known {
				window := max(1, k.Window.Kernel*k.Window.Kernel)
				work := float64(k.H*k.W*k.In) * float64(window) // of one output channel
				if k.Kind == ops.Conv || k.Kind == ops.Linear {
					work *= float64(k.Out) / 16
				}
				m := round(1.2e-6 + work*2.1e-10*(0.9+0.2*rng.Float64()))
				lo, hi := m*(1-0.012*rng.Float64()), m*(1+0.02*rng.Float64()*rng.Float64())
				median[key] = m
				e := profiles.Entry{Key: key, Timing: profiles.Timing{Status: profiles.OK, N: 108, MedianS: m, LoS: round(lo),
					HiS: math.Max(m, round(hi)), MinS: round(lo * 0.99), P90S: round(hi * 1.02)}}
				e.LoS = math.Min(e.LoS, m)
				if k.Kind == ops.Linear {
					e.Warnings = []string{"unsteady: the interval is 3.1 % after 3 repetitions"}
				}
				p.Entries = append(p.Entries, e)
			}
			counts[key]++
			sum += median[key]
		}
		if whole {
			m := round((constant + sum) * (1 + 0.035*rng.NormFloat64()))
			p.Merge(nil, []profiles.Network{{Arch: space.Notation(a.Choice), Counts: counts,
				Timing: profiles.Timing{Status: profiles.OK, N: 60, MedianS: m, LoS: round(m * 0.995), HiS: round(m * 1.006)}}})
		}
	}
	add(found, false)
	for range 40 {
		c := arch.Choice{make([]int, 6)}
		for i := range c[0] {
			c[0][i] = rng.IntN(5)
		}
		add(arch.Architecture{Space: space, Choice: space.Canonical(c)}, true)
	}
	p.Entries = append(p.Entries, profiles.Entry{Key: "maxpool/k=3/s=1/p=1/d=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc",
		Timing: profiles.Timing{Status: profiles.Failed, Reason: "killed after 10 s"}})
	return p
}

// fixtureHistory is a search whose α go from equal to choice, and a training.
func fixtureHistory(t *testing.T, rng *rand.Rand, space arch.Space, choice arch.Choice) []byte {
	t.Helper()
	var b bytes.Buffer
	line := func(fields map[string]any) {
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(data, '\n'))
	}
	lambda := 0.0
	for e := range fixtureEpochs {
		x := float64(e) / (fixtureEpochs - 1)
		noise := func(scale float64) float64 { return scale * rng.NormFloat64() * (1.2 - x) }
		alpha := make([][]float64, len(choice[0]))
		entropy := 0.0
		for row := range alpha {
			logits, total := make([]float64, 5), 0.0
			for col := range logits {
				pull := 0.0
				if col == choice[0][row] {
					pull = 4.2 * x * x * (0.5 + x/2) * (0.8 + 0.08*float64(row))
				}
				if col == 3 { // at first, the widest convolution leads everywhere
					pull += 2.4 * x * math.Exp(-4*x)
				}
				logits[col] = math.Exp(pull + noise(0.12)*math.Min(1, 6*x))
				total += logits[col]
			}
			for col := range logits {
				logits[col] = round(logits[col] / total)
				entropy -= logits[col] * math.Log(logits[col]) / math.Log(5) / 6
			}
			alpha[row] = logits
		}
		expected := 0.0021 + 0.0008*x*math.Exp(-2.5*x)*2.2 - 0.00024*x + noise(3e-5)
		derived := []float64{0.0034, 0.0029, 0.0026, 0.0022, 0.00195, 0.00187}[min(e/5, 5)]
		lambda = math.Max(0, lambda+0.06*(derived/fixtureBudget-1))
		point := map[string]any{"phase": "search", "epoch": e, "step": 120 * (e + 1), "steps": 120 * fixtureEpochs,
			"loss_train":   round(0.42 + 1.5*math.Exp(-5*x) + noise(0.02)),
			"loss_val":     round(0.47 + 1.45*math.Exp(-4.6*x) + noise(0.03)),
			"accuracy_val": round(0.86 - 0.5*math.Exp(-5*x) + noise(0.012)), "alpha": [][][]float64{alpha},
			"alpha_entropy": round(entropy),
			"skip_share":    []float64{0, 0, 1. / 6, 1. / 6, 1. / 6, 1. / 6}[min(e/5, 5)], "lambda": round(lambda),
			"temperature":        round(10 - 9.9*x),
			"expected_latency_s": round(expected), "derived_latency_s": derived, "derived": space.Notation(choice)}
		if e == 0 {
			point["derived_latency_s"] = 0
		}
		line(point)
	}
	for e := range 24 {
		x := float64(e) / 23
		point := map[string]any{"phase": "train", "epoch": e,
			"loss_train":     round(0.09 + 0.62*math.Exp(-3.4*x) + 0.012*rng.NormFloat64()*(1-x)),
			"accuracy_train": round(0.971 - 0.21*math.Exp(-3.6*x)), "lr": round(0.05 * (1 + math.Cos(math.Pi*x)) / 2)}
		if e%2 == 1 {
			point["accuracy_val"] = round(0.906 - 0.14*math.Exp(-4.4*x) + 0.006*rng.NormFloat64()*(1-x))
		}
		line(point)
	}
	return b.Bytes()
}
