// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
)

// These tests run against the servers that boards and phones have. With
// EDGENAS_CI=1 they must be there; otherwise the servers of devicestest stand
// in for them.

// find is where a program is; empty without EDGENAS_CI=1.
func find(t *testing.T, program, from string) string {
	t.Helper()
	if os.Getenv("EDGENAS_CI") == "" {
		return ""
	}
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install %s", program, from)
	return ""
}

// asRoot is a command that root runs.
func asRoot(args ...string) *exec.Cmd {
	if os.Getuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

// must runs a command to its end.
func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// freePort is a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return port(t, l.Addr().String())
}

// listening waits for a server.
func listening(t *testing.T, addr string, log *bytes.Buffer) {
	t.Helper()
	for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		if time.Since(started) > 10*time.Second {
			t.Fatalf("no server at %s: %s", addr, log)
		}
	}
}

func me(t *testing.T) *user.User {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// daemon is an ssh server as root runs it. It has a mount namespace of its
// own, in which this user's home is h, the shell is sh, and sftp-server, unless
// it is asked for, is no program.
func daemon(t *testing.T, h home, sftp bool, args ...string) (log *bytes.Buffer) {
	t.Helper()
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(passwd), "\n")
	for i, l := range lines {
		if f := strings.Split(l, ":"); len(f) == 7 && f[0] == me(t).Username {
			f[5], f[6] = h.dir, "/bin/sh"
			lines[i] = strings.Join(f, ":")
		}
	}
	dir := t.TempDir()
	fake, pid := filepath.Join(dir, "passwd"), filepath.Join(dir, "pid")
	if err := os.WriteFile(fake, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	h.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(h.key.PublicKey())))
	script := `echo $$ >"$1"; mount --bind "$2" /etc/passwd; shift 2; `
	if !sftp {
		script += `[ ! -e /usr/lib/sftp-server ] || mount --bind /dev/null /usr/lib/sftp-server; `
	}
	script += `exec "$@"`
	log = &bytes.Buffer{}
	cmd := asRoot(append([]string{"unshare", "-m", "sh", "-ec", script, "sh", pid, fake}, args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if id, err := os.ReadFile(pid); err == nil {
			asRoot("kill", strings.TrimSpace(string(id))).Run()
		}
		cmd.Wait()
	})
	return log
}

