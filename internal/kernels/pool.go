// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is work cut into pieces.
type Task interface {
	// Do does one piece. worker is 0…Threads()−1 and no two pieces run with
	// the same worker at once, so it may index scratch memory; the result
	// must not depend on it.
	Do(piece, worker int)
}

// Pool is a fixed set of threads that kernels run on. Its goroutines live
// until Close. One Run or For at a time: a Pool is not for concurrent use.
type Pool struct {
	wake   []chan struct{} // one for each thread but the caller's
	task   Task
	pieces int64
	next   atomic.Int64
	busy   sync.WaitGroup
}

// NewPool starts a pool. threads ≤ 0 takes one thread for each CPU; with 1
// everything runs on the caller's goroutine.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	p := &Pool{wake: make([]chan struct{}, threads-1)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		go p.serve(p.wake[i], i+1)
	}
	return p
}

// Threads is the number of threads, the caller's included.
func (p *Pool) Threads() int { return len(p.wake) + 1 }

// Close ends the pool's goroutines. The pool must be idle, and is not usable afterwards.
func (p *Pool) Close() {
	for _, w := range p.wake {
		close(w)
	}
	p.wake = nil
}

// For runs t.Do(0…pieces−1) and returns when all are done. Threads take
// pieces as they become free. It does not allocate.
func (p *Pool) For(pieces int, t Task) {
	helpers := min(len(p.wake), pieces-1)
	if helpers <= 0 {
		for i := range pieces {
			t.Do(i, 0)
		}
		return
	}
	p.task, p.pieces = t, int64(pieces)
	p.next.Store(0)
	p.busy.Add(helpers)
	for _, w := range p.wake[:helpers] {
		w <- struct{}{}
	}
	p.work(0)
	p.busy.Wait()
	p.task = nil
}

func (p *Pool) serve(wake <-chan struct{}, worker int) {
	for range wake {
		p.work(worker)
		p.busy.Done()
	}
}

func (p *Pool) work(worker int) {
	for i := p.next.Add(1) - 1; i < p.pieces; i = p.next.Add(1) - 1 {
		p.task.Do(int(i), worker)
	}
}
