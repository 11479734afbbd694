// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"time"
)

// stopwatch times runs on the measuring thread. Waited is the time that the
// thread has been ready to run while others had its core, since some moment;
// nil: unknown.
type stopwatch struct {
	now    func() time.Duration
	waited func() time.Duration
}

// time runs r n times. Took is the time that the runs had the core, and waited
// what others had it for meanwhile. A core that is shared with a busy process
// so gives nearly the times of one that is not; what remains is what the switch
// costs.
func (w stopwatch) time(r Runner, n int) (took, waited time.Duration, err error) {
	if w.waited != nil {
		waited = w.waited()
	}
	from := w.now()
	for range n {
		if err := r.Run(); err != nil {
			return 0, 0, err
		}
	}
	took = w.now() - from
	if w.waited != nil {
		waited = w.waited() - waited
	}
	if waited >= took { // began to wait before the clock was read
		waited = 0
	}
	return took - waited, waited, nil
}

// A sample is interrupted if others had the core for this share of its time or
// more. A core is shared if this share of its samples is interrupted: kernel
// threads alone interrupt fewer.
const (
	interruption = 0.01
	sharing      = 0.05
)

// interrupted returns how many of the round's samples were interrupted.
func (r round) interrupted() int {
	n := 0
	for i, waited := range r.waits {
		if waited >= interruption*r.samples[i] {
			n++
		}
	}
	return n
}

// sharedWarning says that the core was shared, or nothing if it was not.
func sharedWarning(interrupted, samples int) string {
	if interrupted == 0 || float64(interrupted) < sharing*float64(samples) {
		return ""
	}
	return fmt.Sprintf("the measured core was shared: other processes interrupted %d of %d samples, "+
		"whose time is without the time that those had the core", interrupted, samples)
}
