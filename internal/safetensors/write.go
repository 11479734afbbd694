// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

// WriteFile writes file to path, all or nothing (see package atomicfile). See
// [File.Marshal] for the bytes.
func WriteFile(path string, file File) error {
	data, err := file.Marshal()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// Marshal gives the bytes of the file: tensors in the order of their names, so
// that equal files have equal bytes. It returns an error for a tensor whose
// dimensions do not match its data and for what [Read] would refuse.
func (f File) Marshal() ([]byte, error) {
	header, end := map[string]any{}, 0
	if len(f.Metadata) > 0 {
		header[metadataKey] = f.Metadata
	}
	names := slices.Sorted(maps.Keys(f.Weights))
	for _, name := range names {
		t := f.Weights[name]
		n, err := elements(t.Dims, MaxFile/4)
		switch {
		case err != nil:
			return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
		case n != len(t.Data):
			return nil, fmt.Errorf("safetensors: tensor %q: dimensions %v with %d elements", name, t.Dims, len(t.Data))
		case name == metadataKey || !utf8.ValidString(name):
			return nil, fmt.Errorf("safetensors: tensor %q: reserved name or not UTF-8", name)
		}
		begin := end
		end += 4 * n
		if end > MaxFile {
			return nil, fmt.Errorf("safetensors: tensors of more than %d bytes", MaxFile)
		}
		header[name] = entry{"F32", append([]int{}, t.Dims...), []uint64{uint64(begin), uint64(end)}}
	}
	text, err := json.Marshal(header) // keys sorted
	if err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	text = append(text, bytes.Repeat([]byte(" "), -len(text)&7)...) // values are aligned to 8 bytes
	if len(text) > MaxHeader || 8+len(text)+end > MaxFile {
		return nil, fmt.Errorf("safetensors: header of %d bytes and data of %d: want at most %d and %d together",
			len(text), end, MaxHeader, MaxFile)
	}
	data := make([]byte, 0, 8+len(text)+end)
	data = binary.LittleEndian.AppendUint64(data, uint64(len(text)))
	data = append(data, text...)
	for _, name := range names {
		for _, v := range f.Weights[name].Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return data, nil
}
