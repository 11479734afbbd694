// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
)

// local is this machine: a folder of our own among its temporary files.
type local struct {
	info   Info
	keep   bool
	closed atomic.Bool
	ctx    context.Context // ends with Close, and so do the programs
	close  context.CancelFunc
}

func openLocal(o Options) (Device, error) {
	dir, err := os.MkdirTemp(o.Dir, "edgenas-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("devices: local: %w: %w", ErrUnreachable, err)
	}
	d := &local{keep: o.Keep, info: Info{
		Address: string(Local), OS: runtime.GOOS, Arch: runtime.GOARCH, Machine: runtime.GOARCH, Dir: dir,
		Capabilities: Capabilities{Parallel: true, Hashes: true, Transfer: "copy"},
	}}
	d.info.Model, _ = os.Hostname()
	d.ctx, d.close = context.WithCancel(context.Background())
	return d, nil
}

func (d *local) Info() Info { return d.info }

// begin refuses work whose context has ended, or after Close.
func (d *local) begin(ctx context.Context) error {
	if d.closed.Load() {
		return fmt.Errorf("devices: local: %w", ErrClosed)
	}
	return context.Cause(ctx)
}

func (d *local) Push(ctx context.Context, base string, data []byte) (string, error) {
	sum := digest(data)
	name, err := contentName(base, sum)
	if err == nil {
		err = d.begin(ctx)
	}
	if err != nil {
		return "", err
	}
	if err = d.write(name, sum, data); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w: %d KiB are needed in %s", ErrNoSpace, (len(data)+1023)/1024, d.info.Dir)
		}
		return "", fmt.Errorf("devices: local: push %s: %w", name, err)
	}
	return name, nil
}

// write makes the file under another name, verifies it and renames it.
func (d *local) write(name, sum string, data []byte) error {
	if have, err := os.ReadFile(d.path(name)); err == nil && digest(have) == sum {
		return nil
	}
	temp := d.path(fmt.Sprintf(".push-%016x", rand.Uint64()))
	defer os.Remove(temp)
	if err := writeFile(temp, data); err != nil {
		return err
	}
	have, err := os.ReadFile(temp)
	if err != nil {
		return err
	}
	if digest(have) != sum {
		return ErrCorrupt
	}
	return os.Rename(temp, d.path(name))
}

// writeFile writes a program while no process starts: one that inherits the
// open file would make the program busy (ETXTBSY).
func writeFile(path string, data []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, data, 0o700)
}

func (d *local) Run(ctx context.Context, c Command) error {
	if err := checkCommand(c); err != nil {
		return err
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(d.ctx, stop)()
	out := newOutput(c, stop)

	cmd := exec.CommandContext(running, d.path(c.Name), c.Args...)
	cmd.Dir = d.info.Dir
	cmd.Stdout, cmd.Stderr = out.stdout(c.Stdout), out.stderr(c.Stderr)
	cmd.WaitDelay = graceTime
	ownGroup(cmd)
	code, err := runLocal(cmd, c.Stdin)
	failure := out.failure()
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case d.ctx.Err() != nil:
		err = ErrClosed
	case failure != nil:
		return failure
	default:
		return out.exit(code)
	}
	return fmt.Errorf("devices: local: run %s: %w", c.Name, err)
}

// runLocal runs a program and returns its exit status. It does not wait for
// stdin.
func runLocal(cmd *exec.Cmd, stdin io.Reader) (code int, err error) {
	var in io.WriteCloser
	if stdin != nil {
		if in, err = cmd.StdinPipe(); err != nil {
			return 0, err
		}
	}
	if err := cmd.Start(); err != nil {
		code := 126
		if errors.Is(err, fs.ErrNotExist) {
			code = 127
		}
		fmt.Fprint(cmd.Stderr, err)
		return code, nil
	}
	if in != nil {
		go func() {
			io.Copy(in, stdin)
			in.Close()
		}()
	}
	err = cmd.Wait()
	killGroup(cmd) // what it has started
	if state := cmd.ProcessState; state != nil {
		return exitStatus(state), nil
	}
	return 0, err
}

func (d *local) Pull(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := checkNames(name); err != nil {
		return nil, err
	}
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	data, err := d.read(name, limit)
	if err != nil {
		return nil, fmt.Errorf("devices: local: pull %s: %w", name, err)
	}
	return data, nil
}

func (d *local) read(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(d.path(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: at most %d bytes are read", ErrTooMuch, limit)
	}
	return data, err
}

func (d *local) Remove(ctx context.Context, names ...string) error {
	if err := checkNames(names...); err != nil {
		return err
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	for _, n := range names {
		if err := os.Remove(d.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("devices: local: remove %s: %w", strings.Join(names, " "), err)
		}
	}
	return nil
}

func (d *local) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.close()
	if d.keep {
		return nil
	}
	if err := os.RemoveAll(d.info.Dir); err != nil {
		return fmt.Errorf("devices: local: close: %w", err)
	}
	return nil
}

func (d *local) path(name string) string { return filepath.Join(d.info.Dir, name) }
