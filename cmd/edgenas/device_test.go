// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// builtAgent is the agent for this machine, built once.
var builtAgent = sync.OnceValues(func() ([]byte, error) {
	program, _, err := agent.Find(context.Background(), agent.Platform{OS: "linux", Arch: runtime.GOARCH})
	return program, err
})

// inCI says whether everything that a test may need is here (EDGENAS_CI=1, or
// all). An emulated test leaves to the others what needs no emulation of it.
func inCI() bool { return os.Getenv("EDGENAS_CI") != "" && !emulated() }

// everything says whether every fault is to be tried, which takes a quarter of
// an hour (EDGENAS_CI=all); in CI one of each kind has to do.
func everything() bool { return os.Getenv("EDGENAS_CI") == "all" && !emulated() }

// board is a device over ssh: this machine, behind a cable.
type board struct {
	address  string
	home     string // there
	dir      string // for --device-dir; empty: the usual one
	cable    *devicestest.Cable
	faults   *devicestest.Faults
	program  []byte        // put there as the agent; nil: the one that is found
	patience time.Duration // with a device that was lost
}

func newBoard(t *testing.T) *board {
	t.Helper()
	program, err := builtAgent()
	if err != nil {
		t.Fatal(err)
	}
	b := &board{home: t.TempDir(), program: program, patience: 10 * time.Second}
	if emulated() { // the board is, too
		b.script("exec " + strings.Join(self()[:1], "") + " " + b.file(t) + " \"$@\"\n" +
			strings.Repeat("# as large as a program\n", 1<<11))
	}
	s := devicestest.ServeSSH(t,
		devicestest.SSHOptions{Keys: []ssh.PublicKey{newUser(t)}, Env: []string{"HOME=" + b.home}})
	b.cable, b.faults = devicestest.NewCable(t, s.Addr), &s.Faults
	b.address = "ssh://pi@" + b.cable.Addr
	know(t, b.cable.Addr, s.HostKey)
	return b
}

// newUser gives this process a home for the time of a test, with an ssh key.
func newUser(t *testing.T) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), ".ssh")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", filepath.Dir(dir))
	t.Setenv("SSH_AUTH_SOCK", "")
	write(t, filepath.Join(dir, "id_ed25519"), pem.EncodeToMemory(block))
	os.Chmod(filepath.Join(dir, "id_ed25519"), 0o600)
	return key
}

// know makes a host's key the one that is known.
func know(t *testing.T, addr string, key ssh.PublicKey) {
	t.Helper()
	write(t, filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"), []byte(knownhosts.Line([]string{addr}, key)+"\n"))
}

// phone makes the board a phone, whose cable is that to the adb server.
func (b *board) phone(t *testing.T) {
	t.Helper()
	s := devicestest.ServeADB(t, nil, devicestest.ADBPhone{Serial: "A1B2", State: "device", Model: "Pixel_6"},
		devicestest.ADBPhone{Serial: "C3", State: "unauthorized"})
	b.cable, b.faults = devicestest.NewCable(t, s.Addr), &s.Faults
	t.Setenv("ADB_SERVER_SOCKET", "tcp:"+b.cable.Addr)
	b.address, b.dir = "adb", t.TempDir()
}

// file is the agent as a program of this machine.
func (b *board) file(t *testing.T) string {
	t.Helper()
	path := write(t, filepath.Join(t.TempDir(), "agent"), b.program)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// script replaces the agent by a script.
func (b *board) script(text string) { b.program = []byte("#!/bin/sh\n" + text) }

// edgenas runs a command that may use the board.
func (b *board) edgenas(t *testing.T, args ...string) outcome {
	t.Helper()
	return b.interrupted(t, "", 0, func(cancel func()) { cancel() }, args...)
}

// interrupted runs a command and does something at the n-th line of progress
// with the prefix.
func (b *board) interrupted(t *testing.T, prefix string, n int, then func(cancel func()), args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	a := newTestApp(args, &stdout, &watcher{w: &stderr, prefix: prefix, n: n, then: func() { then(cancel) }})
	a.host.Inventories = &fixtures.spaces
	a.host.Patience, a.host.Pause = b.patience, time.Millisecond
	if b.program != nil {
		a.host.Agent = func(context.Context, agent.Platform) ([]byte, error) { return b.program, nil }
	}
	code := a.run(ctx)
	return outcome{code, stdout.String(), stderr.String()}
}

// clean fails the test if anything was left on the board.
func (b *board) clean(t *testing.T) {
	t.Helper()
	for started := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(b.home, "*", "edgenas-device*"))
		if err != nil {
			t.Fatal(err)
		}
		more, _ := filepath.Glob(filepath.Join(b.home, ".cache", "edgenas-device*"))
		there, _ := filepath.Glob(filepath.Join(b.dir, "edgenas-device*"))
		if left = slices.Concat(left, more, there); len(left) == 0 {
			return
		}
		if time.Since(started) > 10*time.Second {
			t.Fatalf("%q is left on the device", left)
		}
	}
}

