// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// adbPhone is a transport to a phone, by way of the adb server that the user
// has. Each operation has a connection of its own.
type adbPhone struct {
	server adbServer
	serial string
}

func openADB(ctx context.Context, a Address, o Options) (Device, error) {
	t, phone, err := findPhone(ctx, a)
	if err != nil {
		if e := ctx.Err(); e != nil {
			err = e
		}
		var address *AddressError
		if errors.As(err, &address) {
			return nil, err
		}
		return nil, fmt.Errorf("devices: %s: %w: %w", a, ErrUnreachable, err)
	}
	i := Info{Address: phone.Address(), Model: phone.Model, Capabilities: Capabilities{Parallel: true, Transfer: "sync"}}
	return openRemote(ctx, t, i, o, "/data/local/tmp")
}

// findPhone chooses a phone and checks that it can do what is needed.
func findPhone(ctx context.Context, a Address) (*adbPhone, Phone, error) {
	server, err := findADBServer()
	if err != nil {
		return nil, Phone{}, err
	}
	phones, err := server.phones(ctx)
	if err != nil {
		return nil, Phone{}, err
	}
	phone, err := choose(phones, a)
	if err != nil {
		return nil, Phone{}, err
	}
	t := &adbPhone{server: server, serial: phone.Serial}
	c, err := server.dial(ctx)
	if err != nil {
		return nil, Phone{}, err
	}
	defer c.Close()
	features, err := c.text("host-serial:" + t.serial + ":features")
	if err != nil {
		return nil, Phone{}, err
	}
	if !slices.Contains(strings.Split(features, ","), "shell_v2") {
		return nil, Phone{}, fmt.Errorf("%s: its adb is too old to tell exit statuses: Android 7 or newer is needed",
			t.serial)
	}
	return t, phone, nil
}

// service opens a stream to a service of the phone.
func (t *adbPhone) service(ctx context.Context, name string) (*adbConn, error) {
	c, err := t.server.dial(ctx)
	if err != nil {
		return nil, adbLost(ctx, err)
	}
	if err = c.request("host:transport:" + t.serial); err == nil {
		err = c.request(name)
	}
	if err != nil {
		c.Close()
		return nil, adbLost(ctx, err)
	}
	return c, nil
}

// adbLost is an error of a stream as a transport has it. Whatever the server
// refuses, the phone was there when it was opened.
func adbLost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// Packets of the shell protocol: an id, the length in four bytes little
// endian, the data. Source: Android's packages/modules/adb/shell_protocol.h.
const (
	shellStdin      = 0
	shellStdout     = 1
	shellStderr     = 2
	shellExit       = 3
	shellCloseStdin = 4

	shellHeader = 5
	shellChunk  = 16 << 10 // of stdin
)

func (t *adbPhone) exec(ctx context.Context, line string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	c, err := t.service(ctx, "shell,v2,raw:"+line)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	go sendShellInput(c, stdin)
	status, err := readShell(c, stdout, stderr)
	if err != nil {
		return 0, adbLost(ctx, err)
	}
	return status, nil
}

// sendShellInput sends stdin and its end. It ends with the stream.
func sendShellInput(w io.Writer, stdin io.Reader) {
	packet := make([]byte, shellHeader+shellChunk)
	for stdin != nil {
		n, err := stdin.Read(packet[shellHeader:])
		if n > 0 {
			packet[0] = shellStdin
			binary.LittleEndian.PutUint32(packet[1:], uint32(n))
			if _, err := w.Write(packet[:shellHeader+n]); err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	w.Write([]byte{shellCloseStdin, 0, 0, 0, 0})
}

// readShell hands the output on until the exit status comes, which it returns.
// A stream without one broke.
func readShell(r io.Reader, stdout, stderr io.Writer) (status int, err error) {
	var header [shellHeader]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return 0, unexpected(err)
		}
		w := io.Discard
		switch header[0] {
		case shellStdout:
			w = stdout
		case shellStderr:
			w = stderr
		case shellExit:
			var code [1]byte
			if _, err := io.ReadFull(r, code[:]); err != nil {
				return 0, unexpected(err)
			}
			return int(code[0]), nil
		}
		if _, err := io.CopyN(w, r, int64(binary.LittleEndian.Uint32(header[1:]))); err != nil {
			return 0, unexpected(err)
		}
	}
}

func (t *adbPhone) close() {}
