// SPDX-License-Identifier: Apache-2.0

package wording

import (
	"context"
	"errors"
	"testing"
)

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{"out/pi5": "out/pi5", "": "''", "my run": "'my run'", "it's": `'it'\''s'`} {
		if got := Quote(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("disk full"), "disk full"},
		{errors.Join(errors.New("a"), errors.New("b\nc")), "a; b; c"},
		{context.Canceled, "interrupted"},
	} {
		if got := OneLine(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