// profileArgs measure the fixtures' space on the board, as fast as can be.
func (b *board) profileArgs(out string, more ...string) []string {
	return append(append([]string{"profile", "--device", b.address, "--device-dir", b.dir, "--rounds", "1", "-o", out},
		tinyFlags...), more...)
}

// lacking are a profile of the board that lacks few operations, and the
// arguments that measure them.
func (b *board) lacking(t *testing.T, more ...string) (path string, args []string) {
	t.Helper()
	p := load(t, fixture(t, "here.json"))
	p.Entries = p.Entries[12:]
	path = save(t, p, filepath.Join(t.TempDir(), "pi.json"))
	return path, b.profileArgs(path, append([]string{"--only-missing"}, more...)...)
}

// whole fails the test unless the profile has everything once.
func whole(t *testing.T, path string) *profiles.Profile {
	t.Helper()
	p, want := load(t, path), load(t, fixture(t, "here.json"))
	keys := func(p *profiles.Profile) (list []string) {
		for _, e := range p.Entries {
			list = append(list, e.Key)
		}
		slices.Sort(list)
		return list
	}
	if got, want := keys(p), keys(want); !reflect.DeepEqual(got, want) {
		t.Fatalf("%d entries: want %d", len(got), len(want))
	}
	for _, e := range p.Entries {
		if e.Status != profiles.OK {
			t.Errorf("%s: %s", e.Key, e.Status)
		}
	}
	if len(p.Networks) != target.CalibrationNetworks {
		t.Errorf("%d networks: want %d", len(p.Networks), target.CalibrationNetworks)
	}
	if _, err := os.Stat(path + ".partial"); err == nil {
		t.Error("a journal is left")
	}
	return p
}

func TestDeviceProfile(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	path := filepath.Join(t.TempDir(), "pi.json")
	o := b.edgenas(t, b.profileArgs(path)...).want(t, fault.Done)
	p := whole(t, path)
	here := latency.ThisDevice()
	if p.Device.Name() != here.Name() || p.Device.Emulation != here.Emulation || p.Device.After == nil ||
		p.Protocol.Rounds != 1 || len(p.Runtime.Affinity) != 1 {
		t.Errorf("device %+v, protocol %+v, runtime %+v", p.Device, p.Protocol, p.Runtime)
	}
	if !strings.Contains(o.stderr, "measure ") {
		t.Errorf("stderr %s: want progress", o.stderr)
	}
	b.clean(t)

	// Again, nothing is missing.
	before := read(t, path)
	b.edgenas(t, b.profileArgs(path, "--only-missing")...).want(t, fault.Done)
	if !bytes.Equal(read(t, path), before) {
		t.Error("a complete profile was changed")
	}

	// The same device is verified, and searched for.
	allow := []string{"--json"}
	if emulated() {
		allow = append(allow, "--allow-emulated")
	}
	o = b.edgenas(t, "verify", filepath.Join(baseline(t), runfile.ModelName),
		"--device", b.address, "--json").want(t, fault.Done)
	var v latency.Verification
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil || v.MedianS <= 0 || v.Device.Name() != here.Name() {
		t.Errorf("%+v, %v", v, err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	args := append([]string{"search", "--latency-budget", "1s", "--profile", path, "--device", b.address,
		"--data", "idx:" + fixture(t, "tiny"),
		"--cells", "1", "--channels", "4", "--epochs", "1", "--out", dir}, allow...)
	o = b.edgenas(t, args...).want(t, fault.Done)
	var r runfile.Result
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || r.LatencyMeasuredS == nil {
		t.Errorf("%+v, %v", r, err)
	}
	b.clean(t)
}

// What is measured survives an interruption, and nothing is left on the device.
func TestDeviceInterrupted(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	path, args := b.lacking(t, "--rounds", "4")
	o := b.interrupted(t, "measure", 16, func(cancel func()) { cancel() }, args...).want(t, fault.Interrupted)
	if !strings.Contains(o.stderr, "the same command goes on from there") {
		t.Errorf("stderr %s", o.stderr)
	}
	b.clean(t)
	o = b.edgenas(t, args...).want(t, fault.Done)
	if !strings.Contains(o.stderr, "measured already") {
		t.Errorf("stderr %s", o.stderr)
	}
	whole(t, path)
}

// A connection that is cut at any moment costs time, and nothing else: while
// the agent is on its way, and while it works.
func TestDeviceCut(t *testing.T) {
	fixture(t, "")
	times := 2
	if everything() {
		times = 20
	}
	for name, change := range map[string]func(*board, *testing.T){
		"ssh": func(*board, *testing.T) {},
		"adb": (*board).phone,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t)
			change(b, t)
			rng := rand.New(rand.NewPCG(1, 0))
			for i := range times {
				path, args := b.lacking(t)
				moment, then := 1+rng.IntN(20), func(func()) { b.cable.Cut() }
				if i%4 == 1 { // else while the agent works
					b.cable.CutAfter(20_000 + rng.Int64N(int64(len(b.program))))
				}
				o := b.interrupted(t, "measure", moment, then, args...).want(t, fault.Done)
				if !strings.Contains(o.stderr, "connected again") {
					t.Errorf("it was not cut: %s", o.stderr)
				}
				whole(t, path)
				b.clean(t)
			}
		})
	}
}

