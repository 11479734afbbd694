// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/kernels"
)

func TestWriteLoops(t *testing.T) {
	var text strings.Builder
	all := kernels.Variants()
	WriteLoops(&text, all)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 1+len(all[0].Loops) {
		t.Errorf("%d lines for %d loops:\n%s", len(lines), len(all[0].Loops), text.String())
	}
	for _, v := range all {
		if !strings.Contains(lines[0], v.Name) {
			t.Errorf("%q lacks %s", lines[0], v.Name)
		}
	}
	if strings.Count(lines[0], "(used)") != 1 {
		t.Errorf("%q: want one that is used", lines[0])
	}
}
