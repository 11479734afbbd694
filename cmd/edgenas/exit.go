// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/search"
)

// The exit codes are a contract with scripts.
const (
	exitDone        = 0
	exitUnexpected  = 1
	exitUsage       = 2
	exitDevice      = 3
	exitProfile     = 4
	exitInfeasible  = 5
	exitVerify      = 6
	exitData        = 7
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes: 0 done · 1 unexpected (a full disk, a read-only folder) · 2 usage ·
3 device unreachable or lost · 4 profile unreadable, incomplete or for another
device or runtime than asked for · 5 budget infeasible · 6 verification failed ·
7 bad data or model file · 130 interrupted`

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// profileError is a profile that cannot be used.
type profileError struct{ error }

func (e profileError) Unwrap() error { return e.error }

// deviceError is a device that cannot do what is asked of it.
type deviceError struct{ error }

func (e deviceError) Unwrap() error { return e.error }

// dataError is a data set or model file that cannot be used.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// verifyError says that a network broke its budget or tolerance when measured.
type verifyError struct{ error }

func (e verifyError) Unwrap() error { return e.error }

// infeasibleError says which budget could be kept.
type infeasibleError struct {
	*search.InfeasibleError
	text string
}

func (e infeasibleError) Error() string { return e.text }

func (e infeasibleError) Unwrap() error { return e.InfeasibleError }

// exitCode maps an error to the documented code.
func exitCode(err error) int {
	var (
		usage      usageError
		profile    profileError
		missing    *profiles.MissingError
		failed     *profiles.FailedError
		mismatch   *profiles.MismatchError
		invalid    *profiles.InvalidError
		infeasible *search.InfeasibleError
		verify     verifyError
		data       dataError
		device     deviceError
		address    *devices.AddressError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &address):
		return exitUsage
	case errors.As(err, &device), slices.ContainsFunc(deviceErrors, func(e error) bool { return errors.Is(err, e) }):
		return exitDevice
	case errors.As(err, &infeasible):
		return exitInfeasible
	case errors.As(err, &verify), errors.Is(err, export.ErrMismatch):
		return exitVerify
	case errors.As(err, &profile), errors.As(err, &missing), errors.As(err, &failed), errors.As(err, &mismatch), errors.As(err, &invalid):
		return exitProfile
	case errors.As(err, &data):
		return exitData
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitUnexpected
}

// deviceErrors are those of a device that was not reached, was lost, or does
// not give what it should.
var deviceErrors = []error{devices.ErrUnreachable, devices.ErrLost, devices.ErrCorrupt, devices.ErrNoSpace, devices.ErrTooMuch, wire.ErrUntrusted}

// oneLine is an error's text on one line.
func oneLine(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") { // errors.Join's
		var parts []string
		for _, err := range joined.Unwrap() {
			parts = append(parts, oneLine(err))
		}
		return strings.Join(parts, "; ")
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
