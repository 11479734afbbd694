// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The sync service: requests and answers are four letters and a number, four
// bytes little endian, which is mostly the length of what follows. Source:
// Android's packages/modules/adb/SYNC.TXT.

const (
	syncChunk = 64 << 10 // bytes of a file at once, by the protocol
	syncPath  = 1024     // of a path, by the protocol
	syncText  = 64 << 10 // of a refusal, by us
	regular   = 0o100700 // a program
)

// sync starts the service and runs f on it.
func (t *adbPhone) sync(ctx context.Context, f func(io.ReadWriter) error) error {
	c, err := t.service(ctx, "sync:")
	if err != nil {
		return err
	}
	defer c.Close()
	err = f(c)
	var refusal *adbRefusal
	var broken *brokenSync
	switch {
	case err == nil:
		c.Write(syncMessage("QUIT", 0))
		return nil
	case errors.As(err, &broken):
		return adbLost(ctx, broken.error)
	case errors.As(err, &refusal) && ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

func (t *adbPhone) put(ctx context.Context, path string, data []byte) error {
	return t.sync(ctx, func(rw io.ReadWriter) error { return syncSend(rw, path, data, time.Now()) })
}

func (t *adbPhone) get(ctx context.Context, path string, w io.Writer) error {
	return t.sync(ctx, func(rw io.ReadWriter) error { return syncReceive(rw, path, w) })
}

// brokenSync is a stream that ended or says what it must not.
type brokenSync struct{ error }

// syncMessage is a request or an answer.
func syncMessage(id string, n uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte(id), n)
}

// readSync reads an answer; a refusal is an error.
func readSync(r io.Reader) (id string, n uint32, err error) {
	var m [8]byte
	if _, err := io.ReadFull(r, m[:]); err != nil {
		return "", 0, &brokenSync{unexpected(err)}
	}
	id, n = string(m[:4]), binary.LittleEndian.Uint32(m[4:])
	if id != "FAIL" {
		return id, n, nil
	}
	if n > syncText {
		return "", 0, &brokenSync{fmt.Errorf("adb: a refusal of %d bytes", n)}
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", 0, &brokenSync{unexpected(err)}
	}
	return "", 0, &adbRefusal{printable(string(text))}
}

// syncSend writes a file. A phone that refuses reads on to the end before it
// says so.
func syncSend(rw io.ReadWriter, path string, data []byte, modified time.Time) error {
	name := fmt.Sprintf("%s,%d", path, regular)
	if len(path) > syncPath {
		return fmt.Errorf("adb: a path of %d bytes: at most %d", len(path), syncPath)
	}
	if _, err := rw.Write(append(syncMessage("SEND", uint32(len(name))), name...)); err != nil {
		return &brokenSync{err}
	}
	for len(data) > 0 {
		n := min(len(data), syncChunk)
		if _, err := rw.Write(append(syncMessage("DATA", uint32(n)), data[:n]...)); err != nil {
			return &brokenSync{err}
		}
		data = data[n:]
	}
	if _, err := rw.Write(syncMessage("DONE", uint32(modified.Unix()))); err != nil {
		return &brokenSync{err}
	}
	id, _, err := readSync(rw)
	if err == nil && id != "OKAY" {
		err = &brokenSync{fmt.Errorf("adb: the phone answers %q", id)}
	}
	return err
}

// syncReceive reads a file. An error of w ends it.
func syncReceive(rw io.ReadWriter, path string, w io.Writer) error {
	if len(path) > syncPath {
		return fmt.Errorf("adb: a path of %d bytes: at most %d", len(path), syncPath)
	}
	if _, err := rw.Write(append(syncMessage("RECV", uint32(len(path))), path...)); err != nil {
		return &brokenSync{err}
	}
	chunk := make([]byte, syncChunk)
	for {
		id, n, err := readSync(rw)
		switch {
		case err != nil:
			return err
		case id == "DONE":
			return nil
		case id != "DATA" || n > syncChunk:
			return &brokenSync{fmt.Errorf("adb: the phone sends %q of %d bytes", id, n)}
		}
		if _, err := io.ReadFull(rw, chunk[:n]); err != nil {
			return &brokenSync{unexpected(err)}
		}
		if _, err := w.Write(chunk[:n]); err != nil {
			return err
		}
	}
}
