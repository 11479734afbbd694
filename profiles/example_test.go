// SPDX-License-Identifier: Apache-2.0

package profiles_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/edgenas/edgenas/profiles"
)

// A profile is loaded, and the times of two operations looked up: one that was
// measured, and one that was not.
func Example() {
	p, err := profiles.Load("testdata/pi4.json")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %s runtime, %d thread\n", p.Device.Name(), p.Runtime.Name, p.Runtime.Threads)

	e, err := p.Lookup("conv/b")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %.2f ms, %.2f to %.2f at 95 %%\n", e.Key, 1e3*e.MedianS, 1e3*e.LoS, 1e3*e.HiS)

	_, err = p.Lookup("conv/c")
	var missing *profiles.MissingError
	fmt.Println(errors.As(err, &missing), missing.Keys)

	// Output:
	// Raspberry Pi 4 Model B Rev 1.4, native runtime, 1 thread
	// conv/b: 1.05 ms, 1.00 to 1.10 at 95 %
	// true [conv/c]
}

// A second session is compared with the first. One operation takes longer for
// certain; the bounds of the other overlap.
func ExampleDiff() {
	session := func(conv, add float64) *profiles.Profile {
		entry := func(key string, s float64) profiles.Entry {
			return profiles.Entry{Key: key, Timing: profiles.Timing{
				Status: profiles.OK, N: 75, MedianS: s, LoS: 0.99 * s, HiS: 1.01 * s}}
		}
		return &profiles.Profile{Entries: []profiles.Entry{entry("conv", conv), entry("add", add)}}
	}
	d, err := profiles.Diff(session(1e-3, 1e-5), session(1.2e-3, 1.01e-5))
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range d.Entries {
		if e.Indistinct() {
			fmt.Println(e.Key, "~")
		} else {
			fmt.Printf("%s %.2f\n", e.Key, e.Ratio)
		}
	}

	// Output:
	// conv 1.20
	// add ~
}
