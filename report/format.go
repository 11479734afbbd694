// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/units"
)

// unit is a unit of numbers on a page: shown = value / Scale.
type unit struct {
	Name  string
	Scale float64
}

var (
	plain   = unit{"", 1}
	percent = unit{"%", 0.01}
)

// secondsUnit is the unit in which a time of this many seconds reads best.
func secondsUnit(s float64) unit {
	switch s = math.Abs(s); {
	case s >= 1:
		return unit{"s", 1}
	case s >= 1e-3:
		return unit{"ms", 1e-3}
	case s >= 1e-6:
		return unit{"µs", 1e-6}
	}
	return unit{"ns", 1e-9}
}

// in writes v in unit u with three significant digits.
func (u unit) in(v float64) string {
	text := significant(v / u.Scale)
	switch u.Name {
	case "":
		return text
	case "%":
		return text + space + "%"
	}
	return text + space + u.Name
}

// significant writes three significant digits, never in exponential form
// below a million.
func significant(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 1e6 || a < 1e-4:
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(a)))), 64)
}

// space keeps a number and its unit on one line.
const space = "\u00a0"

// latency writes a time in its best unit; one that a sum took beyond all numbers
// is a dash.
func latency(s float64) string {
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return "–"
	}
	return strings.Replace(units.Seconds(s), " ", space, 1)
}

// budget writes a time that a person chose: 2 ms, not 2.00 ms.
func budget(s float64) string {
	u := secondsUnit(s)
	return strconv.FormatFloat(s/u.Scale, 'g', 6, 64) + space + u.Name
}

// count writes a number of things: 83.6 k, 12.3 M.
func count(n int64) string {
	v := float64(n)
	switch {
	case n >= 1e9:
		return significant(v/1e9) + space + "G"
	case n >= 1e6:
		return significant(v/1e6) + space + "M"
	case n >= 1e4:
		return significant(v/1e3) + space + "k"
	}
	return strconv.FormatInt(n, 10)
}

// wall writes how long something took, to the second.
func wall(s float64) string {
	if s < 1 {
		return latency(s)
	}
	return time.Duration(math.Round(min(s, 1e9)) * float64(time.Second)).String()
}

// share writes 0…1 as a percentage with one decimal.
func share(v float64) string { return fmt.Sprintf("%.1f"+space+"%%", 100*v) }

// size writes a number of bytes.
func size(n int64) string { return strings.Replace(units.Bytes(n), " ", space, 1) }
