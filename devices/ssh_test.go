// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
)

// board starts a server that lets keys in, and makes it known.
func board(t *testing.T, h home, o devicestest.SSHOptions) *devicestest.SSH {
	t.Helper()
	o.Env = append(o.Env, "HOME="+t.TempDir())
	s := devicestest.ServeSSH(t, o)
	h.know(t, s.Addr, s.HostKey)
	return s
}

// reach opens a device and closes it.
func reach(t *testing.T, address string, o devices.Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d, err := devices.Open(ctx, address, o)
	if err != nil {
		if !errors.Is(err, devices.ErrUnreachable) {
			t.Errorf("%v: is not ErrUnreachable", err)
		}
		return err
	}
	return d.Close()
}

// says checks that an error says what it should.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v: want %q in it", err, w)
		}
	}
}

func TestSSHConfig(t *testing.T) {
	h := newHome(t)
	special := h.addKey(t, "special key", "")
	jump := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	pi := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{special.PublicKey()}})
	h.write(t, "config", fmt.Sprintf(`
Host pi5
	HostName 127.0.0.1
	Port %s
	User pi
	IdentityFile "~/.ssh/special key"
	IdentitiesOnly yes

Host far*
	HostName 127.0.0.1
	Port=%[1]s
	IdentityFile ~/.ssh/absent
	IdentityFile "%%d/.ssh/special key"
	ProxyJump first,mid@second

Host first second
	HostName 127.0.0.1
	Port %s

Host first
	User jumper

Host round
	ProxyJump round

Host command
	ProxyCommand nc %%h %%p

Host alias
	HostName 127.0.0.1
	Port %[1]s
	HostKeyAlias board-7
	UserKnownHostsFile ~/.ssh/boards
	IdentityFile "~/.ssh/special key"
`, port(t, pi.Addr), port(t, jump.Addr)))
	h.write(t, "boards", knownhosts.Line([]string{"board-7"}, pi.HostKey)+"\n")

	for _, tt := range []struct{ address, piUser, jumpUser string }{
		{"ssh://pi5", "pi", ""},
		{"ssh://other@pi5", "other", ""},
		{"ssh://me@farm", "me", "jumper"},
		{"ssh://me2@far", "me2", "mid"},
		{"ssh://a@alias", "a", ""},
	} {
		if err := reach(t, tt.address, devices.Options{}); err != nil {
			t.Errorf("%s: %v", tt.address, err)
		}
		if !pi.LoggedIn(tt.piUser) || tt.jumpUser != "" && !jump.LoggedIn(tt.jumpUser) {
			t.Errorf("%s: not logged in as %s, through %s", tt.address, tt.piUser, tt.jumpUser)
		}
	}
	says(t, reach(t, "ssh://pi5:1", devices.Options{}), "127.0.0.1:1", "refused") // the address goes first
	says(t, reach(t, "ssh://round", devices.Options{}), "circle")
	says(t, reach(t, "ssh://command", devices.Options{}), "ProxyCommand is not supported")
	h.write(t, "config", "Host x\nMatch exec true\nPort 1\n")
	says(t, reach(t, "ssh://x", devices.Options{}), ".ssh/config", "Match Exec is not supported")
	h.write(t, "config", "Host x\nPort many\n")
	says(t, reach(t, "ssh://x", devices.Options{}), `Port "many"`)
}

func TestSSHLogin(t *testing.T) {
	h := newHome(t)
	locked := h.addKey(t, "id_ecdsa", "open sesame")
	held := h.addKey(t, "held", "")
	asked := 0
	answer := func(secret string) func(string) (string, error) {
		asked = 0
		return func(prompt string) (string, error) {
			asked++
			if !strings.Contains(prompt, "passphrase of "+filepath.Join(h.dir, ".ssh", "id_ecdsa")) &&
				!strings.Contains(prompt, "password of pi on 127.0.0.1") {
				t.Errorf("prompt %q", prompt)
			}
			return secret, nil
		}
	}

	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{locked.PublicKey()}})
	address := "ssh://pi@" + s.Addr
	if err := reach(t, address, devices.Options{Ask: answer("open sesame")}); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if err := reach(t, address, devices.Options{Ask: answer("wrong")}); err == nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	says(t, reach(t, address, devices.Options{}), "does not let pi in", "id_ed25519", "ssh-add",
		"ssh-copy-id -p "+port(t, s.Addr)+" pi@127.0.0.1")
	gaveUp := errors.New("no more")
	if err := reach(t, address, devices.Options{Ask: func(string) (string, error) { return "", gaveUp }}); !errors.Is(err,
		gaveUp) {
		t.Errorf("%v", err)
	}

	// A passphrase is not asked for where the key is of no use.
	s = board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	if err := reach(t, "ssh://pi@"+s.Addr, devices.Options{Ask: answer("open sesame")}); err != nil || asked != 0 {
		t.Errorf("asked %d times: %v", asked, err)
	}

	s = board(t, h, devicestest.SSHOptions{Password: "raspberry"})
	if err := reach(t, "ssh://pi@"+s.Addr, devices.Options{Ask: answer("raspberry")}); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if err := reach(t, "ssh://pi@"+s.Addr, devices.Options{Ask: answer("wrong")}); err == nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}

	// The agent's keys.
	os.Remove(filepath.Join(h.dir, ".ssh", "held"))
	s = board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{held.PublicKey()}})
	serveAgent(t, h, "held")
	address = "ssh://pi@" + s.Addr
	if err := reach(t, address, devices.Options{}); err != nil {
		t.Error(err)
	}
	h.write(t, "config", "IdentitiesOnly yes\n")
	says(t, reach(t, address, devices.Options{}), "does not let pi in")
	h.write(t, "config", "IdentitiesOnly yes\nIdentityFile ~/.ssh/held\n")
	h.write(t, "held.pub", string(ssh.MarshalAuthorizedKey(held.PublicKey())))
	if err := reach(t, address, devices.Options{}); err != nil {
		t.Error(err)
	}
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(h.dir, "nothing"))
	says(t, reach(t, address, devices.Options{}), "the agent (")
}

