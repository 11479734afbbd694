// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of an encoded message.
type field struct {
	num  protowire.Number
	wire protowire.Type
	bits uint64 // VarintType, Fixed32Type, Fixed64Type
	body []byte // BytesType: a part of the file
}

// eachField calls f for the fields of a message, in the file's order.
func eachField(message []byte, f func(field) error) error {
	for len(message) > 0 {
		num, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		x := field{num: num, wire: wire}
		switch wire {
		case protowire.VarintType:
			x.bits, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(message)
			x.bits = uint64(bits)
		case protowire.Fixed64Type:
			x.bits, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			x.body, n = protowire.ConsumeBytes(message)
		default:
			return fmt.Errorf("field %d has wire type %d, which ONNX does not use", num, wire)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		message = message[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

func (f field) want(wire protowire.Type) error {
	if f.wire != wire {
		return fmt.Errorf("field %d has wire type %d: want %d", f.num, f.wire, wire)
	}
	return nil
}

// message calls decode with the message that the field holds.
func (f field) message(decode func(field) error) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	return eachField(f.body, decode)
}

func (f field) int64(dst *int64) error {
	*dst = int64(f.bits)
	return f.want(protowire.VarintType)
}

// small reads a number of at most 31 bits.
func (f field) small(dst *int) error {
	if f.bits > math.MaxInt32 {
		return fmt.Errorf("field %d is %d: want 0 to %d", f.num, int64(f.bits), math.MaxInt32)
	}
	*dst = int(f.bits)
	return f.want(protowire.VarintType)
}

func (f field) float(dst *float32) error {
	*dst = math.Float32frombits(uint32(f.bits))
	return f.want(protowire.Fixed32Type)
}

func (f field) text(dst *string, limit int) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	if len(f.body) > limit {
		return fmt.Errorf("field %d is a text of %d bytes: want at most %d", f.num, len(f.body), limit)
	}
	if !utf8.Valid(f.body) {
		return fmt.Errorf("field %d is no UTF-8 text", f.num)
	}
	*dst = string(f.body)
	return nil
}

// int64s appends one integer, or as many as are packed, up to MaxList in all.
func (f field) int64s(dst *[]int64) error {
	if f.wire == protowire.VarintType {
		return f.appendInt(dst, f.bits)
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	for b := f.body; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("field %d: %w", f.num, protowire.ParseError(n))
		}
		if err := f.appendInt(dst, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (f field) appendInt(dst *[]int64, v uint64) error {
	if len(*dst) == MaxList {
		return fmt.Errorf("field %d has more than %d integers", f.num, MaxList)
	}
	*dst = append(*dst, int64(v))
	return nil
}

// floats appends one number, or as many as are packed.
func (f field) floats(dst *[]float32) error {
	if f.wire == protowire.Fixed32Type {
		*dst = append(*dst, math.Float32frombits(uint32(f.bits)))
		return nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	if len(f.body)%4 != 0 {
		return fmt.Errorf("field %d has %d bytes of float32", f.num, len(f.body))
	}
	for b := f.body; len(b) > 0; b = b[4:] {
		bits, _ := protowire.ConsumeFixed32(b)
		*dst = append(*dst, math.Float32frombits(bits))
	}
	return nil
}

// grow appends a zero element to a list of at most limit and returns it.
func grow[T any](list *[]T, limit int) (*T, error) {
	if len(*list) >= limit {
		return nil, fmt.Errorf("more than %d in a list", limit)
	}
	var zero T
	*list = append(*list, zero)
	return &(*list)[len(*list)-1], nil
}

var errTwice = errors.New("stands twice")
