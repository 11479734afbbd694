// SPDX-License-Identifier: Apache-2.0

// Package jsonlines keeps the results of long work in a file, a line of JSON each,
// so that work which was interrupted goes on with those that there are.
package jsonlines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxLineBytes is the greatest length of a line.
const maxLineBytes = 1 << 16

// Read gives take each line of a file; where there is none, or no path, there are
// no lines. A last line that was not written to its end is passed over. Errors
// name the file and the line.
func Read(path string, take func(line []byte) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = read(f, take)
	return err
}

// read returns how many bytes the whole lines have.
func read(f *os.File, take func(line []byte) error) (whole int64, err error) {
	lines := bufio.NewReaderSize(f, maxLineBytes)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err == nil {
			err = take(line)
		}
		if err != nil {
			return whole, fmt.Errorf("%s: line %d: %w", f.Name(), n, err)
		}
		whole += int64(len(line))
	}
}

// Decode reads a line that has one value and no field that v lacks.
func Decode(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// File is a file to which lines are added.
type File struct{ file *os.File }

// Open reads a file as [Read] does, or makes it. It cuts off a last line that was
// not written to its end.
func Open(path string, take func(line []byte) error) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	whole, err := read(f, take)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{f}, nil
}

// Add writes a line, so that it outlives a crash.
func (f *File) Add(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := f.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return f.file.Sync()
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
