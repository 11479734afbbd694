// SPDX-License-Identifier: Apache-2.0

// Package fault gives each error of edgenas its exit code, which is a contract
// with scripts.
package fault

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/search"
)

// The exit codes: those of the protocol, which says what each means.
const (
	Done        = wire.ExitDone
	Unexpected  = wire.ExitUnexpected
	Usage       = wire.ExitUsage
	Device      = wire.ExitDevice
	Profile     = wire.ExitProfile
	Infeasible  = wire.ExitInfeasible
	Verify      = wire.ExitVerify
	Data        = wire.ExitData
	Interrupted = wire.ExitInterrupted
)

// Error is an error with its exit code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// New is err with an exit code. Nil stays nil.
func New(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Errorf is fmt.Errorf with an exit code.
func Errorf(code int, format string, args ...any) error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// Usagef is a mistake on the command line.
func Usagef(format string, args ...any) error { return Errorf(Usage, format, args...) }

// Code is the exit code of an error: the outermost *Error's, or else that of
// what the packages below return.
func Code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return Done
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &e):
		return e.Code
	}
	for _, known := range knownErrors {
		if known.is(err) {
			return known.code
		}
	}
	return Unexpected
}

// knownErrors are the typed errors of the packages below.
var knownErrors = []struct {
	code int
	is   func(error) bool
}{
	{Usage, typed[*devices.AddressError]},
	{Usage, typed[*runfile.TakenError]},
	{Usage, typed[*runfile.BusyError]},
	{Device, oneOf(devices.ErrUnreachable, devices.ErrLost, devices.ErrCorrupt, devices.ErrNoSpace, devices.ErrTooMuch,
		wire.ErrUntrusted)},
	{Infeasible, typed[*search.InfeasibleError]},
	{Verify, oneOf(export.ErrMismatch)},
	{Profile, typed[*profiles.MissingError]},
	{Profile, typed[*profiles.FailedError]},
	{Profile, typed[*profiles.MismatchError]},
	{Profile, typed[*profiles.InvalidError]},
	{Data, typed[*runfile.BrokenError]},
}

func typed[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func oneOf(all ...error) func(error) bool {
	return func(err error) bool {
		for _, e := range all {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
}
