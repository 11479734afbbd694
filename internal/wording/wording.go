// SPDX-License-Identifier: Apache-2.0

// Package wording writes errors, words of a shell and text of unknown origin as
// they stand in what edgenas tells people.
package wording

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Quote makes a word safe to paste into a shell.
func Quote(word string) string {
	if word == "" || strings.ContainsAny(word, " \t\n'\"\\|&;<>()$`*?[#~!{}") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// OneLine is an error's text on one line.
func OneLine(err error) string {
	joined, ok := err.(interface{ Unwrap() []error })
	if ok && strings.Contains(err.Error(), "\n") { // errors.Join's
		var parts []string
		for _, err := range joined.Unwrap() {
			parts = append(parts, OneLine(err))
		}
		return strings.Join(parts, "; ")
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// Printable returns the text with everything escaped that a terminal may obey
// or does not show: control characters other than newline and tab, characters
// that change the direction of writing, bytes that are no UTF-8. The escapes of
// characters are those of JSON.
func Printable(text string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case hidden(r):
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String()
}

// hidden says whether a terminal may obey the character or not show it.
func hidden(r rune) bool {
	return r == utf8.RuneError || !unicode.IsGraphic(r) && r != '\n' && r != '\t'
}
