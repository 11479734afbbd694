// SPDX-License-Identifier: Apache-2.0

// Package wording writes errors and words of a shell as they stand in what
// edgenas tells people.
package wording

import (
	"context"
	"errors"
	"strings"
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