// A file that is damaged on its way is noticed there and sent again. Where that
// never ends, or where there is no room, the same command goes on later.
func TestDeviceDamaged(t *testing.T) {
	fixture(t, "")
	for name, change := range map[string]func(*board, *testing.T){
		"ssh": func(*board, *testing.T) {},
		"adb": (*board).phone,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t)
			change(b, t)
			b.patience = 100 * time.Millisecond
			path, args := b.lacking(t, "--quiet")
			b.faults.Full.Store(true)
			refused(t, b.edgenas(t, args...), fault.Device, "no space", "KiB are needed", "16 are free")
			b.faults.Full.Store(false)
			b.clean(t)
			b.faults.Corrupt.Store(1000)
			refused(t, b.edgenas(t, args...), fault.Device, "corrupted in transfer")
			b.clean(t)
			b.faults.Corrupt.Store(2)
			b.patience = 10 * time.Second
			b.edgenas(t, args...).want(t, fault.Done)
			if n := b.faults.Corrupt.Load(); n != 0 {
				t.Errorf("%d transfers are still to be damaged", n)
			}
			whole(t, path)
			b.clean(t)
		})
	}
}

// An agent that is killed is started again.
func TestDeviceKilled(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	real := b.file(t)
	b.script(`if [ "$1" = stream ] && [ ! -e killed ]; then >killed; ` + real +
		` "$@" | head -n 20; kill -9 $$; fi; exec ` + real + ` "$@"`)
	path, args := b.lacking(t)
	o := b.edgenas(t, args...).want(t, fault.Done)
	if !strings.Contains(o.stderr, "going on with what is missing") {
		t.Errorf("stderr %s", o.stderr)
	}
	whole(t, path)
	b.clean(t)
}

// edgenas itself may be killed: the same command takes the device over, and
// goes on from what both have.
func TestDeviceHostKilled(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	t.Setenv(agentEnv, b.file(t))
	path, args := b.lacking(t, "--rounds", "4")
	killMeasuring(t, path, args...)
	o := b.edgenas(t, args...).want(t, fault.Done)
	if !strings.Contains(o.stderr, "measured already") {
		t.Errorf("stderr %s", o.stderr)
	}
	whole(t, path)
	b.clean(t)
}

