// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/edgenas/edgenas/internal/stats"
)

// Sampler watches clock and temperature while something is measured. It reads
// a few small files each time, some tens of microseconds; start it before the
// measuring thread is pinned, so that it runs on another core.
type Sampler struct {
	root        fs.FS
	frequencies []int    // a processor of each clock that is watched
	sensors     []string // files
	stop, done  chan struct{}
	freq, temp  series
	result      func() Samples
}

// Samples are what a Sampler saw.
type Samples struct {
	FreqHz  Range `json:"freq_hz"` // of the slowest of the processors watched
	Celsius Range `json:"celsius"` // of the hottest of the processor's sensors
}

// Range sums up n readings. Without any, n is 0 and the others mean nothing.
type Range struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// maxWatched is how many clocks and how many sensors a Sampler reads at most.
const maxWatched = 8

// StartSampler begins to read the clocks of the given processors and the
// processor's temperature, now and then each time that every has passed, which
// is above 0.
func StartSampler(root fs.FS, list []int, every time.Duration) *Sampler {
	s := newSampler(root, list)
	s.sample()
	go func() {
		defer close(s.done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.sample()
			case <-s.stop:
				s.sample()
				return
			}
		}
	}()
	return s
}

// Stop reads once more, ends the sampler and sums up. Further calls return the
// same.
func (s *Sampler) Stop() Samples { return s.result() }

func newSampler(root fs.FS, list []int) *Sampler {
	s := &Sampler{root: root, stop: make(chan struct{}), done: make(chan struct{})}
	s.result = sync.OnceValue(func() Samples {
		close(s.stop)
		<-s.done
		return Samples{s.freq.sum(), s.temp.sum()}
	})
	var shared []int // processors whose clock is watched already
	for _, c := range list {
		if slices.Contains(shared, c) || len(s.frequencies) == maxWatched {
			continue
		}
		related, err := readCPUList(root, fmt.Sprintf("%s/cpu%d/cpufreq/related_cpus", cpus, c))
		if err != nil {
			related = []int{c}
		}
		shared = append(shared, related...)
		s.frequencies = append(s.frequencies, c)
	}
	sensors := readSensors(root)
	if slices.ContainsFunc(sensors, func(z sensor) bool { return z.processor() }) {
		sensors = slices.DeleteFunc(sensors, func(z sensor) bool { return !z.processor() })
	}
	slices.SortStableFunc(sensors, func(a, b sensor) int { return cmp.Compare(b.Celsius, a.Celsius) }) // the hottest stay
	for _, z := range sensors[:min(len(sensors), maxWatched)] {
		s.sensors = append(s.sensors, z.file)
	}
	return s
}

// sample reads everything once. What does not answer is left out.
func (s *Sampler) sample() {
	var hz []int64
	for _, c := range s.frequencies {
		if v, err := readHz(s.root, c, "scaling_cur_freq"); err == nil {
			hz = append(hz, v)
		}
	}
	if len(hz) > 0 {
		s.freq.add(float64(slices.Min(hz)))
	}
	var celsius []float64
	for _, file := range s.sensors {
		if v, err := readCelsius(s.root, file); err == nil {
			celsius = append(celsius, v)
		}
	}
	if len(celsius) > 0 {
		s.temp.add(slices.Max(celsius))
	}
}

// maxKept bounds what a series keeps, however long it lasts.
const maxKept = 1024

// series sums up readings in bounded memory: the extremes are those of all,
// the median is that of every stride-th.
type series struct {
	n, stride int
	min, max  float64
	kept      []float64
}

func (s *series) add(v float64) {
	if s.n == 0 {
		s.min, s.max, s.stride = v, v, 1
	}
	s.min, s.max = min(s.min, v), max(s.max, v)
	if s.n%s.stride == 0 {
		if len(s.kept) == maxKept { // drop every other one
			for i := range maxKept / 2 {
				s.kept[i] = s.kept[2*i]
			}
			s.kept, s.stride = s.kept[:maxKept/2], 2*s.stride
		}
		s.kept = append(s.kept, v) // maxKept is even, so that n is a multiple of the new stride too
	}
	s.n++
}

func (s *series) sum() Range {
	if s.n == 0 {
		return Range{}
	}
	return Range{s.n, s.min, stats.Median(s.kept), s.max}
}
