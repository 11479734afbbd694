// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/hostprofile"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/profiles"
)

// ThisDevice returns this machine as profiles describe it.
func ThisDevice() profiles.Device {
	root := hostinfo.Root()
	return hostprofile.Device(hostinfo.Local(), hostinfo.ReadState(root, hostinfo.FastestCore(root, nil)))
}

// Confine keeps this process on the processors that cluster names: big,
// little, or a mask such as 0xf0; empty: those that it has. It is seen to be
// kept there, or else an error. Release lets it go.
func Confine(cluster string) (release func(), err error) {
	if cluster == "" {
		return func() {}, nil
	}
	before, err := hostinfo.ProcessAffinity()
	if err != nil {
		return nil, err
	}
	list, err := hostinfo.SelectCPUs(cluster, hostinfo.Clusters(hostinfo.Root()))
	if err == nil {
		err = hostinfo.SetProcessAffinity(list)
	}
	if err != nil {
		return nil, err
	}
	return func() { hostinfo.SetProcessAffinity(before) }, nil // it was so before
}

// machine is what measures: a core and its sensors.
type machine struct {
	root     fs.FS
	core     int
	affinity []int  // nil: not kept on particular processors
	warning  string // why not

	// waited is the clock of the measuring thread's time in its core's queue;
	// nil: unknown, as for a runtime of several threads.
	waited func() time.Duration
}

func (m machine) state() hostinfo.State { return hostinfo.ReadState(m.root, m.core) }

// occupy keeps this goroutine on one core, the fastest that it may use, for a
// runtime of one thread. Release lets it go.
func occupy(threads int) (m machine, release func()) {
	m = machine{root: hostinfo.Root()}
	allowed, err := hostinfo.Affinity()
	m.core = hostinfo.FastestCore(m.root, allowed)
	if threads > 1 { // they would share the core
		if list, e := hostinfo.ProcessAffinity(); e == nil && confined(m.root, list) {
			m.affinity = list
		}
		return m, func() {}
	}
	runtime.LockOSThread()
	waited, closeClock := newWaitClock()
	m.waited = waited
	if err == nil {
		err = hostinfo.SetAffinity([]int{m.core})
	}
	if err != nil {
		m.warning = fmt.Sprintf("not kept on one core: %v", err)
		return m, func() {
			closeClock()
			runtime.UnlockOSThread()
		}
	}
	m.affinity = []int{m.core}
	return m, func() {
		closeClock()
		if hostinfo.SetAffinity(allowed) == nil { // else the thread ends with its goroutine
			runtime.UnlockOSThread()
		}
	}
}

// confined says whether the machine has other processors than those.
func confined(root fs.FS, list []int) bool {
	return slices.ContainsFunc(hostinfo.Clusters(root), func(c hostinfo.Cluster) bool {
		return slices.ContainsFunc(c.CPUs, func(cpu int) bool { return !slices.Contains(list, cpu) })
	})
}

// hot is the temperature from which boards slow down (Raspberry Pi: 80 °C).
const hot = 80

// steadyClock is the share of the clock before a measurement that a steady clock
// still has after it; governors move it by a few per cent.
const steadyClock = 0.95

// stateWarnings says what in the machine's state puts times in doubt.
func stateWarnings(emulation string, before, after hostinfo.State) []string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	switch hostinfo.Emulation(emulation) {
	case hostinfo.Qemu:
		add("times are not valid: instructions are translated by qemu")
	case hostinfo.EmulationUnknown:
		add("emulation unknown: this process cannot read its own memory map")
	}
	if g := after.Governor; g != "" && g != "performance" {
		add("governor is %s: the clock may change", g)
	}
	if float64(after.FreqHz) < steadyClock*float64(before.FreqHz) && after.FreqHz > 0 {
		add("the clock fell from %.0f to %.0f MHz", float64(before.FreqHz)/1e6, float64(after.FreqHz)/1e6)
	}
	slow := slices.Concat(before.Throttled, after.Throttled)
	slices.Sort(slow)
	if slow = slices.Compact(slow); len(slow) > 0 {
		add("slowed down: %s", strings.Join(slow, ", "))
	}
	if n := after.ThrottleEvents - before.ThrottleEvents; n > 0 {
		add("the core was throttled %d times", n)
	}
	if z, ok := after.Hottest(); ok && z.Celsius >= hot {
		add("hot: %s at %.0f °C", z.Name, z.Celsius)
	}
	return w
}

// earlierSentinel is the sentinel's median time in the profile's other
// entries, 0 if there are none.
func (s *session) earlierSentinel() float64 {
	var times []float64
	for _, e := range s.profile.Entries {
		times = append(times, e.SentinelS...)
	}
	if len(times) == 0 {
		return 0
	}
	return stats.Median(times)
}

// describe writes into the profile how and in what state this session has
// measured.
func (s *session) describe(before hostinfo.State, earlier float64) {
	after, p := s.machine.state(), s.profile
	p.Device.Before, p.Device.After = hostprofile.State(before), hostprofile.State(after)
	if after.Governor != "" {
		p.Device.Governor = after.Governor
	}
	p.Runtime.Affinity = s.machine.affinity
	p.Protocol = profiles.Protocol{
		Date: s.date.UTC().Format(time.RFC3339), Seed: s.options.Seed,
		WarmUpS: (warmUp + s.soaked).Seconds(), Rounds: s.options.Rounds,
		SamplesPerRound: samplesPerRound, MinSampleS: s.least().Seconds(), Copies: minCopies,
		Cache: "weights cold, activations warm", Sentinel: sentinel.String(), Extra: p.Protocol.Extra,
		Mode: s.mode.String(), ClockStepS: s.tick.Seconds(), MaxTemperatureCelsius: s.options.MaxCelsius,
	}
	if s.mode.Period > 0 {
		p.Protocol.SamplesPerRound, p.Protocol.MinSampleS, p.Protocol.Cache = pacedSamples, 0, "as a pause leaves them"
	}
	process := hostinfo.ReadProcess(s.machine.root)
	p.Protocol.Cpuset = process.Group()
	if process.Uclamp != nil {
		p.Protocol.UclampMin, p.Protocol.UclampMax = process.Uclamp.Min, process.Uclamp.Max
	}
	_, ok := after.Hottest()
	if s.mode.Sustained && !ok {
		s.warn("no temperature can be read: the device was warmed up until its speed was steady")
	}
	if s.options.MaxCelsius > 0 && !ok {
		s.warn("rounds were to wait for a temperature, but none can be read")
	}
	if s.machine.warning != "" {
		s.warn(s.machine.warning)
	}
	s.warnings = append(s.warnings, stateWarnings(p.Device.Emulation, before, after)...)
	s.sessionDoubts(earlier)
	if w := sharedWarning(s.interrupted, s.samples); w != "" {
		s.warn(w)
	}
	for _, w := range s.warnings {
		if !slices.Contains(p.Warnings, w) {
			p.Warnings = append(p.Warnings, w)
		}
	}
}
