// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// ask asks the user for a secret, which is not shown.
func (a *app) ask(prompt string) (string, error) {
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return "", errors.New("there is no terminal to ask on")
	}
	fmt.Fprint(a.stderr, prompt)
	secret, err := term.ReadPassword(stdin)
	fmt.Fprintln(a.stderr)
	return string(secret), err
}
