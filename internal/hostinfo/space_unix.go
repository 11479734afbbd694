// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package hostinfo

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// FreeBytes is the space that a folder's file system has left for this user.
// Systems that cannot tell return ErrNoData.
func FreeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("hostinfo: free space in %s: %w", dir, err)
	}
	return int64(min(float64(st.Bavail)*float64(st.Bsize), math.MaxInt64/2)), nil
}
