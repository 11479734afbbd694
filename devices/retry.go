// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	firstWait = time.Second // between attempts; doubles
	lastWait  = 15 * time.Second
)

// Retry opens a device that opens itself again when it was lost, for at most
// patience at a time: long enough for a reboot. open is Open with its
// arguments; logf, which may be nil, is told of each attempt.
//
// Push, Pull and Remove are repeated; so is a Push that was corrupted. Run is
// not: nobody but the caller knows how far the program came. It returns
// [ErrLost], and the next call of any method opens the device.
func Retry(ctx context.Context, patience time.Duration, open func(context.Context) (Device, error), logf func(format string, args ...any)) (Device, error) {
	return retry(ctx, patience, firstWait, open, logf)
}

func retry(ctx context.Context, patience, wait time.Duration, open func(context.Context) (Device, error), logf func(string, ...any)) (Device, error) {
	d, err := open(ctx)
	if err != nil {
		return nil, err
	}
	if logf == nil {
		logf = func(string, ...any) {}
	}
	return &retrying{open: open, patience: patience, wait: wait, logf: logf, d: d, info: d.Info()}, nil
}

type retrying struct {
	open           func(context.Context) (Device, error)
	patience, wait time.Duration
	logf           func(string, ...any)
	info           Info

	mu     sync.Mutex
	d      Device // nil: lost, to be opened again
	closed bool
}

func (r *retrying) Info() Info { return r.info }

// device is the open device. A lost one is opened again; what can be put right
// only by hand ends that at once.
func (r *retrying) device(ctx context.Context) (Device, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("devices: %s: %w", r.info.Address, ErrClosed)
	}
	if r.d != nil {
		return r.d, nil
	}
	started := time.Now()
	for wait := r.wait; ; wait = min(2*wait, lastWait) {
		d, err := r.open(ctx)
		if err == nil {
			r.d = d
			r.logf("%s: connected again", r.info.Address)
			return d, nil
		}
		var busy *BusyError
		var key *HostKeyError
		hopeless := ctx.Err() != nil || errors.As(err, &busy) || errors.As(err, &key) || !errors.Is(err, ErrUnreachable)
		if hopeless || time.Since(started)+wait > r.patience {
			return nil, err
		}
		r.logf("%v; again in %v", err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lost forgets a device that was lost.
func (r *retrying) lost(d Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.d == d {
		r.d = nil
		d.Close()
	}
}

// do repeats f until it is not the connection that failed.
func (r *retrying) do(ctx context.Context, f func(Device) error) error {
	started := time.Now()
	for {
		d, err := r.device(ctx)
		if err != nil {
			return err
		}
		if err = f(d); errors.Is(err, ErrLost) {
			r.lost(d)
		} else if !errors.Is(err, ErrCorrupt) {
			return err
		}
		if time.Since(started) > r.patience {
			return err
		}
		r.logf("%v; again", err)
	}
}

func (r *retrying) Push(ctx context.Context, base string, data []byte) (name string, err error) {
	err = r.do(ctx, func(d Device) (err error) {
		name, err = d.Push(ctx, base, data)
		return err
	})
	return name, err
}

func (r *retrying) Run(ctx context.Context, c Command) error {
	d, err := r.device(ctx)
	if err != nil {
		return err
	}
	if err = d.Run(ctx, c); errors.Is(err, ErrLost) {
		r.lost(d)
	}
	return err
}

func (r *retrying) Pull(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = r.do(ctx, func(d Device) (err error) {
		data, err = d.Pull(ctx, name, limit)
		return err
	})
	return data, err
}

func (r *retrying) Remove(ctx context.Context, names ...string) error {
	return r.do(ctx, func(d Device) error { return d.Remove(ctx, names...) })
}

// Close opens a lost device once more, so that nothing stays there.
func (r *retrying) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.d != nil {
		if err := r.d.Close(); !errors.Is(err, ErrLost) {
			return err
		}
	}
	d, err := r.open(ctx)
	if err != nil {
		return fmt.Errorf("devices: %s: its folder %s could not be removed: %w", r.info.Address, r.info.Dir, err)
	}
	return d.Close()
}
