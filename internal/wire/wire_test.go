// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

const convKey = "conv/k=1/s=1/p=0/d=1/g=1/cin=8/cout=8/h=4/w=4/n=1/f32/nhwc/relu_in+bias"

// asked is a request for one operation and one network.
func asked(t testing.TB) (Request, latency.Work) {
	t.Helper()
	s, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
	if err != nil {
		t.Fatal(err)
	}
	q := Request{Format: Format, Seed: 1, Rounds: 1, Keys: []string{convKey},
		Networks: []arch.Architecture{{Space: s, Choice: c}}}
	w, err := q.Work()
	if err != nil {
		t.Fatal(err)
	}
	return q, w
}

func timing(s float64) profiles.Timing {
	return profiles.Timing{Status: profiles.OK, N: 2, MedianS: s, LoS: s, HiS: s, SamplesS: [][]float64{{s, s}},
		SentinelS: []float64{s}}
}

// answer is a good answer to the request.
func answer(w latency.Work) []Message {
	counts := map[string]int{}
	for k, n := range ops.Keys(w.Networks[0].Graph) {
		counts[k.String()] = n
	}
	celsius := 50.0
	return []Message{
		{Progress: &Progress{Label: convKey, Done: 1, Total: 2}},
		{Round: &Round{Entries: []profiles.Entry{{Key: convKey, Timing: timing(1e-5), Copies: 16}}}},
		{Round: &Round{Networks: []profiles.Network{{Arch: w.Networks[0].Arch, Counts: counts, Timing: timing(1e-3)}}}},
		{Session: &Session{Protocol: profiles.Protocol{Date: "2026-01-01T00:00:00Z", Rounds: 1}, Governor: "ondemand",
			After: &profiles.State{TemperatureCelsius: &celsius}, Affinity: []int{3},
			Warnings: []string{"governor is ondemand"}}},
	}
}