// serveAgent starts an agent; a key that is in no file was given to it before.
func serveAgent(t *testing.T, h home, name string) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: h.private[name]}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
}

func TestHostKeys(t *testing.T) {
	h := newHome(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s := devicestest.ServeSSH(t, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()},
		Env:      []string{"HOME=" + t.TempDir()},
		HostKeys: []ssh.Signer{h.addKey(t, "host", ""), second}})
	address := "ssh://pi@" + s.Addr
	known := func(lines ...string) { h.write(t, "known_hosts", strings.Join(lines, "\n")+"\n") }
	line := func(key ssh.PublicKey) string { return knownhosts.Line([]string{s.Addr}, key) }
	bare := func(key ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) }
	other := h.addKey(t, "other", "").PublicKey()
	_, p, _ := net.SplitHostPort(s.Addr)
	file := filepath.Join(h.dir, ".ssh", "known_hosts")

	var bad *devices.HostKeyError
	for _, tt := range []struct {
		name  string
		lines []string // nil: no file
		say   []string // none: it is let through
	}{
		{"no file", nil, []string{"ssh-keyscan -p " + p + " 127.0.0.1 >>" + file, "ssh-keygen -lf", "SHA256:"}},
		{"unknown", []string{"# nobody"}, []string{"is not in " + file}},
		{"changed", []string{"# first", line(other)},
			[]string{"HAS CHANGED", file + ":2", fmt.Sprintf("ssh-keygen -f %s -R '[127.0.0.1]:%s'", file, p)}},
		{"revoked", []string{"@revoked * " + bare(s.HostKey), "@revoked * " + bare(second.PublicKey())},
			[]string{"revoked", "do not trust"}},
		{"another port's", []string{knownhosts.Line([]string{"127.0.0.1"}, s.HostKey)}, []string{"is not in"}},
		{"known", []string{line(s.HostKey)}, nil},
		{"hashed", []string{knownhosts.HashHostname(knownhosts.Normalize(s.Addr)) + " " + bare(s.HostKey)}, nil},
		{"known by its second key", []string{line(second.PublicKey())}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(file)
			if tt.lines != nil {
				known(tt.lines...)
			}
			err := reach(t, address, devices.Options{Ask: func(string) (string, error) {
				t.Error("a secret is asked for, before the host is known")
				return "", nil
			}})
			if (err == nil) != (len(tt.say) == 0) || err != nil && !errors.As(err, &bad) {
				t.Fatalf("%v", err)
			}
			says(t, err, tt.say...)
		})
	}
	known("127.0.0.1 no key")
	says(t, reach(t, address, devices.Options{}), file+":1", "remove that line")
}

func TestSSHUnreachable(t *testing.T) {
	newHome(t)
	says(t, reach(t, "ssh://127.0.0.1:1", devices.Options{}), "ssh://127.0.0.1:1", "refused")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := devices.Open(ctx, "ssh://"+silent.Addr().String(), devices.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSSHFolder(t *testing.T) {
	h := newHome(t)
	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	address := "ssh://pi@" + s.Addr
	says(t, reach(t, address, devices.Options{Dir: "/proc"}), "no folder of '/proc' can be used")
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "edgenas-device")); err != nil { // somebody's trap
		t.Fatal(err)
	}
	says(t, reach(t, address, devices.Options{Dir: dir}), "can be used")
	var usage *devices.AddressError
	if _, err := devices.Open(t.Context(), address, devices.Options{Dir: "relative"}); !errors.As(err, &usage) {
		t.Errorf("%v", err)
	}
	odd := filepath.Join(dir, `it's a $(touch hacked) \ "folder"`)
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	devicestest.Run(t, devicestest.Target{Address: address, Options: devices.Options{Dir: odd}, Cut: func() {},
		Faults: &s.Faults},
		"info", "arguments", "cancel", "corrupted", "close", "busy")
}

