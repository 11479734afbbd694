// SPDX-License-Identifier: Apache-2.0

//go:build release

package agent

import "testing"

// TestEmbedded is part of make dist.
func TestEmbedded(t *testing.T) {
	for _, p := range []Platform{{"linux", "arm64"}, {"linux", "arm"}} {
		program, err := embedded(t.Context(), p)
		if err == nil {
			err = check(program, p)
		}
		if err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := embedded(t.Context(), Platform{"linux", "mips"}); err == nil {
		t.Error("an agent for mips is embedded")
	}
}
