// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/edgenas/edgenas/devices/devicestest"
	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/profiles"
)

// These tests measure ARM machines (devicestest.Machine) behind the servers
// that boards and phones have, with the agent for their processor. With
// EDGENAS_CI=1 all of that must be there; without, TestDeviceProfile and its
// like have to do.

// realBoard is a board that is an ARM machine.
type realBoard struct {
	*board
	machine  *devicestest.Machine
	measured *profiles.Profile // of all of it, once
	serve    func()            // starts its server, which a new boot has not
	connect  func()            // does what its user does then
	before   string            // what was on it
}

// realBoards are what is measured: what they are, and how they are reached.
var realBoards = []struct {
	name string
	new  func(*testing.T) *realBoard
}{
	{"sshd arm64", func(t *testing.T) *realBoard { return newRealBoard(t, devicestest.Pi("arm64"), openSSH) }},
	{"dropbear arm", func(t *testing.T) *realBoard { return newRealBoard(t, devicestest.Pi("arm"), dropbear) }},
	{"adb arm64", func(t *testing.T) *realBoard { return newRealBoard(t, devicestest.Phone(), stockADB) }},
}

func newRealBoard(t *testing.T, h devicestest.Hardware, behind func(*testing.T, *realBoard)) *realBoard {
	t.Helper()
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} { // not of the home that the test has
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(out)))
	}
	b := &realBoard{board: &board{patience: time.Minute}, machine: devicestest.NewMachine(t, h),
		serve: func() {}, connect: func() {}}
	behind(t, b)
	b.before = b.machine.State()
	return b
}

// agent gives the board an agent that is not looked for again each time.
func (b *realBoard) agent(t *testing.T, arch string) {
	t.Helper()
	var err error
	if b.program, _, err = agent.Find(t.Context(), agent.Platform{OS: "linux", Arch: arch}); err != nil {
		t.Fatal(err)
	}
}

// lacking are a profile of the board that lacks few operations, and the
// arguments that measure them.
func (b *realBoard) lacking(t *testing.T, more ...string) (path string, args []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "device.json")
	if b.measured == nil {
		b.edgenas(t, b.profileArgs(path)...).want(t, fault.Done)
		b.measured = whole(t, path)
	}
	p := *b.measured
	p.Entries = p.Entries[12:]
	save(t, &p, path)
	return path, b.profileArgs(path, append([]string{"--only-missing"}, more...)...)
}

// reboot cuts its power. It is back after some seconds.
func (b *realBoard) reboot() {
	b.cable.Unplug()
	b.machine.Halt()
	time.Sleep(2 * time.Second)
	b.machine.Boot()
	b.serve()
	b.cable.Plug()
	b.connect()
}

// clean fails the test if anything is left on the board.
func (b *realBoard) clean(t *testing.T) {
	t.Helper()
	b.machine.Unchanged(b.before)
}

// installed is where a program is.
func installed(t *testing.T, program, from string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install %s", program, from)
	return ""
}

// must runs a command to its end.
func must(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", cmd.Args, err, out)
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// server puts the board behind an ssh server at a port.
func (b *realBoard) server(t *testing.T, port string, hostKey []byte, args ...string) {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + port
	b.serve = func() {
		b.machine.Start(io.Discard, args...)
		for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			if conn, err := net.Dial("tcp", addr); err == nil {
				conn.Close()
				return
			}
			if time.Since(started) > 20*time.Second {
				t.Errorf("%q does not listen", args)
				return
			}
		}
	}
	b.serve()
	b.cable = devicestest.NewCable(t, addr)
	know(t, b.cable.Addr, key)
	b.address = "ssh://pi@" + b.cable.Addr
}

