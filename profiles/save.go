// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

// Encode returns the text of the profile's file: the same bytes for the same
// content. It returns an *InvalidError if a value violates FORMAT.md.
func (p *Profile) Encode() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"format\": %q", Format)
	member := func(name string, value any) error {
		text, err := encode(value)
		if err != nil {
			return &InvalidError{In: name, Err: err}
		}
		quoted, err := encode(name)
		fmt.Fprintf(&b, ",\n  %s: %s", quoted, text)
		return err
	}
	for _, m := range []struct {
		name  string
		value any
		leave bool
	}{
		{"device", p.Device, false}, {"runtime", p.Runtime, false}, {"protocol", p.Protocol, false},
		{"constant_s", p.ConstantS, p.ConstantS == nil}, {"warnings", p.Warnings, len(p.Warnings) == 0},
	} {
		if m.leave {
			continue
		}
		if err := member(m.name, m.value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Extra)) {
		if err := member(name, p.Extra[name]); err != nil {
			return nil, err
		}
	}
	entries := slices.SortedFunc(slices.Values(p.Entries), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	if err := writeList(&b, "entries", entries); err != nil {
		return nil, err
	}
	networks := slices.SortedFunc(slices.Values(p.Networks), func(a, b Network) int { return cmp.Compare(a.Arch, b.Arch) })
	if len(networks) > 0 {
		if err := writeList(&b, "networks", networks); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// writeList writes an array, one element a line.
func writeList[T any](b *bytes.Buffer, name string, list []T) error {
	fmt.Fprintf(b, ",\n  %q: [", name)
	for i, x := range list {
		text, err := encode(x)
		if err != nil {
			return &InvalidError{In: fmt.Sprintf("%s %d", name, i+1), Err: err}
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(text)
	}
	b.WriteString("\n  ]")
	return nil
}

// MarshalJSON returns the profile as its file has it.
func (p *Profile) MarshalJSON() ([]byte, error) { return p.Encode() }

// UnmarshalJSON reads what [Decode] reads.
func (p *Profile) UnmarshalJSON(data []byte) error {
	q, err := Decode(data)
	if err == nil {
		*p = *q
	}
	return err
}

var _ json.Marshaler = (*Profile)(nil)

// Digest returns "sha256:" and the SHA-256 of the file that Save writes.
func (p *Profile) Digest() (string, error) {
	data, err := p.Encode()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data)), nil
}

// Save writes the profile file. A crash leaves either the old file or the new one.
func (p *Profile) Save(path string) error {
	data, err := p.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	return nil
}
