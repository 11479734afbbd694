// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"fmt"
	"time"
)

// Timeout is d with a limit on each Push, Pull and Remove. A device that takes
// longer is [ErrLost]: it does not answer any more. Run takes as long as its
// program does.
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
