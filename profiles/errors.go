// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"fmt"
	"strings"
)

// InvalidError says what is wrong with a profile file.
type InvalidError struct {
	File string // its path; empty if it did not come from a file
	In   string // the part that is wrong: entry "conv/…"; empty: the file as a whole
	Err  error
}

func (e *InvalidError) Error() string {
	s := "profiles: "
	for _, part := range []string{e.File, e.In} {
		if part != "" {
			s += part + ": "
		}
	}
	return s + e.Err.Error()
}

func (e *InvalidError) Unwrap() error { return e.Err }

// MissingError says that a profile has no entry for some keys.
type MissingError struct {
	Keys   []string
	Device string // name of the device that the profile is of
}

func (e *MissingError) Error() string {
	s := fmt.Sprintf("profiles: %s: not measured: %s", e.Device, e.Keys[0])
	if n := len(e.Keys) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// FailedError says that the measurement of an operation failed.
type FailedError struct{ Key, Reason string }

func (e *FailedError) Error() string {
	return fmt.Sprintf("profiles: %s: its measurement failed: %s", e.Key, e.Reason)
}

// MismatchError says that a profile is for another device or runtime.
type MismatchError struct{ Fields []FieldDiff }

// FieldDiff is a field in which a profile differs from what is asked for.
type FieldDiff struct {
	Field      string // its name in the file: device.model
	Have, Want string // in the profile, asked for
}

func (e *MismatchError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.String()
	}
	return "profiles: for another device or runtime: " + strings.Join(parts, "; ")
}

// String returns, for example, device.model is "A", want "B".
func (f FieldDiff) String() string { return fmt.Sprintf("%s is %q, want %q", f.Field, f.Have, f.Want) }
