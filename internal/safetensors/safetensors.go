// SPDX-License-Identifier: Apache-2.0

// Package safetensors reads and writes weights in the safetensors format: the
// length of a header (8 bytes, little-endian), the header (JSON: each tensor's
// type, dimensions and place), then the values. Only float32 tensors (F32).
//
// Files come from anywhere, so the reader trusts no number in them: memory
// stays within a small multiple of the bytes that are really there.
//
// Source: the format's description at https://github.com/huggingface/safetensors.
package safetensors

import (
	"fmt"

	"github.com/edgenas/edgenas/ops"
)

const (
	// MaxFile is the size in bytes of the largest file that is read or written.
	MaxFile = 512 << 20
	// MaxHeader is the size in bytes of the largest header.
	MaxHeader = 16 << 20
	// MaxRank is the largest number of dimensions of a tensor.
	MaxRank = 8
)

// metadataKey is the header's only key that is no tensor.
const metadataKey = "__metadata__"

// entry describes a tensor in the header.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets []uint64 `json:"data_offsets"` // begin and end in bytes, from the end of the header
}

// elements returns the product of dims. It returns an error unless there are at
// most MaxRank dimensions, none negative, and the product is at most limit.
func elements(dims []int, limit int) (int, error) {
	if len(dims) > MaxRank {
		return 0, fmt.Errorf("%d dimensions: want at most %d", len(dims), MaxRank)
	}
	return ops.Elements(dims, limit)
}

// File is the content of a safetensors file.
type File struct {
	Weights  ops.Weights
	Metadata map[string]string // nil: none
}
