// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// ReadFile reads the file at path; see [Read].
func ReadFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("safetensors: %w", err)
	}
	defer f.Close()
	file, err := read(f)
	if err != nil {
		return File{}, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return file, nil
}

// Read reads r to its end. It returns an error if the file or its header is
// too large, the header is no such JSON or names a tensor twice, a tensor is
// not float32, or the tensors do not fill the data without gap or overlap.
func Read(r io.Reader) (File, error) {
	file, err := read(r)
	if err != nil {
		return File{}, fmt.Errorf("safetensors: %w", err)
	}
	return file, nil
}

func read(r io.Reader) (File, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return File{}, err
	}
	if len(data) < 8 || len(data) > MaxFile {
		return File{}, fmt.Errorf("file of %d bytes: want 8 to %d", len(data), MaxFile)
	}
	size, data := binary.LittleEndian.Uint64(data), data[8:]
	if size > MaxHeader || size > uint64(len(data)) {
		return File{}, fmt.Errorf("header of %d bytes, %d follow: want at most %d", size, len(data), MaxHeader)
	}
	entries, metadata, err := readHeader(data[:size])
	if err != nil {
		return File{}, fmt.Errorf("header: %w", err)
	}
	weights, err := readTensors(entries, data[size:])
	return File{weights, metadata}, err
}

// ReadMetadata reads the metadata of the file at path from its header, without
// the tensors and without checking them.
func ReadMetadata(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	defer f.Close()
	metadata, err := readMetadata(f)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return metadata, nil
}

func readMetadata(r io.Reader) (map[string]string, error) {
	var size uint64
	if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
		return nil, err
	}
	if size > MaxHeader {
		return nil, fmt.Errorf("header of %d bytes: want at most %d", size, MaxHeader)
	}
	header, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err != nil {
		return nil, err
	}
	if uint64(len(header)) < size {
		return nil, fmt.Errorf("header of %d bytes, %d follow", size, len(header))
	}
	_, metadata, err := readHeader(header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return metadata, nil
}

// named is an entry with its name.
type named struct {
	name string
	entry
}

// readHeader decodes the header key by key, to see keys that stand twice.
func readHeader(header []byte) (entries []named, metadata map[string]string, err error) {
	if !bytes.HasPrefix(header, []byte("{")) {
		return nil, nil, errors.New("want a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(header))
	d.DisallowUnknownFields()
	seen := map[string]bool{}
	d.Token() // the brace
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		name, _ := token.(string) // a key: the decoder takes nothing else here
		if seen[name] {
			return nil, nil, fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			err = d.Decode(&metadata)
		} else {
			e := named{name: name}
			err = d.Decode(&e.entry)
			entries = append(entries, e)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	if rest := bytes.TrimRight(header[d.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, fmt.Errorf("%d bytes after the JSON object", len(rest))
	}
	return entries, metadata, nil
}

// readTensors takes the tensors out of data, which they must fill in the
// order of their offsets.
func readTensors(entries []named, data []byte) (ops.Weights, error) {
	slices.SortStableFunc(entries, func(a, b named) int {
		return slices.Compare(a.Offsets, b.Offsets)
	})
	weights, at := ops.Weights{}, uint64(0)
	for _, e := range entries {
		if e.DType != "F32" {
			return nil, fmt.Errorf("tensor %q: type %q: only F32 is supported", e.name, e.DType)
		}
		if e.Shape == nil {
			return nil, fmt.Errorf("tensor %q: no shape", e.name)
		}
		n, err := elements(e.Shape, len(data)/4)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.name, err)
		}
		if want := []uint64{at, at + 4*uint64(n)}; !slices.Equal(e.Offsets, want) || want[1] > uint64(len(data)) {
			return nil, fmt.Errorf("tensor %q: data_offsets %v: want %v, within %d bytes", e.name, e.Offsets, want, len(data))
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[at:]))
			at += 4
		}
		weights[e.name] = ops.Tensor{Dims: e.Shape, Data: values}
	}
	if at != uint64(len(data)) {
		return nil, fmt.Errorf("%d bytes of data belong to no tensor", uint64(len(data))-at)
	}
	return weights, nil
}