// openSSH puts it behind Debian's sshd.
func openSSH(t *testing.T, b *realBoard) {
	sshd := installed(t, "sshd", "openssh-server")
	b.machine.Write("home/pi/.ssh/authorized_keys", string(ssh.MarshalAuthorizedKey(newUser(t))))
	key, port := filepath.Join(b.machine.Root, "etc/ssh/host_key"), freePort(t)
	b.machine.Write("etc/ssh/sshd_config",
		"Port "+port+"\nListenAddress 127.0.0.1\nHostKey /etc/ssh/host_key\nStrictModes no\nUsePAM no\nPidFile none\n"+
			"PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n")
	must(t, exec.Command(installed(t, "ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", key))
	must(t, exec.Command("chmod", "600", key))
	must(t, devicestest.AsRoot("chown", "root", key))
	b.server(t, port, read(t, key+".pub"), sshd, "-D", "-e", "-f", "/etc/ssh/sshd_config")
}

// dropbear puts it behind dropbear.
func dropbear(t *testing.T, b *realBoard) {
	server := installed(t, "dropbear", "dropbear-bin")
	b.machine.Write("home/pi/.ssh/authorized_keys", string(ssh.MarshalAuthorizedKey(newUser(t))))
	key, port := filepath.Join(b.machine.Root, "etc/host_key"), freePort(t)
	must(t, exec.Command(installed(t, "dropbearkey", "dropbear-bin"), "-t", "ed25519", "-f", key))
	_, shown, _ := bytes.Cut(must(t, exec.Command(installed(t, "dropbearkey", "dropbear-bin"), "-y", "-f", key)),
		[]byte("\n"))
	b.server(t, port, shown, server, "-F", "-E", "-m", "-s", "-r", "/etc/host_key", "-p", "127.0.0.1:"+port, "-P", "")
}

// stockADB puts it behind Debian's adb server, as a phone on the network.
func stockADB(t *testing.T, b *realBoard) {
	adb := installed(t, "adb", "adb")
	newUser(t)
	t.Setenv("ANDROID_ADB_SERVER_PORT", freePort(t))
	t.Cleanup(func() { exec.Command(adb, "kill-server").Run() })
	phone := b.machine.ServeADBD()
	b.cable, b.faults = devicestest.NewCable(t, phone.Addr), &phone.Faults
	b.connect = func() {
		exec.Command(adb, "disconnect", b.cable.Addr).Run() // it would wait 10 s before it tries again
		exec.Command(adb, "connect", b.cable.Addr).Run()
	}
	b.connect()
	b.address = "adb"
}

// TestDeviceReal is a first user's session, with the agent that edgenas finds.
func TestDeviceReal(t *testing.T) {
	if !inCI() {
		return
	}
	fixture(t, "")
	for _, tt := range realBoards {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.new(t)
			path := filepath.Join(t.TempDir(), "device.json")
			space, model, system, arch := "nb201", "Raspberry Pi 9 Model B Rev 1.0", "6.6.31+rpt-rpi-v8", "arm64"
			switch tt.name {
			case "dropbear arm":
				system, arch = "6.6.31+rpt-rpi-v7", "arm"
			case "adb arm64":
				space, model, system = "mbconv", "Stand In 9", "5.10.157-android13-4"
			}
			if o := b.edgenas(t, "devices", "doctor", b.address).want(t, fault.Done); !strings.Contains(o.stdout, "schedutil") {
				t.Errorf("%s: want the governor", o.stdout)
			}
			var r wire.Report
			o := b.edgenas(t, "devices", "info", b.address, "--json").want(t, fault.Done)
			if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
				t.Fatal(err)
			}
			var clusters []string
			for _, c := range r.Facts.Host.Clusters {
				clusters = append(clusters, fmt.Sprintf("%s %v %d", c.Core, c.CPUs, c.Capacity))
			}
			if want := []string{"Cortex-A55 [0 2] 250", "Cortex-A76 [1 3] 1024"}; !slices.Equal(clusters, want) {
				t.Errorf("clusters %q: want %q", clusters, want)
			}

			args := append([]string{"profile", "--device", b.address, "--space", space, "--rounds", "1", "-o", path},
				tinyFlags...)
			if o := b.edgenas(t, args...).want(t, fault.Done); !strings.Contains(o.stdout, "NOT valid") {
				t.Errorf("%s: want it to say that the times are not valid", o.stdout)
			}
			p := load(t, path)
			d := p.Device
			if d.Model != model || d.Kernel != system || d.Arch != arch || d.CPU != "Cortex-A55 + Cortex-A76" || d.Cores != 4 ||
				d.Governor != "schedutil" || d.Emulation != "qemu" {
				t.Errorf("device %+v", d)
			}
			for _, s := range []*float64{d.Before.TemperatureCelsius, d.After.TemperatureCelsius} {
				if s == nil || *s != 48.2 {
					t.Errorf("temperatures %+v and %+v: want 48.2", d.Before, d.After)
				}
			}
			if len(p.Entries) == 0 || len(p.Networks) == 0 || !p.Emulated() ||
				!strings.Contains(strings.Join(p.Warnings, "\n"), "times are not valid") {
				t.Errorf("%d entries, %d networks, warnings %q", len(p.Entries), len(p.Networks), p.Warnings)
			}
			b.clean(t)

			search := []string{"search", "--quiet", "--space", space, "--latency-budget", "1s", "--profile", path,
				"--data", "idx:" + fixture(t, "tiny"), "--cells", "1", "--channels", "4",
				"--epochs", "1", "--out", filepath.Join(t.TempDir(), "run")}
			refused(t, b.edgenas(t, search...), fault.Profile, "emulation", "--allow-emulated")
			b.edgenas(t, append(search, "--allow-emulated")...).want(t, fault.Done)
			b.clean(t)
		})
	}
}

