// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/search"
)

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{New(Data, nil), 0},
		{errors.New("disk full"), 1},
		{Usagef("--n %d", 1), 2},
		{&devices.AddressError{}, 2},
		{&runfile.TakenError{}, 2},
		{devices.ErrLost, 3},
		{wire.ErrUntrusted, 3},
		{&profiles.MissingError{}, 4},
		{&profiles.MismatchError{}, 4},
		{&search.InfeasibleError{}, 5},
		{export.ErrMismatch, 6},
		{&runfile.BrokenError{Err: errors.New("cut")}, 7},
		{context.Canceled, 130},
		{New(Data, context.Canceled), 130},
		{New(Verify, Usagef("inner")), 6}, // the outer code holds
	} {
		for _, err := range []error{c.err, wrapped(c.err), errors.Join(nil, c.err)} {
			if got := Code(err); got != c.want {
				t.Errorf("%#v: exit %d, want %d", err, got, c.want)
			}
		}
	}
	if err := New(Data, context.Canceled); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
		t.Errorf("%v does not say what it wraps", err)
	}
}

func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("file: %w", err)
}
