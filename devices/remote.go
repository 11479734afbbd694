// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A transport is a connection to another machine's shell and files. All of a
// remote device's behaviour is made of it, and is the same for each.
//
// Methods return an error that is [ErrLost] when the connection broke, and the
// context's when that ended.
type transport interface {
	// exec runs a line of POSIX shell and returns its exit status, which is
	// 128 and the signal's number when a signal ended it. The writers never
	// fail. It returns without waiting for stdin.
	exec(ctx context.Context, line string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error)
	// put writes a file at an absolute path.
	put(ctx context.Context, path string, data []byte) error
	// get reads a file that is there. An error of w ends it, and is returned.
	// After an error, w may be written to for a moment.
	get(ctx context.Context, path string, w io.Writer) error
	close()
}

// errDropped means that the session ended before the server confirmed the
// command. The command may or may not have run; its output is gone. Callers
// repeat it only if running it twice is harmless. Dropbear up to 2022.83 does
// this: when one session ends, it also closes any other session that has not
// received its command yet.
var errDropped = fmt.Errorf("%w: the session ended before its command began", ErrLost)

const (
	dropTimes   = 5                // that errDropped is believed
	maxParallel = 4                // operations; sshd allows 10 sessions, of which the guard, sftp and killing need some
	maxReply    = 64 << 10         // bytes of a script's output
	mendingTime = 10 * time.Second // for putting right what was stopped
	graceTime   = 3 * time.Second  // for a killed program to end
)

// remote is a device behind a transport.
type remote struct {
	t     transport
	info  Info
	keep  bool
	guard *guard

	slots        chan struct{} // holds one for each operation
	closed, lost atomic.Bool
	runs         atomic.Int64
}

// openRemote makes a device of a connection, which it closes on an error.
// parents are words of shell.
func openRemote(ctx context.Context, t transport, i Info, o Options, parents ...string) (Device, error) {
	if o.Dir != "" {
		if !path.IsAbs(o.Dir) || strings.ContainsAny(o.Dir, "\x00\n") {
			t.close()
			return nil, &AddressError{Address: i.Address, Reason: fmt.Sprintf("its folder %q is no absolute path", o.Dir)}
		}
		parents = []string{quote(path.Clean(o.Dir))}
	}
	g, f, err := startGuard(ctx, t, i.Address, parents)
	if err == nil {
		err = f.fill(&i)
	}
	if err != nil {
		t.close()
		if ctx.Err() == nil && !errors.Is(err, ErrUnreachable) {
			err = fmt.Errorf("devices: %s: %w: %w", i.Address, ErrUnreachable, err)
		}
		return nil, err
	}
	i.Capabilities.Remote, i.Capabilities.Locked = true, true
	d := &remote{t: t, info: i, keep: o.Keep, guard: g, slots: make(chan struct{}, 1)}
	if i.Capabilities.Parallel {
		d.slots = make(chan struct{}, maxParallel)
	}
	return d, nil
}

// fill puts what a guard said into i.
func (f facts) fill(i *Info) error {
	for k, v := range f {
		if len(v) > 1000 || printable(v) != v {
			return fmt.Errorf("the device's shell says %s=%.40q", k, v)
		}
	}
	i.Dir, i.Machine, i.Kernel = f["dir"], f["machine"], f["kernel"]
	if !path.IsAbs(i.Dir) || path.Base(i.Dir) != "edgenas-device" {
		return fmt.Errorf("the device's shell says that the folder is %q", i.Dir)
	}
	i.OS, i.Arch = strings.ToLower(f["os"]), goArch(i.Machine)
	i.Android = f["android"] != ""
	i.Capabilities.Hashes = f["hashes"] != ""
	if i.Model == "" {
		i.Model = f["node"]
	}
	return nil
}

// goArch is Go's name of what uname -m says; what it does not know stays.
func goArch(machine string) string {
	switch {
	case machine == "x86_64" || machine == "amd64":
		return "amd64"
	case machine == "aarch64" || machine == "arm64" || machine == "armv8b":
		return "arm64"
	case strings.HasPrefix(machine, "arm"):
		return "arm"
	case len(machine) == 4 && machine[0] == 'i' && machine[2:] == "86":
		return "386"
	}
	return machine
}

func (d *remote) Info() Info { return d.info }