// TestDeviceFaults: whatever happens to the device, its agent, the cable, the
// adb server or edgenas itself, the same command goes on, and in the end each
// entry is there once and nothing is left.
func TestDeviceFaults(t *testing.T) {
	if !everything() {
		return
	}
	fixture(t, "")
	for _, tt := range realBoards {
		if tt.name == "dropbear arm" {
			continue // the faults are those of ssh
		}
		t.Run(tt.name, func(t *testing.T) {
			b := tt.new(t)
			b.agent(t, "arm64")
			rng := rand.New(rand.NewPCG(6, 3))
			within := func(name string, test func(t *testing.T, path string, args []string)) {
				t.Run(name, func(t *testing.T) {
					path, args := b.lacking(t, "--rounds", "2")
					test(t, path, args)
					if !t.Failed() {
						whole(t, path)
					}
					b.clean(t)
				})
			}
			// survives runs the command; the fault begins in the middle.
			survives := func(t *testing.T, args []string, breakIt func(), want string) {
				t.Helper()
				begun, ended := false, make(chan struct{})
				o := b.interrupted(t, "measure", 1+rng.IntN(20), func(func()) {
					begun = true
					go func() {
						defer close(ended)
						breakIt()
					}()
				}, args...)
				o.want(t, fault.Done)
				if !begun {
					t.Fatal("the fault did not begin")
				}
				select {
				case <-ended:
				case <-time.After(childTime):
					t.Fatal("the fault did not end")
				}
				if !strings.Contains(o.stderr, want) {
					t.Errorf("stderr %s: want %q", o.stderr, want)
				}
			}
			for i := range 3 {
				within(fmt.Sprint("cut ", i), func(t *testing.T, _ string, args []string) {
					survives(t, args, b.cable.Cut, "connected again")
				})
			}
			within("agent killed", func(t *testing.T, _ string, args []string) {
				survives(t, args, func() {
					if b.machine.Kill("/edgenas-agent-") == 0 {
						t.Error("no agent runs")
					}
				}, "going on with what is missing")
			})
			within("reboot", func(t *testing.T, _ string, args []string) {
				survives(t, args, b.reboot, "connected again")
			})
			b.dir = "/tmp"
			within("reboot, its files gone", func(t *testing.T, _ string, args []string) {
				survives(t, args, b.reboot, "connected again")
			})
			b.dir = ""
			within("host killed", func(t *testing.T, path string, args []string) {
				t.Setenv(agentEnv, b.file(t))
				killMeasuring(t, path, args...)
				if o := b.edgenas(t, args...).want(t, fault.Done); !strings.Contains(o.stderr, "continuing the measurement") {
					t.Errorf("stderr %s", o.stderr)
				}
			})
			within("interrupted", func(t *testing.T, path string, args []string) {
				b.interrupted(t, "measure", 1+rng.IntN(15), func(cancel func()) { cancel() }, args...).want(t, fault.Interrupted)
				b.clean(t)
				b.edgenas(t, args...).want(t, fault.Done)
			})
			within("two hosts", func(t *testing.T, path string, args []string) {
				t.Setenv(agentEnv, b.file(t))
				other := slices.Clone(args)
				other[slices.Index(other, path)] = filepath.Join(t.TempDir(), "other.json")
				survives(t, args, func() {
					var stderr strings.Builder
					cmd := command(t, other...)
					cmd.Stderr = &stderr
					if err := cmd.Run(); cmd.ProcessState.ExitCode() != fault.Device ||
						!strings.Contains(stderr.String(), "in use by") {
						t.Errorf("the second: %v: %s", err, &stderr)
					}
				}, "")
			})
			b.dir = "/small"
			within("disk full", func(t *testing.T, path string, args []string) {
				size := func(bytes int) { b.machine.Do(fmt.Sprintf("mount -o remount,size=%d /small", bytes)) }
				size(len(b.program) / 2)
				refused(t, b.edgenas(t, append(args, "--quiet")...), fault.Device, "no space", "KiB are needed")
				b.clean(t)
				// There is room for the agent, but hardly for its own copy of the entries.
				size(len(b.program) + 16<<10)
				b.edgenas(t, args...).want(t, fault.Done)
			})
			b.dir = ""
			if b.faults == nil { // ssh would notice
				return
			}
			within("damaged on the way", func(t *testing.T, path string, args []string) {
				b.faults.Corrupt.Store(2)
				b.edgenas(t, args...).want(t, fault.Done)
				if n := b.faults.Corrupt.Load(); n != 0 {
					t.Errorf("%d transfers are still to be damaged", n)
				}
			})
			within("adb server restarted", func(t *testing.T, _ string, args []string) {
				survives(t, args, func() {
					exec.Command("adb", "kill-server").Run()
					time.Sleep(time.Second)
					b.connect()
				}, "connected again")
			})
		})
	}
}

