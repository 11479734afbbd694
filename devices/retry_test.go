// SPDX-License-Identifier: Apache-2.0

package devices_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgenas/edgenas/devices"
)

// flaky is a device whose calls fail with what fail returns.
type flaky struct {
	devices.Device
	fail   func() error
	closed *atomic.Int64
}

func (f *flaky) Info() devices.Info {
	return devices.Info{Address: "flaky", Dir: "/x"}
}
func (f *flaky) Push(context.Context, string, []byte) (string, error) { return "name", f.fail() }
func (f *flaky) Run(context.Context, devices.Command) error           { return f.fail() }
func (f *flaky) Remove(context.Context, ...string) error              { return f.fail() }
func (f *flaky) Close() error                                         { f.closed.Add(1); return nil }

func lost() error { return devices.ErrLost }
func good() error { return nil }

// reconnecting is a device that was lost, and what says how its next opening
// goes on: begun has a context for each, and what is sent to end ends it.
type reconnecting struct {
	devices.Device
	begun  chan context.Context
	end    chan error
	closed atomic.Int64
}

func reconnect(t *testing.T) *reconnecting {
	t.Helper()
	r := &reconnecting{begun: make(chan context.Context, 10), end: make(chan error)}
	first := true
	d, err := devices.RetryAfter(t.Context(), time.Hour, time.Millisecond,
		func(ctx context.Context) (devices.Device, error) {
			if first {
				first = false
				return &flaky{fail: lost, closed: &r.closed}, nil
			}
			r.begun <- ctx
			select {
			case err := <-r.end:
				return &flaky{fail: good, closed: &r.closed}, err
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Device = d
	if err := d.Run(t.Context(), devices.Command{}); !errors.Is(err, devices.ErrLost) {
		t.Fatal(err)
	}
	return r
}

// push pushes in a goroutine.
func (r *reconnecting) push(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := r.Push(ctx, "x", nil)
		result <- err
	}()
	return result
}

// receive waits for a value for far longer than it should take.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("it does not return")
		panic("unreachable")
	}
}

// While one goroutine opens the lost device, another's context still ends its
// call, and the opening goes on for the first.
func TestRetryContext(t *testing.T) {
	r := reconnect(t)
	first := r.push(t.Context())
	receive(t, r.begun)
	ctx, cancel := context.WithCancel(t.Context())
	second := r.push(ctx)
	cancel()
	if err := receive(t, second); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the context's error", err)
	}
	r.end <- nil
	if err := receive(t, first); err != nil {
		t.Error(err)
	}
}

// The opening does not end with the goroutine that began it.
func TestRetryShared(t *testing.T) {
	r := reconnect(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := r.push(ctx)
	opening := receive(t, r.begun)
	var others []<-chan error
	for range 5 {
		others = append(others, r.push(t.Context()))
	}
	time.Sleep(10 * time.Millisecond) // for them to wait for it; if they come later, they find the device open
	cancel()
	if err := receive(t, first); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the context's error", err)
	}
	if err := opening.Err(); err != nil {
		t.Errorf("the opening ended with the caller that began it: %v", err)
	}
	r.end <- nil
	for _, other := range others {
		if err := receive(t, other); err != nil {
			t.Error(err)
		}
	}
	if n := len(r.begun); n != 0 {
		t.Errorf("%d more openings", n)
	}
}

