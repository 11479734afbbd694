// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// ADB is a server that stands in for an adb server with phones. They share
// this machine.
type ADB struct {
	// Addr is where it listens, host:port.
	Addr   string
	Faults Faults

	env []string

	mu     sync.Mutex
	phones []ADBPhone
}

// ADBPhone is a phone that the server knows.
type ADBPhone struct {
	Serial, State, Model string
	Features             string // empty: shell_v2,cmd
}

// ServeADB starts a server for the time of a test. env is added to the
// environment of what runs on the phones.
func ServeADB(t testing.TB, env []string, phones ...ADBPhone) *ADB {
	t.Helper()
	s := &ADB{env: env, phones: phones}
	s.Faults.prepare(t)
	s.Addr = serve(t, s.serve)
	return s
}

// Plug changes the phones.
func (s *ADB) Plug(phones ...ADBPhone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phones = phones
}

// find is the phone with that serial number.
func (s *ADB) find(serial string) (ADBPhone, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.phones {
		if p.Serial == serial {
			if p.State != "device" {
				return p, fmt.Errorf("device %s", p.State)
			}
			return p, nil
		}
	}
	return ADBPhone{}, fmt.Errorf("device '%s' not found", serial)
}

func (s *ADB) serve(conn net.Conn) {
	refuse := func(err error) { fmt.Fprintf(conn, "FAIL%04x%s", len(err.Error()), err) }
	chosen := false
	for {
		request, err := adbRequest(conn)
		if err != nil {
			return
		}
		serial, isTransport := strings.CutPrefix(request, "host:transport:")
		phone := phone{faults: &s.Faults, env: s.env}
		switch {
		case request == "host:devices-l":
			text := s.list()
			fmt.Fprintf(conn, "OKAY%04x%s", len(text), text)
			return
		case strings.HasPrefix(request, "host-serial:") && strings.HasSuffix(request, ":features"):
			p, err := s.find(strings.TrimSuffix(strings.TrimPrefix(request, "host-serial:"), ":features"))
			if err != nil {
				refuse(err)
				return
			}
			if p.Features == "" {
				p.Features = "shell_v2,cmd"
			}
			fmt.Fprintf(conn, "OKAY%04x%s", len(p.Features), p.Features)
			return
		case isTransport:
			if _, err := s.find(serial); err != nil {
				refuse(err)
				return
			}
			io.WriteString(conn, "OKAY")
			chosen = true
		case chosen && phone.serves(request):
			io.WriteString(conn, "OKAY")
			stream := newWatched(conn)
			phone.serve(request, stream, stream.gone)
			// As adb does: closed with unread input, it would be reset, and
			// what was said last could be lost.
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
			return
		default:
			refuse(fmt.Errorf("unknown host service '%s'", request))
			return
		}
	}
}

// list is the answer to devices-l, in the columns of adb.
func (s *ADB) list() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for i, p := range s.phones {
		fmt.Fprintf(&b, "%-22s %s", p.Serial, p.State)
		if p.Model != "" {
			fmt.Fprintf(&b, " product:stand model:%s device:stand", p.Model)
		}
		fmt.Fprintf(&b, " transport_id:%d\n", i+1)
	}
	return b.String()
}

// adbRequest reads four hexadecimal digits of length and a text.
func adbRequest(r io.Reader) (string, error) {
	var digits [4]byte
	if _, err := io.ReadFull(r, digits[:]); err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return "", err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(r, text)
	return string(text), err
}

// watched is a connection whose end is noticed.
type watched struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func newWatched(c net.Conn) *watched { return &watched{Conn: c, gone: make(chan struct{})} }

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.once.Do(func() { close(w.gone) })
	}
	return n, err
}
