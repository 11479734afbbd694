// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
)

func TestADBStates(t *testing.T) {
	s := devicestest.ServeADB(t, nil)
	t.Setenv("ADB_SERVER_SOCKET", "tcp:"+s.Addr)
	phone := func(serial, state string) devicestest.ADBPhone {
		return devicestest.ADBPhone{Serial: serial, State: state, Model: "Pixel_6"}
	}
	old := phone("OLD", "device")
	old.Features = "cmd"
	for _, tt := range []struct {
		name, address string
		phones        []devicestest.ADBPhone
		usage         bool
		say           string
	}{
		{"none", "adb", nil, false, "no device is connected"},
		{"unauthorized", "adb", []devicestest.ADBPhone{phone("A1", "unauthorized")}, false,
			"A1: it has not allowed this computer yet"},
		{"offline", "adb:A1", []devicestest.ADBPhone{phone("A1", "offline")}, false, "A1: it is offline"},
		{"several", "adb", []devicestest.ADBPhone{phone("A1", "device"), phone("B2", "device")}, true,
			"adb:A1 (Pixel 6), adb:B2 (Pixel 6)"},
		{"absent", "adb:C3", []devicestest.ADBPhone{phone("A1", "device")}, false, "not this one"},
		{"too old", "adb", []devicestest.ADBPhone{old}, false, "Android 7 or newer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Plug(tt.phones...)
			_, err := devices.Open(t.Context(), tt.address, devices.Options{Dir: t.TempDir()})
			says(t, err, tt.say)
			var usage *devices.AddressError
			if errors.As(err, &usage) != tt.usage || errors.Is(err, devices.ErrUnreachable) == tt.usage {
				t.Errorf("%T %v", err, err)
			}
			phones, err := devices.Phones(t.Context())
			if err != nil || len(phones) != len(tt.phones) {
				t.Errorf("%+v, %v", phones, err)
			}
		})
	}
	s.Plug(phone("A1", "unauthorized"), phone("B2", "device"))
	for _, address := range []string{"adb", "adb:B2"} {
		d, err := devices.Open(t.Context(), address, devices.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if i := d.Info(); i.Address != "adb:B2" || i.Model != "Pixel 6" {
			t.Errorf("%+v", i)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestADBServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ANDROID_ADB_SERVER_PORT", port(t, l.Addr().String()))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	}()
	_, err = devices.Phones(t.Context())
	says(t, err, `no adb server: it answers "HTTP"`)
	l.Close()

	bin := t.TempDir()
	t.Setenv("PATH", bin)
	_, err = devices.Phones(t.Context())
	says(t, err, "there is no adb to start one", "apt install adb")
	if !errors.Is(err, devices.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	adb := filepath.Join(bin, "adb")
	script := "#!/bin/sh\necho \"$@\" >" + filepath.Join(bin, "called") + "\nexit 1\n"
	if err := os.WriteFile(adb, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = devices.Phones(t.Context())
	says(t, err, adb+" start-server: exit status 1")
	if called, err := os.ReadFile(filepath.Join(bin, "called")); err != nil || string(called) != "start-server\n" {
		t.Errorf("%q, %v", called, err)
	}
	for _, socket := range []string{"vsock:1", "tcp:"} {
		t.Setenv("ADB_SERVER_SOCKET", socket)
		if _, err := devices.Phones(t.Context()); err == nil || !strings.Contains(err.Error(), "ADB_SERVER_SOCKET") {
			t.Errorf("%q: %v", socket, err)
		}
	}
}
