// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
)

// Exit statuses of edgenas and of its agent: a contract with scripts, and how
// the agent says why it failed.
const (
	ExitDone        = 0   // all is done
	ExitUnexpected  = 1   // a full disk, a read-only folder, a bug
	ExitUsage       = 2   // a mistake on the command line or in a request
	ExitDevice      = 3   // a device that was not reached, was lost, or cannot do it
	ExitProfile     = 4   // a profile that is unreadable, incomplete or of another device
	ExitInfeasible  = 5   // no network keeps the budget
	ExitVerify      = 6   // a network broke its budget or tolerance when measured
	ExitData        = 7   // a data set or model that cannot be used
	ExitInterrupted = 130 // what was done is kept; as a shell has it for SIGINT
)

// A Failure is an error and the exit status that it ends the program with.
type Failure struct {
	Err    error
	Status int
}

// Fail returns err as a [Failure] with an exit status.
func Fail(status int, err error) error { return &Failure{err, status} }

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// ExitStatus returns the exit status for an error: that of the outermost
// [Failure] in it, [ExitInterrupted] if it is a cancelled context's, and
// [ExitUnexpected] for any other.
func ExitStatus(err error) int {
	var f *Failure
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &f):
		return f.Status
	}
	return ExitUnexpected
}
