// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
)

// auto is the text of a size that follows from something else.
const auto = "auto"

// sizeFlag is a flag that is a number of channels or cells, or auto: 0.
type sizeFlag int

func (s *sizeFlag) Set(text string) error {
	if text == auto {
		*s = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%q: want %s or a number from 1", text, auto)
	}
	*s = sizeFlag(n)
	return nil
}

func (s *sizeFlag) Type() string { return "number" }

func (s *sizeFlag) String() string {
	if *s == 0 {
		return auto
	}
	return strconv.Itoa(int(*s))
}
