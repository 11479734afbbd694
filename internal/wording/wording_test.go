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

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"a\n\tb é 猫 🙂\u00a0µ":         "a\n\tb é 猫 🙂\u00a0µ",
		"\x1b[2J\r":                   `\u001b[2J\u000d`,
		"\u009b\x7f\u202e\U000e0041x": `\u009b\u007f\u202e\udb40\udc41x`,
		"\x9b1m":                      `\x9b1m`,
		"\ufffd":                      `\ufffd`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
