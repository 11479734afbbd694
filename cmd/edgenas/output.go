// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/edgenas/edgenas/internal/wording"
)

// printer writes text of which a terminal obeys nothing: names and texts come
// from files of anybody.
type printer struct {
	w       io.Writer
	written bool // something was
}

// Write writes the text with its control characters escaped as in JSON, which
// stays JSON thereby.
func (p *printer) Write(text []byte) (int, error) {
	p.written = p.written || len(text) > 0
	if _, err := io.WriteString(p.w, wording.Printable(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// note prints a line for people, unless --quiet.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// result prints v as one JSON object with --json, and otherwise what text
// writes.
func (a *app) result(v any, text func(w io.Writer)) error {
	var out bytes.Buffer
	if a.json {
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return err
		}
	} else {
		text(&out)
	}
	_, err := a.stdout.Write(out.Bytes())
	return err
}

// failed is what a command that failed says with --json.
type failed struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}
