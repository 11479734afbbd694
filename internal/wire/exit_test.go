// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestExitStatus(t *testing.T) {
	usage := Fail(ExitUsage, fs.ErrNotExist)
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, ExitDone},
		{"another", fs.ErrNotExist, ExitUnexpected},
		{"usage", usage, ExitUsage},
		{"wrapped", fmt.Errorf("here: %w", usage), ExitUsage},
		{"two", Fail(ExitData, usage), ExitData},
		{"joined", errors.Join(fs.ErrClosed, usage), ExitUsage},
		{"interrupted", fmt.Errorf("here: %w", Fail(ExitData, context.Canceled)), ExitInterrupted},
	} {
		if got := ExitStatus(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if !errors.Is(usage, fs.ErrNotExist) || usage.Error() != fs.ErrNotExist.Error() {
		t.Errorf("%v is not the error that it has", usage)
	}
}
