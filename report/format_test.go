// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{latency(0.00187123), "1.87 ms"},
		{latency(26.24e-6), "26.2 µs"},
		{latency(-8e-6), "-8.00 µs"},
		{latency(0), "0 s"},
		{latency(999.6e-6), "1.00 ms"},
		{latency(math.Inf(1)), "–"},
		{latency(12.5), "12.5 s"},
		{budget(0.002), "2 ms"},
		{budget(0.0166667), "16.6667 ms"},
		{count(586_954), "587 k"},
		{count(62_900_000), "62.9 M"},
		{count(1234), "1234"},
		{count(2_500_000_000), "2.50 G"},
		{size(999), "999 B"},
		{size(2_347_816), "2.3 MB"},
		{wall(96.2), "1m36s"},
		{wall(0.25), "250 ms"},
		{share(0.90412), "90.4 %"},
		{percent.in(0.0134), "1.34 %"},
		{plain.in(123456), "123456"},
		{plain.in(1.5e9), "1.50e+09"},
		{plain.in(2.5e-7), "2.50e-07"},
	} {
		if got := strings.ReplaceAll(c.got, space, " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
