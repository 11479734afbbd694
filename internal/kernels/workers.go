// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"runtime"
	"sync/atomic"
)

// Task is work cut into pieces.
type Task interface {
	// Do does one piece. worker is 0…Threads()−1 and no two pieces run with
	// the same worker at once, so it may index scratch memory; the result
	// must not depend on it.
	Do(piece, worker int)
}

// Workers is a fixed set of threads that kernels run on. Its goroutines live
// until Close. One Run or For at a time: Workers are not for concurrent use.
type Workers struct {
	helpers []*helper // the threads but the caller's
	task    Task
	pieces  int64
	taken   atomic.Int64    // pieces begun, or more
	ends    [2]atomic.Int64 // of them, from the front and from the back
	busy    atomic.Int32    // helpers that have not finished
	waiting atomic.Bool     // the caller sleeps until none is busy
	done    chan struct{}
	patient atomic.Bool // every thread has a processor, so that waiting awake keeps nobody from working
	closed  bool
}

// helper is a thread that waits for its next turn: awake for a while, since
// most kernels follow one another at once, then asleep.
type helper struct {
	turn   atomic.Uint32
	asleep atomic.Bool
	wake   chan struct{}
}

// spins is how often a thread looks for work, or for the others' end, before
// it sleeps: about as long as it takes to wake it.
const spins = 2000

// NewWorkers starts workers. threads ≤ 0 takes one thread for each CPU; with 1
// everything runs on the caller's goroutine.
func NewWorkers(threads int) *Workers {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	p := &Workers{done: make(chan struct{}, 1)}
	for i := 1; i < threads; i++ {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.serve(h, i)
	}
	return p
}

// Threads is the number of threads, the caller's included.
func (p *Workers) Threads() int { return len(p.helpers) + 1 }

// Close ends the goroutines. The workers must be idle, and are not usable afterwards.
func (p *Workers) Close() {
	p.closed = true
	for _, h := range p.helpers {
		h.start()
	}
	p.helpers = nil
}

// For runs t.Do(0…pieces−1) and returns when all are done. Threads take
// pieces as they become free. It does not allocate.
func (p *Workers) For(pieces int, t Task) {
	n := min(len(p.helpers), pieces-1)
	if n <= 0 {
		for i := range pieces {
			t.Do(i, 0)
		}
		return
	}
	p.task, p.pieces = t, int64(pieces)
	p.patient.Store(runtime.GOMAXPROCS(0) > len(p.helpers))
	p.taken.Store(0)
	p.ends[0].Store(0)
	p.ends[1].Store(0)
	p.busy.Store(int32(n))
	for _, h := range p.helpers[:n] {
		h.start()
	}
	p.work(0)
	for !p.spin(func() bool { return p.busy.Load() == 0 }) { // a helper may be late to say that the last work is done
		// Announce that the caller sleeps, then look again: a helper that ends in
		// between either sees the announcement and sends on done, or is seen here.
		// Who takes the announcement back with CompareAndSwap decides which.
		p.waiting.Swap(true)
		if p.busy.Load() > 0 || !p.waiting.CompareAndSwap(true, false) {
			<-p.done
		}
	}
	p.task = nil
}

// start gives h a turn.
func (h *helper) start() {
	h.turn.Add(1)
	if h.asleep.CompareAndSwap(true, false) {
		h.wake <- struct{}{}
	}
}

// spin polls here for a while, and reports whether it has become true.
func (p *Workers) spin(here func() bool) bool {
	for range spins {
		if here() {
			return true
		}
		if !p.patient.Load() {
			break
		}
		pause()
	}
	return here()
}

// await returns when h has a turn that it has not had. A caller that was held
// up while it gave a turn wakes h once more after it, for nothing.
func (p *Workers) await(h *helper, had uint32) {
	for !p.spin(func() bool { return h.turn.Load() != had }) {
		h.asleep.Store(true)
		if h.turn.Load() == had || !h.asleep.CompareAndSwap(true, false) {
			<-h.wake
		}
	}
}

func (p *Workers) serve(h *helper, worker int) {
	for turn := uint32(0); ; {
		p.await(h, turn)
		turn++
		if p.closed {
			return
		}
		p.work(worker)
		if p.busy.Add(-1) == 0 && p.waiting.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// work takes pieces from one end, odd threads from the back: what a thread did
// in one kernel it mostly does in the next, and finds it in its own cache.
func (p *Workers) work(worker int) {
	for p.taken.Add(1) <= p.pieces {
		i := p.ends[worker%2].Add(1) - 1
		if worker%2 == 1 {
			i = p.pieces - 1 - i
		}
		p.task.Do(int(i), worker)
	}
}
