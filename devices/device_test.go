// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
)

func TestLocal(t *testing.T) {
	devicestest.Run(t, devicestest.Target{Address: "local", Options: devices.Options{Dir: t.TempDir()}})
}

func TestSSH(t *testing.T) {
	for _, noSFTP := range []bool{false, true} {
		t.Run(fmt.Sprintf("sftp=%v", !noSFTP), func(t *testing.T) {
			h := newHome(t)
			s := devicestest.ServeSSH(t, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}, NoSFTP: noSFTP,
				Env: []string{"HOME=" + t.TempDir()}})
			cable := devicestest.NewCable(t, s.Addr)
			h.know(t, cable.Addr, s.HostKey)
			devicestest.Run(t, devicestest.Target{Address: "ssh://pi@" + cable.Addr, Cut: cable.Cut, Faults: &s.Faults})
		})
	}
}

// TestWrapped runs the suite on what Retry and Timeout make of a device.
func TestWrapped(t *testing.T) {
	retry := func(ctx context.Context, address string, o devices.Options) (devices.Device, error) {
		open := func(ctx context.Context) (devices.Device, error) { return devices.Open(ctx, address, o) }
		return devices.RetryAfter(ctx, time.Minute, 10*time.Millisecond, open, nil)
	}
	for _, tt := range []struct {
		name    string
		retries bool
		open    func(context.Context, string, devices.Options) (devices.Device, error)
	}{
		{"Retry", true, retry},
		{"Timeout", false, timed(devices.Open)},
		{"both", true, timed(retry)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			devicestest.Run(t, devicestest.Target{
				Address: "local", Options: devices.Options{Dir: t.TempDir()}, Open: tt.open, Retries: tt.retries,
			})
			h := newHome(t)
			s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
			cable := devicestest.NewCable(t, s.Addr)
			h.know(t, cable.Addr, s.HostKey)
			devicestest.Run(t, devicestest.Target{
				Address: "ssh://pi@" + cable.Addr, Open: tt.open, Retries: tt.retries, Cut: cable.Cut, Faults: &s.Faults,
			})
		})
	}
}

// timed opens devices with a Timeout that is longer than anything takes.
func timed(open func(context.Context, string, devices.Options) (devices.Device, error),
) func(context.Context, string, devices.Options) (devices.Device, error) {
	return func(ctx context.Context, address string, o devices.Options) (devices.Device, error) {
		d, err := open(ctx, address, o)
		if err != nil {
			return nil, err
		}
		return devices.Timeout(d, time.Minute), nil
	}
}

func TestADB(t *testing.T) {
	s := devicestest.ServeADB(t, nil, devicestest.ADBPhone{Serial: "A1B2", State: "device", Model: "Stand_In"})
	cable := devicestest.NewCable(t, s.Addr)
	t.Setenv("ADB_SERVER_SOCKET", "tcp:"+cable.Addr)
	devicestest.Run(t, devicestest.Target{Address: "adb", Options: devices.Options{Dir: t.TempDir()}, Cut: cable.Cut,
		Faults: &s.Faults})
}

// home is a user's home folder, with a key.
type home struct {
	dir     string
	key     ssh.Signer
	private map[string]ed25519.PrivateKey
}

// newHome makes it the home of this process for the time of a test.
func newHome(t *testing.T) home {
	t.Helper()
	h := home{dir: t.TempDir(), private: map[string]ed25519.PrivateKey{}}
	t.Setenv("HOME", h.dir)
	t.Setenv("SSH_AUTH_SOCK", "")
	if err := os.Mkdir(filepath.Join(h.dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.key = h.addKey(t, "id_ed25519", "")
	return h
}

// addKey writes a new key to ~/.ssh/name.
func (h home) addKey(t *testing.T, name, passphrase string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.private[name] = private
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, name, string(pem.EncodeToMemory(block)))
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write writes ~/.ssh/name.
func (h home) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, ".ssh", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// know adds a host's key to the known ones.
func (h home) know(t *testing.T, addr string, key ssh.PublicKey) {
	t.Helper()
	path := filepath.Join(h.dir, ".ssh", "known_hosts")
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	h.write(t, "known_hosts", string(old)+knownhosts.Line([]string{addr}, key)+"\n")
}

// port is the port of host:port.
func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
