// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

const requirements = "peers/pytorch/requirements.txt"

// setup is what runs the jobs.
type setup struct {
	cpu             string
	cores           int
	edgenas, python string // programs
	build, torch    string // digests of edgenas and of the requirements
}

// version is the digest of what runs a mode.
func (u setup) version(mode string) string {
	if mode == edgenasMode {
		return u.build
	}
	return u.torch
}

// valid keeps the records of this setup.
func (u setup) valid(records []record) []record {
	return slices.DeleteFunc(records, func(r record) bool { return r.CPU != u.cpu || r.Version != u.version(r.Mode) })
}

// makeCache makes the folder, which git does not see.
func makeCache(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, ".gitignore"), []byte("*\n"))
}

// build builds edgenas of this tree.
func build(ctx context.Context, dir string) (program, digest string, err error) {
	program, err = filepath.Abs(filepath.Join(dir, "edgenas"))
	if err != nil {
		return "", "", err
	}
	// Without its revision: the same code gives the same digest.
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/edgenas")
	c.Stderr = os.Stderr
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := c.Run(); err != nil {
		return "", "", fmt.Errorf("build edgenas: %w", err)
	}
	digest, err = digestOf(program)
	return program, digest, err
}

// digestOf is the beginning of a file's SHA-256.
func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

// install makes the Python environment, unless it is there.
func install(ctx context.Context, dir, digest string) error {
	venv := filepath.Join(dir, "venv")
	stamp := filepath.Join(venv, "installed")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == digest {
		return nil
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "-r", requirements},
	} {
		c := exec.CommandContext(ctx, args[0], args[1:]...)
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("%v: %w", args, err)
		}
	}
	return atomicfile.Write(stamp, []byte(digest))
}

// readRecords reads the finished runs. A line that a crash left unfinished is
// left out.
func readRecords(path string) (records []record, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		var r record
		if json.Unmarshal(line, &r) == nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// appendRecord adds a line to the file, in a line of its own whatever was left there.
func appendRecord(path string, r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if last := make([]byte, 1); info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	return f.Sync()
}
