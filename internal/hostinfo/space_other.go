// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin

package hostinfo

import "fmt"

// FreeBytes is the space that a folder's file system has left for this user.
// Systems that cannot tell return ErrNoData.
func FreeBytes(dir string) (int64, error) {
	return 0, fmt.Errorf("hostinfo: free space in %s: %w", dir, ErrNoData)
}
