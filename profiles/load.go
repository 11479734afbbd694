// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// MaxBytes is the greatest size of a profile that is read.
const MaxBytes = 64 << 20

// Load reads a profile file. It returns an *InvalidError for a file that is not
// a profile, and the system's error for one that cannot be read.
func Load(path string) (*Profile, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	p, err := Decode(data)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		invalid.File = path
	}
	return p, err
}

// readBounded reads a file of at most MaxBytes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, &InvalidError{File: path, Err: fmt.Errorf("larger than %d MiB", MaxBytes>>20)}
	}
	return data, nil
}

// Decode reads the text of a profile file. It returns an *InvalidError for a
// text that is not a profile.
func Decode(data []byte) (*Profile, error) {
	members, err := splitObject(data)
	if err != nil {
		return nil, &InvalidError{Err: err}
	}
	if !utf8.Valid(data) {
		return nil, &InvalidError{Err: errors.New("not UTF-8")}
	}
	if format := string(members["format"]); format != `"`+Format+`"` {
		if format == "" {
			format = "missing"
		}
		return nil, &InvalidError{In: "format", Err: fmt.Errorf(
			"is %.40s: this program reads %q: use a newer edgenas, or measure again", format, Format)}
	}
	delete(members, "format")
	p := &Profile{}
	for _, f := range []struct {
		name string
		into any
	}{
		{"device", &p.Device}, {"runtime", &p.Runtime}, {"protocol", &p.Protocol},
		{"constant_s", &p.ConstantS}, {"warnings", &p.Warnings},
	} {
		if raw, ok := members[f.name]; ok {
			if err := json.Unmarshal(raw, f.into); err != nil {
				return nil, &InvalidError{In: f.name, Err: err}
			}
			delete(members, f.name)
		}
	}
	if p.Entries, err = decodeList[Entry](members, "entries", "entry"); err != nil {
		return nil, err
	}
	if p.Networks, err = decodeList[Network](members, "networks", "network"); err != nil {
		return nil, err
	}
	if len(members) > 0 {
		p.Extra = members
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}

// decodeList reads the array called list and removes it from members. Errors
// name the element by its own name, or by its place if it has none.
func decodeList[T any](members map[string]json.RawMessage, list, element string) ([]T, error) {
	raw, ok := members[list]
	if !ok {
		return nil, nil
	}
	delete(members, list)
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, &InvalidError{In: list, Err: err}
	}
	out := make([]T, len(parts))
	for i, part := range parts {
		if err := json.Unmarshal(part, &out[i]); err != nil {
			var named struct{ Key, Arch string }
			json.Unmarshal(part, &named) // for the message only
			if name := cmp.Or(named.Key, named.Arch); name != "" {
				return nil, &InvalidError{In: fmt.Sprintf("%s %.*q", element, maxKeyBytes, name), Err: err}
			}
			return nil, &InvalidError{In: fmt.Sprintf("%s %d", element, i+1), Err: err}
		}
	}
	return out, nil
}
