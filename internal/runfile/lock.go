// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"errors"
	"fmt"
	"os"
)

var errLocked = errors.New("locked")

// BusyError says that another process works on the run.
type BusyError struct{ Dir Dir }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s: another process works on this run: wait for its end, or stop it", e.Dir)
}

// Lock keeps other processes from working on the run, until unlock is called or
// this process ends, however it ends. It leaves nothing in the folder.
func (d Dir) Lock() (unlock func(), err error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, &BusyError{d}
	}
	return func() { f.Close() }, nil
}
