// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/ops"
)

// Format names the version of the file that this package writes and reads.
const Format = "edgenas-architecture/1"

// maxFileBytes is the greatest size of a file that Read reads.
const maxFileBytes = 1 << 20

// Architecture is a network of a space.
type Architecture struct {
	Space  Space
	Choice Choice
}

// file holds the JSON of an architecture.
type file struct {
	Format   string              `json:"format"`
	Space    string              `json:"space"`
	Size     Size                `json:"size"`
	Notation string              `json:"notation"` // for people and other tools; must agree with choices
	Choices  map[string][]string `json:"choices"`  // α name → operation of each row
}

// MarshalJSON writes the canonical form: dead edges are none.
func (a Architecture) MarshalJSON() ([]byte, error) {
	c := a.Space.Canonical(a.Choice)
	f := file{Format: Format, Space: a.Space.Name(), Size: a.Space.Size(), Notation: a.Space.Notation(c),
		Choices: map[string][]string{}}
	for i, alpha := range a.Space.Alphas() {
		for _, col := range c[i] {
			f.Choices[alpha.Name] = append(f.Choices[alpha.Name], alpha.Ops[col])
		}
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON writes and refuses anything else.
func (a *Architecture) UnmarshalJSON(data []byte) error {
	var version struct { // looked at first: another version may have other fields
		Format string `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return fmt.Errorf("arch: architecture: %w", err)
	}
	if version.Format != Format {
		return fmt.Errorf("arch: architecture: format is %.50q: this program reads %q: use a newer edgenas",
			version.Format, Format)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return fmt.Errorf("arch: architecture: %w", err)
	}
	space, err := NewSpace(f.Space, f.Size)
	if err != nil {
		return err
	}
	alphas := space.Alphas()
	c := make(Choice, len(alphas))
	for i, alpha := range alphas {
		for row, name := range f.Choices[alpha.Name] {
			col := slices.Index(alpha.Ops, name)
			if col < 0 {
				return fmt.Errorf("arch: architecture: α %s, row %d: operation %.50q: want one of %q",
					alpha.Name, row, name, alpha.Ops)
			}
			c[i] = append(c[i], col)
		}
	}
	if len(f.Choices) != len(alphas) {
		return fmt.Errorf("arch: architecture: choices for %d α: want %d", len(f.Choices), len(alphas))
	}
	if err := checkChoice(alphas, c); err != nil {
		return err
	}
	if got := space.Notation(c); f.Notation != got {
		return fmt.Errorf("arch: architecture: notation %.200q does not agree with its choices, which are %s",
			f.Notation, got)
	}
	a.Space, a.Choice = space, c
	return nil
}

// Network returns the architecture's network in training form.
func (a Architecture) Network(batch int) (*ops.Graph, error) { return a.Space.Network(a.Choice, batch) }

// String returns the space's name and the literature's notation.
func (a Architecture) String() string { return a.Space.Name() + " " + a.Space.Notation(a.Choice) }

// WriteFile writes the architecture to path, whole or not at all. [ReadFile]
// reads it.
func (a Architecture) WriteFile(path string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err == nil {
		err = atomicfile.Write(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("arch: %w", err)
	}
	return nil
}

// ReadFile reads an architecture file. It returns an error for a choice that
// is not a network.
func ReadFile(path string) (Architecture, error) {
	f, err := os.Open(path)
	if err != nil {
		return Architecture{}, fmt.Errorf("arch: %w", err)
	}
	defer f.Close()
	return Read(f, path)
}

// Read reads an architecture from r, as ReadFile does; errors begin with name.
func Read(r io.Reader, name string) (Architecture, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return Architecture{}, fmt.Errorf("arch: %s: %w", name, err)
	}
	if len(data) > maxFileBytes {
		return Architecture{}, fmt.Errorf("arch: %s: larger than %d bytes: not an architecture file", name, maxFileBytes)
	}
	var a Architecture
	if err := json.Unmarshal(data, &a); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Architecture{}, fmt.Errorf("arch: %s: byte %d: %w", name, syntax.Offset, err)
		}
		return Architecture{}, fmt.Errorf("%s: %w", name, err)
	}
	if _, err := a.Network(1); err != nil {
		return Architecture{}, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}
