// SPDX-License-Identifier: Apache-2.0

package version

import "testing"

func TestString(t *testing.T) {
	if String() == "" {
		t.Error("a build has no version")
	}
	release = "v1.2.3"
	defer func() { release = "" }()
	if got := String(); got != "v1.2.3" {
		t.Errorf("%s: want that of the release", got)
	}
}
