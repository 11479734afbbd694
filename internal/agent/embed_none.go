// SPDX-License-Identifier: Apache-2.0

//go:build !release

package agent

import (
	"context"
	"io/fs"
)

// embedded is for release builds: without the tag there is none.
func embedded(context.Context, Platform) ([]byte, error) { return nil, fs.ErrNotExist }
