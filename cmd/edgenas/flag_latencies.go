// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// latenciesFlag is a flag that is a list of durations with their units.
type latenciesFlag []latencyFlag

func (l *latenciesFlag) Set(text string) error {
	*l = nil
	for part := range strings.SplitSeq(text, ",") {
		var one latencyFlag
		if err := one.Set(part); err != nil {
			return err
		}
		if slices.Contains(*l, one) {
			return fmt.Errorf("%q is there twice", part)
		}
		*l = append(*l, one)
	}
	return nil
}

func (l *latenciesFlag) Type() string { return "times" }

func (l *latenciesFlag) String() string {
	var parts []string
	for _, one := range *l {
		parts = append(parts, one.String())
	}
	return strings.Join(parts, ",")
}

// seconds are the durations.
func (l *latenciesFlag) seconds() []float64 {
	var all []float64
	for _, one := range *l {
		all = append(all, one.Seconds())
	}
	return all
}