func text(t testing.TB, messages ...Message) string {
	t.Helper()
	var b strings.Builder
	for _, m := range messages {
		if err := Send(&b, m); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestRequest(t *testing.T) {
	q, w := asked(t)
	q.Measured = *answer(w)[1].Round
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadRequest(iotest.OneByteReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(got); err != nil || !bytes.Equal(again, data) {
		t.Errorf("%s, %v: want %s", again, err, data)
	}
	a, err := q.Digest()
	if err != nil {
		t.Fatal(err)
	}
	q.Measured = Round{}
	if b, _ := q.Digest(); a != b {
		t.Error("what is known changes the digest")
	}
	q.Mode = "paced=33ms"
	if b, _ := q.Digest(); a == b {
		t.Error("another mode has the same digest")
	}
	q.Mode = ""
	q.Seed++
	if b, _ := q.Digest(); a == b {
		t.Error("another seed has the same digest")
	}
}

func TestReader(t *testing.T) {
	_, w := asked(t)
	want := answer(w)
	var got []Message
	r := NewReader(w, 1, "", func(m Message) error {
		got = append(got, m)
		return nil
	})
	if _, err := io.Copy(r, iotest.OneByteReader(strings.NewReader(text(t, want...)))); err != nil {
		t.Fatal(err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v: want %+v", got, want)
	}
	p := &profiles.Profile{Protocol: profiles.Protocol{Extra: map[string]json.RawMessage{"x": json.RawMessage("1")}},
		Device: profiles.Device{Model: "m"}}
	got[3].Session.Describe(p)
	if p.Device.Model != "m" || p.Device.Governor != "ondemand" || p.Protocol.Extra == nil || p.Runtime.Affinity[0] != 3 ||
		len(p.Warnings) != 1 {
		t.Errorf("%+v", p)
	}
	full := errors.New("disk full")
	r = NewReader(w, 1, "", func(Message) error { return full })
	if _, err := io.WriteString(r, text(t, want...)); !errors.Is(err, full) || !errors.Is(r.End(), full) {
		t.Errorf("%v: want the handler's error", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	_, w := asked(t)
	good := answer(w)
	entry := func(change func(*profiles.Entry)) string {
		e := good[1].Round.Entries[0]
		change(&e)
		return text(t, Message{Round: &Round{Entries: []profiles.Entry{e}}})
	}
	network := func(change func(*profiles.Network)) string {
		n := good[2].Round.Networks[0]
		change(&n)
		return text(t, Message{Round: &Round{Networks: []profiles.Network{n}}})
	}
	session := func(change func(*Session)) string {
		s := *good[3].Session
		change(&s)
		return text(t, Message{Session: &s})
	}
	line := text(t, good[1])
	raw := func(old, new string) string { return strings.Replace(line, old, new, 1) }
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "ended early"},
		{"half a line", line[:40], "ended early"},
		{"empty line", "\n", "refused"},
		{"no JSON", "Segmentation fault\n", "refused"},
		{"an array", "[]\n", "refused"},
		{"null", "null\n", "0 messages"},
		{"no message", "{}\n", "0 messages"},
		{"two messages", `{"progress":{},"session":{"protocol":{}}}` + "\n", "2 messages"},
		{"two values", strings.TrimSuffix(line, "\n") + line, "more than one value"},
		{"unknown message", `{"shell":"rm"}` + "\n", "unknown field"},
		{"unknown member", `{"progress":{"path":"../x"}}` + "\n", "unknown field"},
		{"not UTF-8", "{\"progress\":{\"label\":\"\xff\"}}\n", "UTF-8"},
		{"long line", strings.Repeat(" ", MaxLine+1), "a line of more than"},
		{"after the end", text(t, good[3], good[3]), "after the last"},
		{"progress below 0", `{"progress":{"done":-1}}` + "\n", "progress -1"},
		{"escapes in a label", `{"progress":{"label":"\u001b[2J"}}` + "\n", "cannot be printed"},
		{"direction in a label", `{"progress":{"label":"\u202e"}}` + "\n", "cannot be printed"},
		{"empty round", `{"round":{}}` + "\n", "without measurements"},
		{"another key", entry(func(e *profiles.Entry) { e.Key = "conv/k=3" }), "not asked for"},
		{"path as a key", entry(func(e *profiles.Entry) { e.Key = "../../etc/passwd" }), "not asked for"},
		{"a key twice", text(t, Message{Round: &Round{Entries: []profiles.Entry{good[1].Round.Entries[0],
			good[1].Round.Entries[0]}}}), "not asked for"},
		{"a key for ever", strings.Repeat(line, 100), "again and again"},
		{"a network for ever", strings.Repeat(text(t, good[2]), 100), "again and again"},
		{"energy", entry(func(e *profiles.Entry) { e.EnergyJ = 1 }), "does not measure"},
		{"copies", entry(func(e *profiles.Entry) { e.Copies = 1 << 20 }), "does not measure"},
		{"unknown status", entry(func(e *profiles.Entry) { e.Status = "fine" }), "status"},
		{"no time", raw(`"median_s":0.00001`, `"median_s":0`), "median_s"},
		{"negative time", raw(`"median_s":0.00001`, `"median_s":-1`), "median_s"},
		{"huge time", raw(`"median_s":0.00001`, `"median_s":1e999`), "refused"},
		{"NaN", raw(`"median_s":0.00001`, `"median_s":NaN`), "refused"},
		{"text as a time", raw(`"median_s":0.00001`, `"median_s":"1"`), "refused"},
		{"hours", entry(func(e *profiles.Entry) { e.Timing = timing(1e4) }), "10000 s"},
		{"time outside its bounds", entry(func(e *profiles.Entry) { e.LoS = 1 }), "outside"},
		{"time outside its samples", entry(func(e *profiles.Entry) { e.MedianS, e.LoS, e.HiS = 1, 1, 1 }),
			"median that it claims"},
		{"no samples", entry(func(e *profiles.Entry) { e.SamplesS, e.SentinelS = nil, nil }), "has no samples"},
		{"a digest for samples", entry(func(e *profiles.Entry) { e.SamplesDigest = "sha256:0" }), "has no samples"},
		{"miscounted samples", entry(func(e *profiles.Entry) { e.N = 3 }), "n is 3"},
		{"many samples", entry(func(e *profiles.Entry) { e.N = 1 << 30 }), "samples"},
		{"negative sample", entry(func(e *profiles.Entry) { e.SamplesS = [][]float64{{-1, 1e-5}} }), "sample"},
		{"failed with a time", raw(`"status":"ok"`, `"status":"failed","reason":"x"`), "failed"},
		{"long reason", text(t, Message{Round: &Round{Entries: []profiles.Entry{{Key: convKey,
			Timing: profiles.Timing{Status: profiles.Failed, Reason: strings.Repeat("x", 1000)}}}}}), "1000 bytes"},
		{"many warnings", entry(func(e *profiles.Entry) { e.Warnings = make([]string, 1000) }), "1001 texts"},
		{"unknown member of an entry",
			entry(func(e *profiles.Entry) { e.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")} }),
			"unknown members"},
		{"another network", network(func(n *profiles.Network) { n.Arch = "|none~0|" }), "not asked for"},
		{"other counts", network(func(n *profiles.Network) { n.Counts = map[string]int{convKey: 1} }), "other operations"},
		{"unknown member of a network",
			network(func(n *profiles.Network) { n.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")} }),
			"unknown members"},
		{"hot as the sun", session(func(s *Session) { c := 5500.0; s.After = &profiles.State{TemperatureCelsius: &c} }),
			"5500 °C"},
		{"negative clock", session(func(s *Session) { s.Before = &profiles.State{FrequencyHz: -1} }), "frequency"},
		{"escapes in a warning", session(func(s *Session) { s.Warnings = []string{"\x1b]0;x\a"} }), "cannot be printed"},
		{"warm-up of years", session(func(s *Session) { s.Protocol.WarmUpS = 1e9 }), "1e+09 s"},
		{"unknown member of the protocol",
			session(func(s *Session) { s.Protocol.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")} }),
			"unknown members"},
		{"another mode", session(func(s *Session) { s.Protocol.Mode = "paced=33ms" }),
			`in the mode "paced=33ms", not "burst"`},
		{"a clock of years", session(func(s *Session) { s.Protocol.ClockStepS = 1e9 }), "1e+09 s"},
		{"clamp", session(func(s *Session) { s.Protocol.UclampMin = 4096 }), "clamps 4096"},
		{"tail of hours", entry(func(e *profiles.Entry) { e.P95S = 1e4 }), "10000 s"},
		{"clock of a round below 0", entry(func(e *profiles.Entry) { e.FrequencyHz = []float64{-1} }), "frequencies"},
		{"years left", `{"progress":{"remaining_s":1e9}}` + "\n", "progress 0 of 0"},
		{"kept on everything", session(func(s *Session) { s.Affinity = make([]int, 1<<13) }), "processors"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(w, 1, "", func(Message) error { return nil })
			_, err := io.WriteString(r, tt.text)
			end := r.End()
			if err == nil {
				err = end
			}
			if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), tt.want) || end == nil {
				t.Errorf("%v: want a refusal that says %q", err, tt.want)
			}
		})
	}
}

// Whatever a device does to an answer, the reader ends with it whole or with a
// refusal.
func TestReaderDamaged(t *testing.T) {
	_, w := asked(t)
	good := text(t, answer(w)...)
	rng := rand.New(rand.NewPCG(1, 0))
	for range 500 {
		bad := []byte(good)
		for range 1 + rng.IntN(4) {
			i := rng.IntN(len(bad))
			switch rng.IntN(4) {
			case 0:
				bad = bad[:i]
			case 1:
				bad[i] ^= 1 << rng.IntN(8)
			case 2:
				bad = append(bad[:i:i], append([]byte(fmt.Sprint(math.Pow(10, 400*(rng.Float64()-0.5)))), bad[i:]...)...)
			case 3:
				j := i + rng.IntN(len(bad)-i)
				bad = append(bad[:i:i], bad[j:]...)
			}
			if len(bad) == 0 {
				bad = []byte("\n")
			}
		}
		readAll(t, w, bad)
	}
}

// readAll reads an answer and checks that what came through was asked for.
func readAll(t *testing.T, w latency.Work, data []byte) {
	t.Helper()
	p := &profiles.Profile{}
	r := NewReader(w, 1, "", func(m Message) error {
		if m.Round != nil {
			p.Merge(m.Round.Entries, m.Round.Networks)
		}
		return nil
	})
	_, err := r.Write(data)
	if end := r.End(); err != nil && !errors.Is(err, ErrUntrusted) || end != nil && !errors.Is(end, ErrUntrusted) {
		t.Errorf("%v, %v", err, end)
	}
	if err := p.Validate(); err != nil || len(p.Entries) > 1 || len(p.Networks) > 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if len(r.line) > MaxLine {
		t.Errorf("%d bytes are kept", len(r.line))
	}
}

func FuzzReader(f *testing.F) {
	_, w := asked(f)
	f.Add([]byte(text(f, answer(w)...)))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) { readAll(t, w, data) })
}

func report() Report {
	return Report{Format: Format, Version: "v1", Device: profiles.Device{Model: "Raspberry Pi 5", Cores: 4},
		Runtimes: []profiles.Runtime{{Name: "native", Version: "1", Threads: 1}},
		Facts: hostinfo.Facts{Host: hostinfo.Host{Model: "Raspberry Pi 5",
			Clusters: []hostinfo.Cluster{{CPUs: []int{0, 1}, Core: "Cortex-A76"}}}}}
}

func TestReport(t *testing.T) {
	data, err := json.MarshalIndent(report(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeReport(append(data, '\n'))
	if err != nil {
		t.Fatal(err)
	}
	if rt, err := r.Runtime("native", 4); err != nil || rt.Threads != 4 || r.Facts.Host.Clusters[0].Core != "Cortex-A76" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := r.Runtime("onnxruntime", 1); err == nil {
		t.Error("a runtime that is not there was found")
	}
	if _, err := DecodeReport([]byte{}); err == nil {
		t.Error("nothing is a report")
	}
	for name, change := range map[string]func(*Report){
		"another version":   func(r *Report) { r.Format = "edgenas-agent/9" },
		"no runtime":        func(r *Report) { r.Runtimes = nil },
		"escapes":           func(r *Report) { r.Device.Model = "\x1b[31m" },
		"escapes deep":      func(r *Report) { r.Facts.Host.Clusters[0].Core = "\r\n" },
		"long name":         func(r *Report) { r.Device.SoC = strings.Repeat("x", 1<<16) },
		"negative cores":    func(r *Report) { r.Device.Cores = -1 },
		"unknown members":   func(r *Report) { r.Device.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")} },
		"unknown members 2": func(r *Report) { r.Runtimes[0].Extra = map[string]json.RawMessage{"x": json.RawMessage("1")} },
	} {
		r := report()
		change(&r)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeReport(data); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v: want a refusal", name, err)
		}
	}
}

// An answer or request of another version is refused for that, whatever
// members it has that are unknown here.
func TestVersions(t *testing.T) {
	const newer = `{"format":"edgenas-agent/2","energy":true,"device":7}`
	const want = `format "edgenas-agent/2": want "edgenas-agent/1"`
	_, err := DecodeReport([]byte(newer))
	if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), want+": the agent there is of another version") {
		t.Errorf("report: %v", err)
	}
	_, err = ReadRequest(strings.NewReader(newer))
	if err == nil || !strings.Contains(err.Error(), want+": this agent is of another version") {
		t.Errorf("request: %v", err)
	}
	// Without a format, or of this one, it is what is in it that is wrong.
	for _, text := range []string{`{"energy":true}`, `{"format":"edgenas-agent/1","energy":true}`, `{"format":7}`, `{}`,
		``} {
		if _, err := DecodeReport([]byte(text)); !errors.Is(err, ErrUntrusted) ||
			strings.Contains(err.Error(), "another version") {
			t.Errorf("report %s: %v", text, err)
		}
		if _, err := ReadRequest(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "another version") {
			t.Errorf("request %s: %v", text, err)
		}
	}
}

func FuzzReport(f *testing.F) {
	data, err := json.Marshal(report())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := DecodeReport(data); err == nil && r.Format != Format {
			t.Errorf("%+v", r)
		}
	})
}

func TestVerification(t *testing.T) {
	good := latency.Verification{N: 3, MedianS: 2, LoS: 1, HiS: 3, MinS: 1, P90S: 3, P95S: 3, P99S: 3,
		Runtime: profiles.Runtime{Name: "native"}}
	for name, tt := range map[string]struct {
		change func(*latency.Verification)
		ok     bool
	}{
		"good":       {func(*latency.Verification) {}, true},
		"no samples": {func(v *latency.Verification) { v.N = 0 }, false},
		"negative":   {func(v *latency.Verification) { v.MinS = -1 }, false},
		"few":        {func(v *latency.Verification) { v.P95S, v.P99S = 0, 0 }, true},
		"no median":  {func(v *latency.Verification) { v.MedianS = 0 }, false},
		"tails":      {func(v *latency.Verification) { v.P95S = 2.5 }, false},
		"disordered": {func(v *latency.Verification) { v.P99S = 1 }, false},
		"bounds":     {func(v *latency.Verification) { v.LoS = 2.5 }, false},
		"hours":      {func(v *latency.Verification) { v.P99S = 1e5 }, false},
		"escapes":    {func(v *latency.Verification) { v.Warnings = []string{"\a"} }, false},
		"members": {func(v *latency.Verification) {
			v.Device.Extra = map[string]json.RawMessage{"x": json.RawMessage("1")}
		}, false},
	} {
		v := good
		tt.change(&v)
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeVerification(data); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
