// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// latency is a flag that is a duration with its unit, such as 20ms.
type latencyFlag struct{ time.Duration }

func (l *latencyFlag) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n != 0 && !math.IsNaN(n) && !math.IsInf(n, 0) {
		return fmt.Errorf("%q has no unit: did you mean %sms?", text, text)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q: want a positive time with its unit, such as 20ms or 800us", text)
	}
	l.Duration = d
	return nil
}

func (l *latencyFlag) Type() string { return "time" }

func (l *latencyFlag) String() string {
	if l.Duration == 0 {
		return ""
	}
	return l.Duration.String()
}
