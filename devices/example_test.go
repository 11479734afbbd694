// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/edgenas/edgenas/devices"
)

// A program is put on a device, run there, and what it wrote is fetched. The
// address of a board would be "ssh://pi@board", that of a phone "adb".
func Example() {
	ctx := context.Background()
	d, err := devices.Open(ctx, "local", devices.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close() // nothing stays there

	program, err := d.Push(ctx, "greet", []byte("#!/bin/sh\necho \"to $1\" >letter\necho written\n"))
	if err != nil {
		log.Fatal(err)
	}
	if err := d.Run(ctx, devices.Command{Name: program, Args: []string{"a friend"}, Stdout: os.Stdout}); err != nil {
		log.Fatal(err)
	}
	letter, err := d.Pull(ctx, "letter", 1<<10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(letter))
	// Output:
	// written
	// to a friend
}
