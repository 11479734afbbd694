// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnreachable says that a device could not be opened.
	ErrUnreachable = errors.New("device unreachable")
	// ErrLost says that a connection broke. What the device holds is still
	// there; open it again to go on.
	ErrLost = errors.New("device lost")
	// ErrClosed says that the device was closed before.
	ErrClosed = errors.New("device closed")
	// ErrCorrupt says that a file arrived otherwise than it was sent.
	ErrCorrupt = errors.New("corrupted in transfer")
	// ErrNoSpace says that the device has no room for a file.
	ErrNoSpace = errors.New("no space on the device")
	// ErrTooMuch says that output, or a file, is larger than it may be.
	ErrTooMuch = errors.New("more than allowed")
)

// Permanent reports whether trying again cannot help, because something must be
// put right by hand first: whether err, or an error that it wraps, has a method
// Permanent() bool that returns true.
func Permanent(err error) bool {
	var p interface {
		error
		Permanent() bool
	}
	return errors.As(err, &p) && p.Permanent()
}

// AddressError is an address that cannot be meant: a mistake on the command
// line.
type AddressError struct {
	Address string
	Reason  string // what is wrong, and what to write instead
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("devices: address %q: %s", e.Address, e.Reason)
}

// Permanent reports true: the address stays wrong.
func (e *AddressError) Permanent() bool { return true }

// ExitError is a program that ended with a status other than 0.
type ExitError struct {
	Name string
	// Code is the exit status; 128 and the signal's number for a program that
	// a signal killed; 126 or 127 for one that could not be started. As a
	// shell has it.
	Code int
	// Stderr is the end of what it wrote there, at most 1 KiB, without
	// control characters.
	Stderr string
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("devices: %s: exit status %d", e.Name, e.Code)
	switch {
	case e.Code == 128+9:
		s += " (killed: out of memory?)"
	case e.Code > 128 && e.Code < 128+65:
		s += fmt.Sprintf(" (signal %d)", e.Code-128)
	case e.Code == 126 || e.Code == 127:
		s += " (it could not be started)"
	}
	if e.Stderr != "" {
		s += ": " + strings.ReplaceAll(e.Stderr, "\n", "; ")
	}
	return s
}

// BusyError is a device that another host, or another process of this one, is
// using. It is [ErrUnreachable].
type BusyError struct {
	Address string
	Owner   string // who uses it, since when
	Lock    string // the file that says so
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("devices: %s: in use by %s; if that is no longer so, remove %s there", e.Address, e.Owner, e.Lock)
}

func (e *BusyError) Unwrap() error { return ErrUnreachable }

// Permanent reports true: the owner decides when the device is free.
func (e *BusyError) Permanent() bool { return true }

// printable is text of a device without control characters, for messages.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r < 0x7f || r >= 0xa0 && r != '\ufffd' && !isFormat(r) {
			return r
		}
		return -1
	}, s))
}

// isFormat finds what reorders or hides text on a terminal.
func isFormat(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff
}
