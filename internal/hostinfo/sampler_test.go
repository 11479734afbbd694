// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func TestSampler(t *testing.T) {
	root, _ := machine(t, "pixel6")
	set := func(file, text string) { root[file] = &fstest.MapFile{Data: []byte(text)} }
	s := newSampler(root, []int{4, 5, 6, 7})
	if !slices.Equal(s.frequencies, []int{4, 6}) {
		t.Errorf("watches the clocks of %v, want those of 4 and 6, which 5 and 7 share", s.frequencies)
	}
	s.sample()
	set(cpus+"/cpufreq/policy6/scaling_cur_freq", "2802000")
	set("sys/class/thermal/thermal_zone2/temp", "75000") // LITTLE is the hottest now
	s.sample()
	set(cpus+"/cpufreq/policy4/scaling_cur_freq", "400000")
	set("sys/class/thermal/thermal_zone3/temp", "99000") // the graphics do not count
	s.sample()
	set(cpus+"/cpufreq/policy4/scaling_cur_freq", "<unknown>")
	set(cpus+"/cpufreq/policy6/scaling_cur_freq", "<unknown>")
	s.sample()
	close(s.done)
	want := Samples{Range{3, 400e6, 1426e6, 2253e6}, Range{4, 71, 75, 75}}
	if got := s.Stop(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSamplerRuns(t *testing.T) {
	root, _ := machine(t, "pi5")
	s := StartSampler(root, []int{3}, time.Millisecond)
	time.Sleep(5 * time.Millisecond)
	var wg sync.WaitGroup
	for range 3 { // from anywhere, more than once
		wg.Go(func() { s.Stop() })
	}
	wg.Wait()
	got := s.Stop()
	if got.FreqHz.N < 2 || got.FreqHz.Median != 2400e6 || got.Celsius.N < 2 || got.Celsius.Max != 48.2 {
		t.Errorf("%+v", got)
	}
	if got != s.Stop() {
		t.Error("stopping again changes what was seen")
	}
	silent := StartSampler(fstest.MapFS{}, nil, time.Hour)
	if got := silent.Stop(); got != (Samples{}) {
		t.Errorf("silent sensors: %+v", got)
	}
}

// TestSeries checks that what is kept stays bounded and evenly spread.
func TestSeries(t *testing.T) {
	for _, n := range []int{1, 2, 3, maxKept - 1, maxKept, maxKept + 1, 2*maxKept + 1, 10*maxKept + 7} {
		var s series
		for i := range n {
			s.add(float64(i))
		}
		got := s.sum()
		if got.N != n || got.Min != 0 || got.Max != float64(n-1) || len(s.kept) > maxKept {
			t.Errorf("%d readings: %+v, %d kept", n, got, len(s.kept))
		}
		if want, most := float64(n-1)/2, float64(s.stride); got.Median < want-most || got.Median > want+most {
			t.Errorf("%d readings: median %v, want %v ± %v", n, got.Median, want, most)
		}
		for i, v := range s.kept {
			if v != float64(i*s.stride) {
				t.Fatalf("%d readings: %d-th kept is %v, stride %d", n, i, v, s.stride)
			}
		}
	}
}