// begin starts an operation, as soon as there is room for it: its context also
// ends with the guard.
func (d *remote) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(d.guard.gone, cancel)
	select {
	case d.slots <- struct{}{}:
		return ctx, func() { <-d.slots; stop(); cancel() }
	case <-ctx.Done():
		return ctx, func() { stop(); cancel() }
	}
}

// end is an operation's error as the caller gets it.
func (d *remote) end(ctx context.Context, what string, err error) error {
	switch {
	case d.closed.Load():
		err = ErrClosed
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case d.guard.gone.Err() != nil && !errors.Is(err, ErrLost):
		err = ErrLost
	}
	if errors.Is(err, ErrLost) {
		d.lose()
	}
	return fmt.Errorf("devices: %s: %s: %w", d.info.Address, what, err)
}

// lose gives the connection up. What is on the device stays there, for whoever
// opens it next.
func (d *remote) lose() {
	if d.lost.Swap(true) {
		return
	}
	owners.Delete(d.guard.owner)
	d.guard.drop()
	d.t.close()
}

// sh runs a script, which may run twice, and returns its output. A status
// other than 0 is an [*ExitError].
func (d *remote) sh(ctx context.Context, line string) (string, error) {
	stdout := &limitedBuffer{left: maxReply}
	stderr := &tailWriter{}
	status, err := d.t.exec(ctx, line, nil, stdout, stderr)
	for i := 1; i < dropTimes && errors.Is(err, errDropped); i++ {
		status, err = d.t.exec(ctx, line, nil, stdout, stderr)
	}
	if err == nil && status != 0 {
		err = &ExitError{Name: "sh", Code: status, Stderr: printable(stderr.String())}
	}
	return stdout.String(), err
}

// status is the exit status in an error; 0: there is none.
func status(err error) int {
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return 0
}

func (d *remote) Push(ctx context.Context, base string, data []byte) (string, error) {
	sum := digest(data)
	name, err := contentName(base, sum)
	if err != nil {
		return "", err
	}
	working, done := d.begin(ctx)
	defer done()
	same, err := d.matches(working, name, sum, int64(len(data)))
	if err == nil && !same {
		err = d.transfer(working, name, sum, data)
	}
	return name, d.end(ctx, "push "+name, err)
}

// matches says whether a file is there and has that digest.
func (d *remote) matches(ctx context.Context, name, sum string, size int64) (bool, error) {
	if d.info.Capabilities.Hashes {
		out, err := d.sh(ctx, hashLine(d.info.Dir, name))
		if status(err) != 0 {
			return false, nil // absent, or unreadable: to be pushed anew
		}
		return strings.HasPrefix(out, sum), err
	}
	if _, err := d.sh(ctx, sizeLine(d.info.Dir, name)); err != nil {
		if status(err) != 0 {
			err = nil
		}
		return false, err
	}
	h := sha256.New()
	if err := d.t.get(ctx, d.path(name), &limitedWriter{w: h, left: size}); err != nil {
		if errors.Is(err, ErrTooMuch) {
			err = nil
		}
		return false, err
	}
	return hex.EncodeToString(h.Sum(nil)) == sum, nil
}

// transfer puts a file there under another name, verifies it and gives it its
// name.
func (d *remote) transfer(ctx context.Context, name, sum string, data []byte) error {
	temp := fmt.Sprintf(".push-%016x", rand.Uint64())
	err := d.t.put(ctx, d.path(temp), data)
	if err == nil {
		err = d.adopt(ctx, temp, name, sum, int64(len(data)))
	}
	if err == nil || errors.Is(err, ErrLost) { // the next guard removes it
		return err
	}
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), mendingTime)
	defer cancel()
	d.sh(mending, removeLine(d.info.Dir, []string{temp}))
	out, _ := d.sh(mending, freeLine(d.info.Dir))
	if free, ok := parseFree(out); ok && free < int64(len(data)) {
		return fmt.Errorf("%w: %d KiB are needed in %s, %d are free", ErrNoSpace, (len(data)+1023)/1024, d.info.Dir,
			free/1024)
	}
	return err
}

// adopt verifies the file temp and renames it.
func (d *remote) adopt(ctx context.Context, temp, name, sum string, size int64) error {
	check := sum
	if !d.info.Capabilities.Hashes {
		check = ""
		same, err := d.matches(ctx, temp, sum, size)
		if err != nil {
			return err
		}
		if !same {
			return ErrCorrupt
		}
	}
	_, err := d.sh(ctx, adoptLine(d.info.Dir, temp, name, check))
	if status(err) == exitCorrupt {
		return ErrCorrupt
	}
	if status(err) != 0 { // the second time there is nothing left to rename
		if same, e := d.matches(ctx, name, sum, size); e == nil && same {
			return nil
		}
	}
	return err
}

