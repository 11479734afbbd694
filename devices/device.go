// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"io"
)

// A Device is a folder on a machine, and the right to run programs in it.
//
// Files have plain names ([A-Za-z0-9._-], no leading dot or dash, at most 100
// bytes); a method MUST refuse any other. Methods MAY be called by several
// goroutines at once.
//
// A method MUST return soon after its context ends, with an error for which
// errors.Is finds the context's cause; a cause that is [ErrLost] declares the
// device lost. Once a device is lost, every method MUST return an error that
// is [ErrLost] and the files MUST stay there; Close MUST still free what is on
// this side. After Close, every method MUST return an error that is
// [ErrClosed].
type Device interface {
	// Info says what is known of the device without running a program of
	// ours. It MUST NOT fail nor talk to the device.
	Info() Info

	// Push puts data on the device as an executable file and returns its
	// name there: base, a dash, and 32 hexadecimal digits of its SHA-256. The
	// content MUST have been verified on the device before that name exists;
	// otherwise the error is [ErrCorrupt] or [ErrNoSpace], and no part of the
	// file stays. A file that is there already MUST be verified and MAY then
	// be kept as it is.
	Push(ctx context.Context, base string, data []byte) (name string, err error)

	// Run runs a program to its end. Output MUST reach the command's writers
	// as it is produced, in order, stdout and stderr apart.
	//
	// A program that ends by itself with a status other than 0 is an
	// [*ExitError] with that status. When ctx ends, a writer fails or the
	// output is more than it may be ([ErrTooMuch]), the program MUST be
	// killed. When the connection is lost, the program MUST NOT go on for
	// long, and Run MUST NOT start it a second time.
	Run(ctx context.Context, c Command) error

	// Pull returns the content of a file. One larger than limit bytes is
	// [ErrTooMuch], and MUST NOT be read further than that; one that is not
	// there is fs.ErrNotExist.
	Pull(ctx context.Context, name string, limit int64) ([]byte, error)

	// Remove removes files. One that is not there is no error.
	Remove(ctx context.Context, names ...string) error

	// Close kills the programs that still run there and removes the folder,
	// unless the device was opened with Options.Keep. Methods that have not
	// returned MUST do so, with an error. Close MUST NOT take more than a few
	// seconds when the device does not answer, and MAY be called again.
	Close() error
}

// A Command is a program and what it is given.
type Command struct {
	// Name is the program's file name on the device, as Push returned it.
	Name string
	// Args reach the program as they are, whatever characters they hold. NUL
	// is refused.
	Args []string
	// Stdin is the program's input; nil is an empty one.
	Stdin io.Reader
	// Stdout and Stderr take the output; nil discards it. Each is written to
	// by one goroutine at a time.
	Stdout, Stderr io.Writer
	// MaxOutput bounds the bytes of Stdout and Stderr together. 0 is 64 MiB.
	MaxOutput int64
}

// Info is what a device says of itself when it is opened.
type Info struct {
	// Address opens the device again.
	Address string
	// Model is the name that the transport has for it (a phone's model, a
	// board's host name); empty: none.
	Model string
	// OS and Arch are in Go's words ("linux", "arm64"). 32-bit ARM is "arm",
	// whatever its version.
	OS, Arch string
	// Machine is what `uname -m` says there ("aarch64", "armv7l", "armv6l").
	Machine string
	// Kernel is what `uname -r` says there.
	Kernel string
	// Android says that it is an Android device.
	Android bool
	// Dir is the folder on the device.
	Dir string

	Capabilities Capabilities
}

// Capabilities declare what a device can do beyond what each one must.
type Capabilities struct {
	// Remote devices may be lost, and may be opened again then.
	Remote bool
	// Locked devices have one owner at a time: a second Open is a
	// [*BusyError].
	Locked bool
	// Parallel devices do several things at once. Others let a call wait
	// until the one before has returned.
	Parallel bool
	// Hashes says that the device hashes its files itself. Otherwise what
	// was pushed is read back and compared.
	Hashes bool
	// Transfer is how files get there: "copy", "sftp", "cat" or "sync".
	Transfer string
}

// Options say how a device is opened. The zero value is good for keys without
// a passphrase.
type Options struct {
	// Dir is the folder on the device in which a folder of ours is made;
	// empty: the user's cache, else a temporary one; /data/local/tmp on
	// Android. It must allow programs to run.
	Dir string
	// Keep leaves the files there on Close.
	Keep bool
	// Ask asks the user for a secret (a passphrase, a password). Nil: there
	// is nobody to ask, and only what needs no secret is tried.
	Ask func(prompt string) (string, error)
}

// Open opens the device at an address (see [Parse]).
//
// An address that cannot be meant is an [*AddressError]. A device that cannot
// be reached or used is [ErrUnreachable]; among these are a [*HostKeyError]
// and a [*BusyError].
func Open(ctx context.Context, address string, o Options) (Device, error) {
	a, err := Parse(address)
	if err != nil {
		return nil, err
	}
	switch a.Kind {
	case SSH:
		return openSSH(ctx, a, o, tickTime)
	case ADB:
		return openADB(ctx, a, o)
	}
	return openLocal(o)
}
