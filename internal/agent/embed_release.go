// SPDX-License-Identifier: Apache-2.0

//go:build release

package agent

import (
	"compress/gzip"
	"context"
	"embed"
	"io"
)

// programs are the agents, compressed: make dist puts them there.
//
//go:embed embedded/*.gz
var programs embed.FS

// embedded takes it out of this program.
func embedded(_ context.Context, p Platform) ([]byte, error) {
	f, err := programs.Open("embedded/" + p.file() + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, MaxBytes+1))
}
