// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/edgenas/edgenas/devices/devicestest"
	"github.com/edgenas/edgenas/internal/agent"
)

// TestDeviceReal measures over the servers that boards and phones have, with
// the agent for arm64 in qemu. With EDGENAS_CI=1 they must be there; without,
// TestDeviceProfile and its like have to do.
func TestDeviceReal(t *testing.T) {
	if os.Getenv("EDGENAS_CI") != "1" {
		return
	}
	fixture(t, "")
	program, _, err := agent.Find(context.Background(), agent.Platform{OS: "linux", Arch: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(t.TempDir(), "agent"), program)
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	run := "exec " + installed(t, "qemu-aarch64-static", "qemu-user-static") + " " + file + ` "$@"`
	for _, tt := range []struct {
		name  string
		serve func(*testing.T, *board)
	}{{"sshd", serveOpenSSH}, {"adb", serveStockADB}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(t)
			tt.serve(t, b)
			b.script(run)
			dir, path := t.TempDir(), filepath.Join(t.TempDir(), "device.json")
			o := b.edgenas(t, b.profileArgs(path, "--device-dir", dir)...).want(t, exitDone)
			if !strings.Contains(o.stdout, "NOT valid") {
				t.Errorf("%s: want it to say that the times are not valid", o.stdout)
			}
			if p := whole(t, path); p.Device.Emulation != "qemu" || p.Device.Arch != "arm64" {
				t.Errorf("device %+v", p.Device)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
			refused(t, b.edgenas(t, "search", "--quiet", "--latency-budget", "1s", "--profile", path, "--data", "idx:"+fixture(t, "tiny"), "--cells", "1", "--channels", "4",
				"--out", filepath.Join(t.TempDir(), "run")), exitProfile, "emulation")
		})
	}
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

// must runs a program to its end.
func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
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

// serveOpenSSH puts the board behind Debian's sshd, for this user.
func serveOpenSSH(t *testing.T, b *board) {
	sshd := installed(t, "sshd", "openssh-server")
	if os.Getuid() == 0 {
		must(t, "mkdir", "-p", "/run/sshd") // it asks for that
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	key, config, authorized := filepath.Join(dir, "host_key"), filepath.Join(dir, "config"), filepath.Join(dir, "authorized_keys")
	must(t, installed(t, "ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", key)
	shown, _, _, _, err := ssh.ParseAuthorizedKey(read(t, key+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, authorized, ssh.MarshalAuthorizedKey(b.key))
	write(t, config, []byte(fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n"+
		"PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n", port, key, authorized)))
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	addr := "127.0.0.1:" + port
	for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			break
		}
		if time.Since(started) > 10*time.Second {
			t.Fatal("sshd does not listen")
		}
	}
	write(t, filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"), []byte(knownhosts.Line([]string{addr}, shown)+"\n"))
	b.address = "ssh://" + me.Username + "@" + addr
}

// serveStockADB puts the board behind Debian's adb server, as a phone on the
// network.
func serveStockADB(t *testing.T, b *board) {
	adb := installed(t, "adb", "adb")
	t.Setenv("ANDROID_ADB_SERVER_PORT", freePort(t))
	t.Cleanup(func() { exec.Command(adb, "kill-server").Run() })
	phone := devicestest.ServeADBD(t)
	must(t, adb, "connect", phone.Addr)
	b.address = "adb:" + phone.Addr
}
