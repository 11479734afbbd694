// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var idxKind = Kind{
	Name:     "idx",
	Argument: "DIR",
	Summary:  "IDX files of the MNIST family: train-images-idx3-ubyte and so on, also .gz",
	open:     openIDX,
}

// fashionLabels holds the SHA-256 of the 60,000 training labels of Fashion-MNIST.
// The files of the whole family have the same names; this tells clothes, which
// may be mirrored and have names, from digits and letters.
const fashionLabels = "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"

func openIDX(dir string, _ Options) (*Set, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, &DataError{dir, cause(err)}
	}
	s := &Set{C: 1, Augment: Augment{Pad: 4}}
	top := 0
	for _, part := range []struct {
		prefix string
		*Part
	}{{"train", &s.Train}, {"t10k", &s.Test}} {
		path, dims, pixels, err := readIDX(dir, part.prefix+"-images-idx3-ubyte", 3)
		if err != nil {
			return nil, err
		}
		if s.H == 0 {
			s.H, s.W = dims[1], dims[2]
		} else if s.H != dims[1] || s.W != dims[2] {
			return nil, dataErrorf(path, "images are %d×%d, those of the training part %d×%d", dims[2], dims[1], s.W, s.H)
		}
		path, _, labels, err := readIDX(dir, part.prefix+"-labels-idx1-ubyte", 1)
		if err != nil {
			return nil, err
		}
		if len(labels) != dims[0] {
			return nil, dataErrorf(path, "%d labels for %d images", len(labels), dims[0])
		}
		part.Pixels, part.Labels = pixels, make([]int32, len(labels))
		for i, v := range labels {
			if part.Part == &s.Test && int(v) > top {
				return nil, dataErrorf(path, "label %d of image %d is out of range: training labels go up to %d", v, i, top)
			}
			top = max(top, int(v))
			part.Labels[i] = int32(v)
		}
		if sum := sha256.Sum256(labels); hex.EncodeToString(sum[:]) == fashionLabels {
			s.Classes, s.Augment = append([]string(nil), fashionClasses...), fashionAugment
		}
	}
	for label := len(s.Classes); label <= top; label++ {
		s.Classes = append(s.Classes, strconv.Itoa(label))
	}
	return s, nil
}

// readIDX reads the file named stem, or stem with a dot in place of its second
// dash, with or without .gz. A compressed file is known by its content.
func readIDX(dir, stem string, rank int) (path string, dims []int, data []byte, err error) {
	dotted := strings.Replace(stem, "-idx", ".idx", 1)
	for _, name := range []string{stem, stem + ".gz", dotted, dotted + ".gz"} {
		path = filepath.Join(dir, name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, nil, &DataError{path, cause(err)}
		}
		defer f.Close()
		var r io.Reader = bufio.NewReaderSize(f, 1<<16)
		if head, _ := r.(*bufio.Reader).Peek(2); string(head) == "\x1f\x8b" {
			if r, err = gzip.NewReader(r); err != nil {
				return "", nil, nil, &DataError{path, err}
			}
		}
		if dims, data, err = parseIDX(r, rank); err != nil {
			return "", nil, nil, &DataError{path, err}
		}
		return path, dims, data, nil
	}
	return "", nil, nil, dataErrorf(filepath.Join(dir, stem), "no such file, nor with .idx or .gz")
}

// parseIDX reads an IDX file of unsigned bytes with rank dimensions. It holds at
// most twice the bytes that are there, whatever the header says.
func parseIDX(r io.Reader, rank int) (dims []int, data []byte, err error) {
	header := make([]byte, 4+4*rank)
	if n, err := io.ReadFull(r, header); err != nil {
		return nil, nil, truncated(err, n, len(header), "header")
	}
	const unsignedBytes = 0x08
	if magic, want := binary.BigEndian.Uint32(header), uint32(unsignedBytes<<8|rank); magic != want {
		return nil, nil, fmt.Errorf("magic number %#08x, want %#08x (unsigned bytes, %d dimensions)", magic, want, rank)
	}
	size := uint64(1)
	var shape []string
	for i := range rank {
		d := binary.BigEndian.Uint32(header[4+4*i:])
		if d == 0 || i > 0 && d > maxSide {
			return nil, nil, fmt.Errorf("dimension %d is %d, want 1…%d", i, d, maxSide)
		}
		if size *= uint64(d); size > maxPartBytes {
			return nil, nil, fmt.Errorf("more than %d bytes of pixels", maxPartBytes)
		}
		dims = append(dims, int(d))
		shape = append(shape, strconv.Itoa(int(d)))
	}
	want := int(size)
	for len(data) < want {
		have := len(data)
		data = slices.Grow(data, min(want-have, max(have, 1<<20)))
		data = data[:min(cap(data), want)]
		if n, err := io.ReadFull(r, data[have:]); err != nil {
			return nil, nil, truncated(err, len(header)+have+n, len(header)+want,
				fmt.Sprintf("%d of header and %s", len(header), strings.Join(shape, "×")))
		}
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, nil, fmt.Errorf("more than the %d bytes that the header announces", len(header)+want)
	case err != io.EOF:
		return nil, nil, err // the checksum of a compressed file
	}
	return dims, data, nil
}

// truncated turns an early end of a file into what is there and what should be.
func truncated(err error, have, want int, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated: %d bytes, should be %d (%s)", have, want, what)
	}
	return err
}

// cause strips the path that DataError already has from a file system's error.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
