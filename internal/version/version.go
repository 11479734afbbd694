// SPDX-License-Identifier: Apache-2.0

// Package version says which edgenas this is.
package version

import "runtime/debug"

// release is set by a release build:
//
//	-ldflags "-X github.com/edgenas/edgenas/internal/version.release=v1.2.3"
var release = ""

// String is the release, else the version of the module that the Go tool
// recorded, else "(devel)".
func String() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
