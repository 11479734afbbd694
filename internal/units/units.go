// SPDX-License-Identifier: Apache-2.0

// Package units writes quantities for people: a number with the digits that
// matter, a space and the unit in which it reads best.
package units

import (
	"fmt"
	"math"
	"strconv"
)

type unit struct {
	name string
	size float64 // in seconds or bytes
}

var (
	times = []unit{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}, {"ns", 1e-9}}
	sizes = []unit{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
)

// Seconds writes s seconds with three significant digits: "1.83 ms", "387 µs",
// "0 s". It panics if s is NaN or infinite.
func Seconds(s float64) string {
	if s == 0 {
		return "0 s"
	}
	s = round(s, 3)
	u := best(times, s)
	return Significant(s/u.size) + " " + u.name
}

// Bytes writes n bytes with one decimal below ten of a unit and with none from
// there on: "1.9 GB", "24 MB", "512 B".
func Bytes(n int64) string {
	u := best(sizes, round(float64(n), 3))
	v := float64(n) / u.size
	if u.size > 1 && math.Abs(v) < 9.95 {
		return fmt.Sprintf("%.1f %s", v, u.name)
	}
	return fmt.Sprintf("%.0f %s", v, u.name)
}

// Significant writes v with three significant digits, and with all digits
// before the decimal point: "0.0500", "1.83", "12345". It panics if v is NaN or
// infinite.
func Significant(v float64) string {
	if v == 0 {
		return "0"
	}
	exponent := math.Floor(math.Log10(math.Abs(round(v, 3))))
	return strconv.FormatFloat(v, 'f', max(0, 2-int(exponent)), 64)
}

// best returns the largest unit of which v is at least one, or else the last.
func best(units []unit, v float64) unit {
	for _, u := range units {
		if math.Abs(v) >= u.size {
			return u
		}
	}
	return units[len(units)-1]
}

// round returns v with so many significant digits, so that the unit is chosen
// for the number that is written: 999.6 µs are 1.00 ms.
func round(v float64, digits int) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		panic(fmt.Sprintf("units: %v is no quantity", v))
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	if err != nil {
		return v // rounding up left the range of float64
	}
	return rounded
}