func (d *remote) Run(ctx context.Context, c Command) error {
	if err := checkCommand(c); err != nil {
		return err
	}
	id := fmt.Sprintf("%s-%d", d.guard.pid, d.runs.Add(1))
	working, done := d.begin(ctx)
	defer done()
	if working.Err() != nil {
		return d.end(ctx, "run "+c.Name, ErrLost)
	}
	running, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()

	stopped, stop := context.WithCancel(working)
	defer stop()
	out := newOutput(c, stop)
	killed := make(chan struct{})
	dismiss := context.AfterFunc(stopped, func() { // when it must end before it does
		defer close(killed)
		time.AfterFunc(graceTime, abandon)
		if d.guard.gone.Err() != nil {
			abandon()
			return
		}
		mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), mendingTime)
		defer cancel()
		d.sh(mending, killLine(d.info.Dir, id))
	})
	defer func() {
		if !dismiss() {
			<-killed
		}
	}()

	line := runLine(d.info.Dir, d.guard.pid, id, c)
	code, err := d.t.exec(running, line, c.Stdin, out.stdout(c.Stdout), out.stderr(c.Stderr))
	for i := 1; i < dropTimes && errors.Is(err, errDropped); i++ {
		code, err = d.t.exec(running, line, c.Stdin, out.stdout(c.Stdout), out.stderr(c.Stderr))
		if err == nil && code == exitClaimed { // the first one runs, and nobody hears it
			err = errDropped
			break
		}
	}
	failure, ours := out.failure(), working.Err() == nil && !d.closed.Load()
	switch {
	case ours && failure != nil:
		return failure
	case ours && err == nil:
		return out.exit(code)
	case err == nil: // it was killed, however it ended
		err = ErrLost
	}
	return d.end(ctx, "run "+c.Name, err)
}

// checkCommand refuses what no device can run.
func checkCommand(c Command) error {
	if slices.ContainsFunc(c.Args, func(a string) bool { return strings.Contains(a, "\x00") }) {
		return fmt.Errorf("devices: %s: NUL in its arguments", c.Name)
	}
	return checkNames(c.Name)
}

func (d *remote) Pull(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := checkNames(name); err != nil {
		return nil, err
	}
	working, done := d.begin(ctx)
	defer done()
	data, err := d.pull(working, name, limit)
	if err = d.end(ctx, "pull "+name, err); err != nil {
		return nil, err
	}
	return data, nil
}

func (d *remote) pull(ctx context.Context, name string, limit int64) ([]byte, error) {
	out, err := d.sh(ctx, sizeLine(d.info.Dir, name))
	if status(err) == exitAbsent {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	if size, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64); err != nil || size > limit {
		return nil, fmt.Errorf("%w: %s bytes, at most %d are read", ErrTooMuch, printable(out), limit)
	}
	data := &limitedBuffer{left: limit}
	if err := d.t.get(ctx, d.path(name), &limitedWriter{w: data, left: limit}); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

func (d *remote) Remove(ctx context.Context, names ...string) error {
	if err := checkNames(names...); err != nil {
		return err
	}
	working, done := d.begin(ctx)
	defer done()
	_, err := d.sh(working, removeLine(d.info.Dir, names))
	return d.end(ctx, "remove "+strings.Join(names, " "), err)
}

func (d *remote) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	err := ErrLost
	if !d.lost.Load() {
		err = d.guard.close(!d.keep)
		d.lose()
	}
	if err != nil {
		return fmt.Errorf("devices: %s: close: %w", d.info.Address, err)
	}
	return nil
}

func (d *remote) path(name string) string { return d.info.Dir + "/" + name }

// limitedWriter refuses what is more than left bytes.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, ErrTooMuch
	}
	w.left -= int64(len(p))
	return w.w.Write(p)
}

// limitedBuffer keeps the first left bytes and throws the rest away.
type limitedBuffer struct {
	bytes.Buffer
	left int64
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	n := int(min(int64(len(p)), b.left))
	b.left -= int64(n)
	b.Buffer.Write(p[:n])
	return len(p), nil
}
