// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"time"
)

// Log is d with a line to logf for each call that has returned: what it did,
// how long it took, how it ended. Neither arguments nor content are shown.
func Log(d Device, logf func(format string, args ...any)) Device {
	return &logging{Device: d, logf: logf}
}

type logging struct {
	Device
	logf func(string, ...any)
}

// done logs a call that began at started.
func (l *logging) done(started time.Time, err error, format string, args ...any) {
	end := "done"
	if err != nil {
		end = err.Error()
	}
	args = append([]any{l.Info().Address}, args...)
	l.logf("%s: "+format+" (%v): %s", append(args, time.Since(started).Round(time.Millisecond), end)...)
}

func (l *logging) Push(ctx context.Context, base string, data []byte) (string, error) {
	started := time.Now()
	name, err := l.Device.Push(ctx, base, data)
	l.done(started, err, "push %s, %d bytes", base, len(data))
	return name, err
}

func (l *logging) Run(ctx context.Context, c Command) error {
	started := time.Now()
	err := l.Device.Run(ctx, c)
	l.done(started, err, "run %s", c.Name)
	return err
}

func (l *logging) Pull(ctx context.Context, name string, limit int64) ([]byte, error) {
	started := time.Now()
	data, err := l.Device.Pull(ctx, name, limit)
	l.done(started, err, "pull %s, %d bytes", name, len(data))
	return data, err
}

func (l *logging) Remove(ctx context.Context, names ...string) error {
	started := time.Now()
	err := l.Device.Remove(ctx, names...)
	l.done(started, err, "remove %d files", len(names))
	return err
}

func (l *logging) Close() error {
	started := time.Now()
	err := l.Device.Close()
	l.done(started, err, "close")
	return err
}