// TestNoHash runs on a device without sha256sum, where files are read back.
func TestNoHash(t *testing.T) {
	h := newHome(t)
	bin := t.TempDir()
	for _, name := range []string{"sh", "cat", "chmod", "df", "grep", "mkdir", "mv", "rm", "sleep", "uname", "wc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, noSFTP := range []bool{false, true} {
		s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}, NoSFTP: noSFTP,
			Env: []string{"PATH=" + bin}})
		address := "ssh://pi@" + s.Addr
		d, err := devices.Open(t.Context(), address, devices.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Info().Capabilities.Hashes {
			t.Error("it hashes")
		}
		d.Close()
		devicestest.Run(t, devicestest.Target{Address: address, Cut: func() {}, Faults: &s.Faults}, "push and pull",
			"corrupted")
	}
}

// TestSilence pulls the cable: nothing says so, and nothing answers.
func TestSilence(t *testing.T) {
	h := newHome(t)
	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	cable := devicestest.NewCable(t, s.Addr)
	h.know(t, cable.Addr, s.HostKey)
	d, err := devices.OpenSSH(t.Context(), "ssh://pi@"+cable.Addr, devices.Options{}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	name, err := d.Push(t.Context(), "program", []byte("#!/bin/sh\nsleep 1000\n"))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, cable.Freeze)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := d.Run(ctx, devices.Command{Name: name}); !errors.Is(err, devices.ErrLost) {
		t.Errorf("%v", err)
	}
	if err := d.Close(); !errors.Is(err, devices.ErrLost) {
		t.Errorf("close: %v", err)
	}
	cable.Thaw()
	if err := reach(t, "ssh://pi@"+cable.Addr, devices.Options{}); err != nil {
		t.Error(err)
	}
}

// TestCutWhileOpening cuts the cable at any moment of the first half of the way
// to an open device, which has the handshake and sftp: it is unreachable then,
// at once.
func TestCutWhileOpening(t *testing.T) {
	h := newHome(t)
	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	cable := devicestest.NewCable(t, s.Addr)
	h.know(t, cable.Addr, s.HostKey)
	started := time.Now()
	if err := reach(t, "ssh://pi@"+cable.Addr, devices.Options{}); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(started)
	opens, cut := 40, 0
	if os.Getenv("EDGENAS_CI") == "all" {
		opens = 400
	}
	for i := range opens {
		timer := time.AfterFunc(whole*time.Duration(i)/time.Duration(2*opens), cable.Cut)
		err := reach(t, "ssh://pi@"+cable.Addr, devices.Options{})
		timer.Stop()
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("cut %d of %d: %v", i, opens, err)
		}
		if err != nil {
			cut++
		}
	}
	if cut == 0 {
		t.Error("no cut was noticed")
	}
}

const killedHost = "EDGENAS_TEST_KILLED_HOST"

// TestKilledHost kills a host by SIGKILL whose cable was pulled before: the
// device does not notice. This host may go on at once, and nothing of the
// other one runs any more.
func TestKilledHost(t *testing.T) {
	if address := os.Getenv(killedHost); address != "" {
		victim(t, address)
		return
	}
	h := newHome(t)
	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	cable := devicestest.NewCable(t, s.Addr)
	h.know(t, cable.Addr, s.HostKey)
	self := []string{os.Args[0], "-test.run=^TestKilledHost$"}
	if err := exec.Command(self[0], "-test.list=^$").Run(); err != nil { // emulated: so must it be
		self = append([]string{"qemu-aarch64-static"}, self...)
	}
	cmd := exec.Command(self[0], self[1:]...)
	cmd.Env = append(os.Environ(), killedHost+"=ssh://pi@"+cable.Addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	var busy *devices.BusyError
	if err := reach(t, "ssh://pi@"+s.Addr, devices.Options{}); !errors.As(err, &busy) ||
		!strings.Contains(busy.Owner, fmt.Sprintf("process %d,", cmd.Process.Pid)) {
		t.Errorf("while it lives: %v", err)
	}
	cable.Freeze()
	cmd.Process.Kill()
	cmd.Wait()
	if err := reach(t, "ssh://pi@"+s.Addr, devices.Options{}); err != nil {
		t.Errorf("when it is dead: %v", err)
	}
	for started := time.Now(); exec.Command("kill", "-0",
		fmt.Sprint(pid)).Run() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(started) > 20*time.Second {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

// victim runs a program that never ends, and says its process id.
func victim(t *testing.T, address string) {
	d, err := devices.Open(t.Context(), address, devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name, err := d.Push(t.Context(), "program", []byte("#!/bin/sh\necho pid $$\nsleep 1000\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Fatal(d.Run(t.Context(), devices.Command{Name: name, Stdout: os.Stdout}))
}
