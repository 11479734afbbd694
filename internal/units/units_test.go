// SPDX-License-Identifier: Apache-2.0

package units

import (
	"math"
	"testing"
)

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0:             "0 s",
		5e-13:         "0.000500 ns",
		4.2e-10:       "0.420 ns",
		1e-9:          "1.00 ns",
		387.4e-6:      "387 µs",
		0.9994e-6:     "999 ns",
		0.9996e-6:     "1.00 µs",
		999.4e-6:      "999 µs",
		999.6e-6:      "1.00 ms",
		1e-3:          "1.00 ms",
		1.834e-3:      "1.83 ms",
		9.996e-3:      "10.0 ms",
		20e-3:         "20.0 ms",
		0.9996:        "1.00 s",
		1:             "1.00 s",
		12.34:         "12.3 s",
		3726:          "3730 s",
		-1.834e-3:     "-1.83 ms",
		-999.6e-6:     "-1.00 ms",
		math.MaxInt64: "9220000000000000000 s",
		math.Inf(-1):  "panic",
		math.Inf(1):   "panic",
	} {
		if got := caught(func() string { return Seconds(s) }); got != want {
			t.Errorf("Seconds(%g) = %q, want %q", s, got, want)
		}
	}
	if got := caught(func() string { return Seconds(math.NaN()) }); got != "panic" {
		t.Errorf("Seconds(NaN) = %q, want a panic", got)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0:               "0 B",
		1:               "1 B",
		512:             "512 B",
		999:             "999 B",
		1000:            "1.0 kB",
		9_940:           "9.9 kB",
		9_960:           "10 kB",
		25_460_000:      "25 MB",
		790_000:         "790 kB",
		999_400:         "999 kB",
		999_600:         "1.0 MB",
		24_000_000:      "24 MB",
		1_240_000_000:   "1.2 GB",
		1_950_000_000:   "1.9 GB",
		31_600_000_000:  "32 GB",
		-2_000_000:      "-2.0 MB",
		math.MaxInt64:   "9223372037 GB",
		math.MinInt64:   "-9223372037 GB",
		100_000_000_000: "100 GB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{
		0:             "0",
		0.05:          "0.0500",
		0.9996:        "1.00",
		1.834:         "1.83",
		9.996:         "10.0",
		99.96:         "100",
		12345.4:       "12345",
		-1.834:        "-1.83",
		math.MaxInt64: "9223372036854775808",
		math.Inf(1):   "panic",
	} {
		if got := caught(func() string { return Significant(v) }); got != want {
			t.Errorf("Significant(%g) = %q, want %q", v, got, want)
		}
	}
}

// caught returns what f returns, or "panic".
func caught(f func() string) (text string) {
	defer func() {
		if recover() != nil {
			text = "panic"
		}
	}()
	return f()
}
