// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Timeout is d with a limit on each Push, Pull and Remove. A device that takes
// longer is [ErrLost]: it does not answer any more. Run takes as long as its
// program does, but one that says nothing for that long is killed, and the
// device lost too.
func Timeout(d Device, limit time.Duration) Device { return &timeout{Device: d, limit: limit} }

type timeout struct {
	Device
	limit time.Duration
}

// within runs f with the limit.
func (t *timeout) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.limit, fmt.Errorf("%w: no answer within %v", ErrLost, t.limit))
	defer cancel()
	return f(ctx)
}

func (t *timeout) Push(ctx context.Context, base string, data []byte) (name string, err error) {
	err = t.within(ctx, func(ctx context.Context) (err error) {
		name, err = t.Device.Push(ctx, base, data)
		return err
	})
	return name, err
}

func (t *timeout) Pull(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = t.within(ctx, func(ctx context.Context) (err error) {
		data, err = t.Device.Pull(ctx, name, limit)
		return err
	})
	return data, err
}

func (t *timeout) Remove(ctx context.Context, names ...string) error {
	return t.within(ctx, func(ctx context.Context) error { return t.Device.Remove(ctx, names...) })
}

func (t *timeout) Run(ctx context.Context, c Command) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.limit, func() {
		cancel(fmt.Errorf("%w: nothing was heard of it for %v", ErrLost,
			t.limit))
	})
	defer silence.Stop()
	hear := func() { silence.Reset(t.limit) }
	c.Stdout, c.Stderr = heard{c.Stdout, hear}, heard{c.Stderr, hear}
	return t.Device.Run(ctx, c)
}

// heard tells when something is written to w, which may be nil.
type heard struct {
	w    io.Writer
	tell func()
}

func (h heard) Write(p []byte) (int, error) {
	h.tell()
	if h.w == nil {
		return len(p), nil
	}
	return h.w.Write(p)
}