// TestDeviceClockStepped measures with an agent whose clock of the day is set
// back and forth by more than a year all the time, as a board does that has no
// clock of its own and asks for the time when it is connected.
func TestDeviceClockStepped(t *testing.T) {
	if !inCI() {
		return
	}
	fixture(t, "")
	b := newRealBoard(t, devicestest.Pi("arm64"), openSSH)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	standard := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	const reading = "sec, nsec, mono := runtimeNow()\n"
	source := string(read(t, standard))
	if strings.Count(source, reading) != 1 {
		t.Fatalf("%s reads the clock in another way than this test knows", standard)
	}
	dir := t.TempDir()
	stepped := write(t, filepath.Join(dir, "time.go"),
		[]byte(strings.Replace(source, reading, reading+"\tif mono>>24&1 == 1 {\n\t\tsec -= 400 * 24 * 3600\n\t}\n", 1)))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{standard: stepped}})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "agent")
	cmd := bounded(t, "go", "build", "-overlay", write(t, filepath.Join(dir, "overlay.json"), overlay),
		"-ldflags=-s -w", "-o", out, "../edgenas-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b.program = read(t, out)

	path, args := b.lacking(t, "--rounds", "2")
	b.interrupted(t, "measure", 27, func(cancel func()) { cancel() }, args...).want(t, fault.Interrupted)
	b.edgenas(t, args...).want(t, fault.Done)
	for _, e := range whole(t, path).Entries {
		for _, s := range slices.Concat(e.SamplesS...) {
			if !(s > 0 && s < 60) {
				t.Errorf("%s: a sample of %g s", e.Key, s)
			}
		}
	}
	b.clean(t)
}