// testDaemon runs the suite on such a server that listens on a port.
func testDaemon(t *testing.T, h home, port string, key ssh.PublicKey, transfer string, log *bytes.Buffer) {
	t.Helper()
	addr := "127.0.0.1:" + port
	listening(t, addr, log)
	cable := devicestest.NewCable(t, addr)
	h.know(t, cable.Addr, key)
	address := "ssh://" + me(t).Username + "@" + cable.Addr
	d, err := devices.Open(t.Context(), address, devices.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if i := d.Info(); i.Capabilities.Transfer != transfer || i.Dir != filepath.Join(h.dir, "edgenas-device") {
		t.Errorf("%+v", i)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	devicestest.Run(t, devicestest.Target{Address: address, Cut: cable.Cut})
}

func TestOpenSSH(t *testing.T) {
	sshd := find(t, "sshd", "openssh-server")
	if sshd == "" {
		return
	}
	must(t, asRoot("mkdir", "-p", "/run/sshd")) // it asks for that
	for transfer, more := range map[string][]string{"sftp": {"Subsystem sftp internal-sftp"}, "cat": nil} {
		t.Run(transfer, func(t *testing.T) {
			h, port := newHome(t), freePort(t)
			key, config := filepath.Join(t.TempDir(), "host_key"), filepath.Join(t.TempDir(), "sshd_config")
			must(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
			shown, err := os.ReadFile(key + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			lines := append([]string{"Port " + port, "ListenAddress 127.0.0.1", "HostKey " + key, "StrictModes no", "UsePAM no",
				"PidFile none",
				"PasswordAuthentication no", "PermitRootLogin yes", "MaxStartups 100"}, more...)
			if out, _ := exec.Command(sshd, "-T", "-f", "/dev/null", "-h", key).Output(); bytes.Contains(out,
				[]byte("persourcepenalties")) {
				lines = append(lines, "PerSourcePenalties no") // for those who are cut often
			}
			if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			testDaemon(t, h, port, parseKey(t, shown), transfer, daemon(t, h, true, sshd, "-D", "-e", "-f", config))
		})
	}
}

func TestDropbear(t *testing.T) {
	dropbear := find(t, "dropbear", "dropbear-bin")
	if dropbear == "" {
		return
	}
	h, port := newHome(t), freePort(t)
	key := filepath.Join(t.TempDir(), "host_key")
	must(t, exec.Command("dropbearkey", "-t", "ed25519", "-f", key))
	shown, err := exec.Command("dropbearkey", "-y", "-f", key).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ = bytes.Cut(shown, []byte("\n"))
	log := daemon(t, h, false, dropbear, "-F", "-E", "-m", "-s", "-r", key, "-p", "127.0.0.1:"+port, "-P", "")
	testDaemon(t, h, port, parseKey(t, shown), "cat", log)
}

// parseKey reads a public key.
func parseKey(t *testing.T, text []byte) ssh.PublicKey {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestStockADB runs Debian's adb server with a phone on the network. It is
// started by Open, and restarted as a fault.
func TestStockADB(t *testing.T) {
	adb := find(t, "adb", "adb")
	if adb == "" {
		return
	}
	t.Setenv("HOME", t.TempDir()) // for its keys
	t.Setenv("ANDROID_ADB_SERVER_PORT", freePort(t))
	t.Cleanup(func() { exec.Command(adb, "kill-server").Run() })
	if _, err := devices.Open(t.Context(), "adb", devices.Options{}); !errors.Is(err, devices.ErrUnreachable) ||
		!strings.Contains(err.Error(), "no device is connected") {
		t.Fatalf("without a phone: %v", err)
	}
	phone := devicestest.ServeADBD(t)
	cable := devicestest.NewCable(t, phone.Addr)
	connect := func() { exec.Command(adb, "connect", cable.Addr).Run() }
	connect()
	t.Run("cable", func(t *testing.T) {
		devicestest.Run(t, devicestest.Target{Address: "adb:" + cable.Addr, Options: devices.Options{Dir: t.TempDir()},
			Faults: &phone.Faults,
			Cut:    cable.Cut,
			Restore: func() {
				exec.Command(adb, "disconnect", cable.Addr).Run() // it would wait 10 s before it tries again
				connect()
			}})
	})
	t.Run("server", func(t *testing.T) {
		connect()
		devicestest.Run(t, devicestest.Target{Address: "adb", Options: devices.Options{Dir: t.TempDir()},
			Cut:     func() { exec.Command(adb, "kill-server").Run() },
			Restore: connect}, "cut")
	})
}

// TestFullDisk pushes to a file system that is too small.
func TestFullDisk(t *testing.T) {
	if find(t, "mount", "mount") == "" {
		return
	}
	dir := t.TempDir()
	must(t, asRoot("mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "tmpfs", dir))
	t.Cleanup(func() { must(t, asRoot("umount", dir)) })
	h := newHome(t)
	s := devicestest.ServeSSH(t, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}, NoSFTP: true})
	h.know(t, s.Addr, s.HostKey)
	a := devicestest.ServeADB(t, nil, devicestest.ADBPhone{Serial: "A1B2", State: "device"})
	t.Setenv("ADB_SERVER_SOCKET", "tcp:"+a.Addr)
	for _, address := range []string{"local", "ssh://pi@" + s.Addr, "adb"} {
		d, err := devices.Open(t.Context(), address, devices.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Push(t.Context(), "large", make([]byte, 1<<20)); !errors.Is(err, devices.ErrNoSpace) {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := d.Push(t.Context(), "small", make([]byte, 100<<10)); err != nil {
			t.Errorf("%s: a small one: %v", address, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil || fs.Bfree != fs.Blocks {
			t.Errorf("%s: %d of %d blocks are left, %v", address, fs.Blocks-fs.Bfree, fs.Blocks, err)
		}
	}
}