// killMeasuring runs a measurement in a process of its own, and kills it when the
// journal beside the profile has its first entries.
func killMeasuring(t *testing.T, path string, args ...string) {
	t.Helper()
	const least = 3 // lines: the first says what is measured
	cmd := command(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Fatalf("%q: %v: want it killed", args, err)
		case <-time.After(time.Millisecond):
		}
		if journal, err := os.ReadFile(path + ".partial"); err == nil && bytes.Count(journal, []byte("\n")) >= least {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// A device has one user at a time, and keeps the agent if it is told to.
func TestDeviceBusy(t *testing.T) {
	b := newBoard(t)
	d, err := devices.Open(t.Context(), b.address, devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, b.edgenas(t, "devices", "info", b.address), fault.Device, "in use by")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b.edgenas(t, "verify", filepath.Join(baseline(t), runfile.ModelName), "--device", b.address,
		"--keep", "--device-dir", dir).want(t, fault.Done)
	kept, err := filepath.Glob(filepath.Join(dir, "edgenas-device", "edgenas-agent-*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("%q is left, %v: want the agent", kept, err)
	}
}

// The cores are chosen there, and times of other cores are not mixed in.
func TestDeviceCluster(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	path := filepath.Join(t.TempDir(), "pi.json")
	refused(t, b.edgenas(t, b.profileArgs(path, "--quiet", "--cluster", "0x"+strings.Repeat("8", 64))...),
		fault.Usage, "processor")
	p := load(t, fixture(t, "here.json"))
	save(t, p, path)
	refused(t, b.edgenas(t, b.profileArgs(path, "--cluster", "big", "--only-missing")...),
		fault.Profile, "runtime.cluster")
	p.Runtime.Cluster, p.Entries = "big", p.Entries[1:]
	p.Runtime.Build = ""
	save(t, p, path)
	b.edgenas(t, b.profileArgs(path, "--cluster", "big", "--only-missing")...).want(t, fault.Done)
	if p := load(t, path); p.Runtime.Cluster != "big" || len(p.Runtime.Affinity) != 1 {
		t.Errorf("%+v", p.Runtime)
	}
}

// A phone is another way to the same.
func TestDevicePhone(t *testing.T) {
	b := newBoard(t)
	b.phone(t)
	o := b.edgenas(t, "devices").want(t, fault.Done)
	for _, want := range []string{"local ", "adb:A1B2 ", "Pixel 6", "adb:C3 ", "Allow USB debugging", "ssh://user@host"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%s: want %q", o.stdout, want)
		}
	}
	var v latency.Verification
	o = b.edgenas(t, "verify", filepath.Join(baseline(t), runfile.ModelName),
		"--device", "adb", "--device-dir", b.dir, "--json").want(t, fault.Done)
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil || v.MedianS <= 0 {
		t.Errorf("%+v, %v", v, err)
	}
	b.clean(t)
}

func TestDeviceReport(t *testing.T) {
	b := newBoard(t)
	var r wire.Report
	o := b.edgenas(t, "devices", "info", b.address, "--json").want(t, fault.Done)
	if json.Unmarshal([]byte(o.stdout), &r) != nil || r.Facts.Host.Cores < 1 || len(r.Runtimes) != 1 ||
		r.Facts.Load.Processors == nil {
		t.Errorf("%s", o.stdout)
	}
	if o := b.edgenas(t, "devices", "info", b.address).want(t, fault.Done); !strings.Contains(o.stdout, "cores  ") ||
		!strings.Contains(o.stdout, "runtime      native") {
		t.Errorf("%s", o.stdout)
	}
	if o := b.edgenas(t, "devices", "doctor", b.address).want(t, fault.Done); !strings.Contains(o.stdout, "free space") ||
		!strings.Contains(o.stdout, "governor") {
		t.Errorf("%s", o.stdout)
	}
	b.clean(t)
}

// What a device says that the agent would not is refused.
func TestDeviceHostile(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	agentReport, err := json.Marshal(wire.Report{Format: wire.Format, Version: "1",
		Device: latency.ThisDevice(), Runtimes: []profiles.Runtime{native.Info(1)}})
	if err != nil {
		t.Fatal(err)
	}
	info := `if [ "$1" = info ]; then echo '` + string(agentReport) + `'; exit 0; fi` + "\n"
	for _, tt := range []struct {
		name, script string
		code         int
		want         string
	}{
		{"no program", "exit 3", fault.Unexpected, "exit status 3"},
		{"not there", "exit 127", fault.Device, "could not be started"},
		{"killed each time", info + "kill -9 $$", fault.Device, "killed"},
		{"no report", "echo hello", fault.Device, "refused"},
		{"endless report", "yes", fault.Device, "more than allowed"},
		{"older agent", `echo '{"format":"edgenas-agent/0"}'`, fault.Device, "another version"},
		{"escapes in the report",
			`printf '{"format":"edgenas-agent/1","version":"\\u001b[2J","runtimes":[{"name":"native"}]}'`,
			fault.Device, "cannot be printed"},
		{"nothing measured", info + "exit 0", fault.Device, "ended early"},
		{"session alone", info + `echo '{"session":{"protocol":{}}}'`, fault.Device, "left out"},
		{"endless line", info + "yes | tr -d '\\n'", fault.Device, "a line of more than"},
		{"unknown key",
			info + `echo '{"round":{"entries":[{"key":"conv","status":"ok","n":1,` +
				`"median_s":1,"lo_s":1,"hi_s":1,"samples_s":[[1]]}]}}'`,
			fault.Device, "not asked for"},
		{"bad request", info + "echo no >&2; exit 2", fault.Usage, "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.script(tt.script)
			refused(t, b.edgenas(t, b.profileArgs(filepath.Join(t.TempDir(), "pi.json"), "--quiet")...), tt.code, tt.want)
			b.clean(t)
		})
	}
}

func TestDeviceUnreachable(t *testing.T) {
	b := newBoard(t)
	t.Setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.1:1")
	t.Setenv("PATH", t.TempDir())
	out := filepath.Join(t.TempDir(), "p.json")
	for _, tt := range []struct {
		name, device string
		code         int
		want         string
	}{
		{"refused", "ssh://pi@127.0.0.1:1", fault.Device, "unreachable"},
		{"no adb", "adb", fault.Device, "unreachable"},
		{"password in the address", "ssh://pi:secret@host", fault.Usage, "password does not belong"},
		{"no address", "usb", fault.Usage, "known are local, ssh://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, b.edgenas(t, "profile", "--device", tt.device, "-o", out), tt.code, tt.want)
			refused(t, b.edgenas(t, "devices", "doctor", tt.device), tt.code, tt.want)
		})
	}
}
