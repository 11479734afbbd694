// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// phone is what adbd does on a phone: the services behind a stream.
type phone struct {
	faults *Faults
	env    []string
	root   func() string                  // of its files; nil: that of this machine
	enter  func(args ...string) *exec.Cmd // runs a program there; nil: on this machine
}

// path is where this machine has a file of the phone.
func (p phone) path(name string) string {
	if p.root == nil {
		return name
	}
	return filepath.Join(p.root(), name)
}

// serves says whether there is a service of that name.
func (p phone) serves(service string) bool {
	return strings.HasPrefix(service, "shell,v2,raw:") || service == "sync:"
}

// serve runs a service. gone closes with the stream.
func (p phone) serve(service string, stream io.ReadWriter, gone <-chan struct{}) {
	if line, ok := strings.CutPrefix(service, "shell,v2,raw:"); ok {
		p.shell(line, stream, gone)
		return
	}
	p.sync(stream)
}

// shell runs a line; packets are an id, the length in four bytes little
// endian, and the data.
func (p phone) shell(line string, stream io.ReadWriter, gone <-chan struct{}) {
	var mu sync.Mutex
	packet := func(id byte, data []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		head := binary.LittleEndian.AppendUint32([]byte{id}, uint32(len(data)))
		if _, err := stream.Write(append(head, data...)); err != nil {
			return 0, err
		}
		return len(data), nil
	}
	stdin, input := io.Pipe()
	go func() {
		defer input.Close()
		var head [5]byte
		for {
			if _, err := io.ReadFull(stream, head[:]); err != nil {
				return
			}
			if head[0] == 4 {
				input.Close()
				io.Copy(io.Discard, stream) // to see it end
				return
			}
			if _, err := io.CopyN(input, stream, int64(binary.LittleEndian.Uint32(head[1:]))); err != nil {
				return
			}
		}
	}()
	s := shell{faults: p.faults, line: line, env: p.env, enter: p.enter, stdin: stdin, hangup: gone,
		stdout: writeFunc(func(b []byte) (int, error) { return packet(1, b) }),
		stderr: writeFunc(func(b []byte) (int, error) { return packet(2, b) })}
	status, err := s.run()
	stdin.Close()
	code := byte(status.ExitStatus())
	switch {
	case err != nil:
		code = 126
	case status.Signaled():
		code = 0x80 | byte(status.Signal())
	}
	packet(3, []byte{code})
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(b []byte) (int, error) { return f(b) }

// sync serves SEND, RECV, STAT and QUIT.
func (p phone) sync(stream io.ReadWriter) error {
	say := func(id string, n int, data string) error {
		_, err := stream.Write(append(binary.LittleEndian.AppendUint32([]byte(id), uint32(n)), data...))
		return err
	}
	refuse := func(err error) error { return say("FAIL", len(err.Error()), err.Error()) }
	for {
		id, n, err := syncHead(stream)
		if err != nil || id == "QUIT" {
			return err
		}
		if n > 1024 {
			return fmt.Errorf("%s of %d bytes", id, n)
		}
		arg := make([]byte, n)
		if _, err := io.ReadFull(stream, arg); err != nil {
			return err
		}
		switch id {
		case "STAT":
			var stat [12]byte // of a file that is not there
			if info, err := os.Stat(p.path(string(arg))); err == nil {
				binary.LittleEndian.PutUint32(stat[:], 0o100000|uint32(info.Mode().Perm()))
				binary.LittleEndian.PutUint32(stat[4:], uint32(info.Size()))
			}
			_, err = stream.Write(append([]byte("STAT"), stat[:]...))
		case "RECV":
			err = p.receive(string(arg), say, refuse)
		case "SEND":
			var data []byte
			if data, err = syncData(stream); err != nil {
				return err
			}
			if e := p.store(string(arg), data); e != nil {
				err = refuse(e)
			} else {
				err = say("OKAY", 0, "")
			}
		default:
			return fmt.Errorf("unknown request %q", id)
		}
		if err != nil {
			return err
		}
	}
}

func syncHead(r io.Reader) (id string, n int, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, err
	}
	return string(head[:4]), int(binary.LittleEndian.Uint32(head[4:])), nil
}

// syncData reads a file's chunks.
func syncData(r io.Reader) ([]byte, error) {
	var data []byte
	for {
		id, n, err := syncHead(r)
		if err != nil || id == "DONE" {
			return data, err
		}
		if id != "DATA" || n > 64<<10 {
			return nil, fmt.Errorf("%q of %d bytes within a file", id, n)
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, err
		}
		data = append(data, chunk...)
	}
}

// store writes a file; target is its path, a comma and its mode.
func (p phone) store(target string, data []byte) error {
	i := strings.LastIndexByte(target, ',')
	if i < 0 {
		return errors.New("no mode")
	}
	mode, err := strconv.Atoi(target[i+1:])
	if err != nil {
		return err
	}
	return p.faults.store(p.path(target[:i]), data, os.FileMode(mode&0o777))
}

func (p phone) receive(path string, say func(string, int, string) error, refuse func(error) error) error {
	f, err := os.Open(p.path(path))
	if err != nil {
		return refuse(err)
	}
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for {
		n, err := f.Read(chunk)
		if n > 0 {
			if err := say("DATA", n, string(chunk[:n])); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return say("DONE", 0, "")
		}
		if err != nil {
			return refuse(err)
		}
	}
}