// An opening for which nobody waits any more ends, and a later call begins
// another.
func TestRetryAbandoned(t *testing.T) {
	r := reconnect(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := r.push(ctx)
	opening := receive(t, r.begun)
	cancel()
	receive(t, first)
	receive(t, opening.Done())
	again := r.push(t.Context())
	receive(t, r.begun)
	r.end <- nil
	if err := receive(t, again); err != nil {
		t.Error(err)
	}
}

// Close does not wait for an opening, and ends the calls that do.
func TestRetryClose(t *testing.T) {
	r := reconnect(t)
	waiting := r.push(t.Context())
	receive(t, r.begun)
	closed := make(chan error, 1)
	go func() { closed <- r.Close() }()
	if err := receive(t, waiting); !errors.Is(err, devices.ErrClosed) {
		t.Errorf("%v: want %v", err, devices.ErrClosed)
	}
	receive(t, r.begun) // to remove the folder
	r.end <- nil
	if err := receive(t, closed); err != nil {
		t.Error(err)
	}
	if n := r.closed.Load(); n != 2 {
		t.Errorf("%d connections were closed: want the lost one and the one that removed the folder", n)
	}
	if err := r.Remove(t.Context(), "x"); !errors.Is(err, devices.ErrClosed) {
		t.Errorf("%v: want %v", err, devices.ErrClosed)
	}
}

// Many goroutines lose and open the device at once, and one closes it.
func TestRetryGoroutines(t *testing.T) {
	var opened, closed atomic.Int64
	d, err := devices.RetryAfter(t.Context(), time.Hour, time.Microsecond, func(context.Context) (devices.Device, error) {
		n := opened.Add(1)
		if n%3 == 0 {
			return nil, devices.ErrUnreachable
		}
		if held := opened.Load() - opened.Load()/3 - closed.Load(); held > 1 {
			t.Errorf("%d connections at once", held)
		}
		return &flaky{fail: lost, closed: &closed}, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				d.Run(t.Context(), devices.Command{})
			}
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil && !errors.Is(err, devices.ErrUnreachable) {
		t.Error(err)
	}
}

// What fails at once after each good opening is repeated with pauses, and no
// longer than patience lasts.
func TestRetryPauses(t *testing.T) {
	for name, failure := range map[string]error{"lost": devices.ErrLost, "corrupted": devices.ErrCorrupt} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				var pushed []float64 // seconds
				var closed atomic.Int64
				d, err := devices.Retry(t.Context(), time.Minute, func(context.Context) (devices.Device, error) {
					return &flaky{fail: func() error {
						pushed = append(pushed, time.Since(started).Seconds())
						return failure
					}, closed: &closed}, nil
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Push(t.Context(), "x", nil); !errors.Is(err, failure) {
					t.Errorf("%v: want %v", err, failure)
				}
				if want := []float64{0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 30.75, 45.75}; !slices.Equal(pushed, want) {
					t.Errorf("pushed after %v s: want %v", pushed, want)
				}
			})
		})
	}
}

// hopeless is an error that its maker knows to stay.
type hopeless struct{ error }

func (hopeless) Permanent() bool { return true }
func (h hopeless) Unwrap() error { return h.error }

// A permanent error is not tried again, whoever made it.
func TestRetryPermanent(t *testing.T) {
	for _, failure := range []error{devices.ErrUnreachable, devices.ErrLost} {
		tries := 0
		var closed atomic.Int64
		err := fmt.Errorf("no such board: %w", hopeless{failure})
		d, e := devices.RetryAfter(t.Context(), time.Hour, time.Millisecond, func(context.Context) (devices.Device, error) {
			if tries++; failure == devices.ErrUnreachable && tries > 1 {
				return nil, err
			}
			return &flaky{fail: func() error {
				if failure == devices.ErrLost {
					return err
				}
				return devices.ErrLost
			}, closed: &closed}, nil
		}, nil)
		if e != nil {
			t.Fatal(e)
		}
		if _, got := d.Push(t.Context(), "x", nil); !errors.Is(got, failure) || !devices.Permanent(got) {
			t.Errorf("%v: want %v", got, err)
		}
		if tries > 2 {
			t.Errorf("%v: opened %d times", err, tries)
		}
	}
	for err, want := range map[error]bool{&devices.BusyError{}: true, &devices.HostKeyError{}: true,
		&devices.AddressError{}: true,
		devices.ErrLost:         false, devices.ErrUnreachable: false} {
		if devices.Permanent(err) != want {
			t.Errorf("%v: permanent is %v", err, !want)
		}
	}
}
