// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
)

// This file adds to encoding/json what encoding/json/v2 has by itself: it
// distinguishes upper from lower case, refuses duplicate names, and keeps
// unknown members (the "unknown" option of a field). encoding/json/v2 can
// replace it once it is no longer an experiment.

// splitObject splits a JSON object into its members. Unlike encoding/json it
// distinguishes names by case and refuses duplicate ones.
func splitObject(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return nil, torn(err, len(data))
	}
	if open != json.Delim('{') {
		return nil, errors.New("want a JSON object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, torn(err, len(data))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, torn(err, len(data))
		}
		if _, twice := members[name.(string)]; twice {
			return nil, fmt.Errorf("%q stands twice", name)
		}
		members[name.(string)] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, torn(err, len(data))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more text after the object, at byte %d", dec.InputOffset())
	}
	return members, nil
}

// torn replaces the error of a text that ends too early by one that says so.
func torn(err error, size int) error {
	switch {
	case size == 0:
		return errors.New("empty")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("truncated: the JSON object does not end within its %d bytes", size)
	}
	return err
}

// objectFields lists the fields of a struct that are members of its object:
// those with a JSON name, embedded ones included, in their order.
func objectFields(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		name := f.Tag.Get("json")
		return name == "" || name == "-"
	})
}

// decodeObject reads an object into the struct that into points to and
// returns the members that match none of its fields.
func decodeObject(data []byte, into any) (extra map[string]json.RawMessage, err error) {
	extra, err = splitObject(data)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(into).Elem()
	for _, f := range objectFields(v.Type()) {
		name := f.Tag.Get("json")
		raw, ok := extra[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, v.FieldByIndex(f.Index).Addr().Interface()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		delete(extra, name)
	}
	if len(extra) == 0 {
		return nil, nil
	}
	return extra, nil
}

// encodeObject writes the non-zero fields of struct v in their order, then the
// extra members by name, compactly.
func encodeObject(v any, extra map[string]json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	add := func(name string, value any) error {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		for _, x := range []any{name, value} {
			text, err := encode(x)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			b.Write(text)
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
		return nil
	}
	r := reflect.ValueOf(v)
	for _, f := range objectFields(r.Type()) {
		value := r.FieldByIndex(f.Index)
		if value.IsZero() || isEmpty(value) {
			continue
		}
		if err := add(f.Tag.Get("json"), value.Interface()); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if err := add(name, extra[name]); err != nil {
			return nil, err
		}
	}
	return slices.Concat([]byte{'{'}, b.Bytes(), []byte{'}'}), nil
}

// isEmpty reports whether v is an array or object without elements.
func isEmpty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// encode does what json.Marshal does, without escaping for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// UnmarshalJSON reads a device and keeps unknown fields.
func (d *Device) UnmarshalJSON(data []byte) (err error) {
	d.Extra, err = decodeObject(data, d)
	return err
}

// MarshalJSON writes a device, unknown fields included.
func (d Device) MarshalJSON() ([]byte, error) { return encodeObject(d, d.Extra) }

// UnmarshalJSON reads a runtime and keeps unknown fields.
func (r *Runtime) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = decodeObject(data, r)
	return err
}

// MarshalJSON writes a runtime, unknown fields included.
func (r Runtime) MarshalJSON() ([]byte, error) { return encodeObject(r, r.Extra) }

// UnmarshalJSON reads a protocol and keeps unknown fields.
func (p *Protocol) UnmarshalJSON(data []byte) (err error) {
	p.Extra, err = decodeObject(data, p)
	return err
}

// MarshalJSON writes a protocol, unknown fields included.
func (p Protocol) MarshalJSON() ([]byte, error) { return encodeObject(p, p.Extra) }

// UnmarshalJSON reads an entry, keeps unknown fields and refuses numbers that
// an entry of its status cannot have.
func (e *Entry) UnmarshalJSON(data []byte) (err error) {
	if e.Extra, err = decodeObject(data, e); err != nil {
		return err
	}
	return checkPresent(data, e.Status)
}

// MarshalJSON writes an entry, unknown fields included.
func (e Entry) MarshalJSON() ([]byte, error) { return encodeObject(e, e.Extra) }

// UnmarshalJSON reads a network, keeps unknown fields and refuses numbers that
// a network of its status cannot have.
func (n *Network) UnmarshalJSON(data []byte) (err error) {
	if n.Extra, err = decodeObject(data, n); err != nil {
		return err
	}
	return checkPresent(data, n.Status)
}

// MarshalJSON writes a network, unknown fields included.
func (n Network) MarshalJSON() ([]byte, error) { return encodeObject(n, n.Extra) }
