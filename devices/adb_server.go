// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// The adb server's own protocol: a request is four hexadecimal digits of
// length and a text; the answer is OKAY, or FAIL and a text. Source: Android's
// packages/modules/adb/{OVERVIEW,SERVICES}.TXT.

const (
	maxADBText    = 0xffff
	adbAnswerTime = 10 * time.Second // for the server's own answers
	adbStartTime  = 20 * time.Second
)

// adbServer is where the adb server listens.
type adbServer struct{ network, address string }

// findADBServer follows the variables that adb does.
func findADBServer() (adbServer, error) {
	if s := os.Getenv("ADB_SERVER_SOCKET"); s != "" {
		return parseADBSocket(s)
	}
	port := os.Getenv("ANDROID_ADB_SERVER_PORT")
	if port == "" {
		port = "5037"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return adbServer{}, fmt.Errorf("ANDROID_ADB_SERVER_PORT %q: no port", port)
	}
	return adbServer{"tcp", net.JoinHostPort("127.0.0.1", port)}, nil
}

// parseADBSocket reads ADB_SERVER_SOCKET: tcp:PORT, tcp:HOST:PORT or
// localfilesystem:PATH.
func parseADBSocket(s string) (adbServer, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case kind == "localfilesystem" && rest != "":
		return adbServer{"unix", rest}, nil
	case kind == "tcp" && rest != "":
		if !strings.Contains(rest, ":") {
			rest = "127.0.0.1:" + rest
		}
		if _, port, err := net.SplitHostPort(rest); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
				return adbServer{"tcp", rest}, nil
			}
		}
	}
	return adbServer{}, fmt.Errorf("ADB_SERVER_SOCKET %q: known are tcp:PORT, tcp:HOST:PORT and localfilesystem:PATH", s)
}

// start runs adb start-server, which returns when the server listens.
func (s adbServer) start(ctx context.Context) error {
	adb, err := exec.LookPath("adb")
	if err != nil {
		return fmt.Errorf("no adb server listens at %s, and there is no adb to start one: install Android's "+
			"platform-tools (Debian: apt install adb)", s.address)
	}
	ctx, cancel := context.WithTimeout(ctx, adbStartTime)
	defer cancel()
	// The server keeps the outputs that it is given open: it gets none of ours.
	if err := exec.CommandContext(ctx, adb, "start-server").Run(); err != nil {
		return fmt.Errorf("%s start-server: %w", adb, err)
	}
	return nil
}

// adbConn is a connection to the server, for one request or stream.
type adbConn struct {
	net.Conn
	stop func() bool // ends the watch over the context
}

// dial connects; the connection closes when ctx ends.
func (s adbServer) dial(ctx context.Context) (*adbConn, error) {
	conn, err := (&net.Dialer{Timeout: adbAnswerTime}).DialContext(ctx, s.network, s.address)
	if err != nil {
		return nil, err
	}
	return &adbConn{Conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

// dialOrStart connects, and starts the server where none listens.
func (s adbServer) dialOrStart(ctx context.Context) (*adbConn, error) {
	c, err := s.dial(ctx)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s.dial(ctx)
}

func (c *adbConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// request sends one and waits until it is accepted. A refusal is an
// [*adbRefusal].
func (c *adbConn) request(text string) error {
	if len(text) > maxADBText {
		return fmt.Errorf("adb: a request of %d bytes: at most %d", len(text), maxADBText)
	}
	c.SetDeadline(time.Now().Add(adbAnswerTime))
	defer c.SetDeadline(time.Time{})
	if _, err := fmt.Fprintf(c, "%04x%s", len(text), text); err != nil {
		return err
	}
	return readADBStatus(c)
}

// text sends a request whose answer is a text.
func (c *adbConn) text(request string) (string, error) {
	if err := c.request(request); err != nil {
		return "", err
	}
	c.SetDeadline(time.Now().Add(adbAnswerTime))
	defer c.SetDeadline(time.Time{})
	return readADBText(c)
}

// adbRefusal is what the server answers after FAIL.
type adbRefusal struct{ text string }

func (e *adbRefusal) Error() string { return "adb: " + e.text }

// readADBStatus reads OKAY, or FAIL and its text.
func readADBStatus(r io.Reader) error {
	var status [4]byte
	if _, err := io.ReadFull(r, status[:]); err != nil {
		return unexpected(err)
	}
	switch string(status[:]) {
	case "OKAY":
		return nil
	case "FAIL":
		text, err := readADBText(r)
		if err != nil {
			return err
		}
		return &adbRefusal{printable(text)}
	}
	return fmt.Errorf("adb: what listens there is no adb server: it answers %q", status)
}

// readADBText reads four hexadecimal digits of length and that many bytes.
func readADBText(r io.Reader) (string, error) {
	var digits [4]byte
	if _, err := io.ReadFull(r, digits[:]); err != nil {
		return "", unexpected(err)
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return "", fmt.Errorf("adb: a length of %q", digits)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", unexpected(err)
	}
	return string(text), nil
}

// unexpected is the end of a stream where it must not end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
