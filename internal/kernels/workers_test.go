// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

// tally counts how often each piece is done, and keeps by whom.
type tally struct{ count, worker []int }

func (c *tally) Do(piece, worker int) {
	c.count[piece]++
	c.worker[piece] = worker
}

func TestWorkers(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewWorkers(threads)
		if p.Threads() != threads {
			t.Errorf("%d threads, want %d", p.Threads(), threads)
		}
		for _, pieces := range []int{0, 1, 2, 100} {
			c := &tally{make([]int, pieces), make([]int, pieces)}
			p.For(pieces, c)
			for i, n := range c.count {
				if n != 1 {
					t.Errorf("%d threads: piece %d of %d done %d times", threads, i, pieces, n)
				}
				if w := c.worker[i]; w < 0 || w >= threads {
					t.Errorf("%d threads: piece %d done by worker %d", threads, i, w)
				}
			}
		}
		p.Close()
	}
	if p := NewWorkers(0); p.Threads() < 1 {
		t.Error("no threads")
	} else {
		p.Close()
	}
}
