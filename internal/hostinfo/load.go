// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Load is how busy others keep the machine. A zero field is unknown.
type Load struct {
	Average1m  *float64 `json:"average_1m,omitempty"` // threads that run or wait, averaged over a minute
	Average5m  *float64 `json:"average_5m,omitempty"`
	Average15m *float64 `json:"average_15m,omitempty"`
	Processors *float64 `json:"processors,omitempty"` // that other processes kept busy
	Busiest    []Busy   `json:"busiest,omitempty"`    // of them, the busiest first
}

// Busy is a process and how many processors it kept busy.
type Busy struct {
	PID        int     `json:"pid"`
	Name       string  `json:"name"`
	Processors float64 `json:"processors"`
}

// parseLoadAverage reads /proc/loadavg: 0.20 0.18 0.12 1/80 11206.
func parseLoadAverage(text string) (average [3]float64, err error) {
	fields := strings.Fields(text)
	if len(fields) < len(average) {
		return average, ErrNoData
	}
	for i := range average {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return average, ErrNoData
		}
		average[i] = v
	}
	return average, nil
}

// Usage is the processor time that each process has used up to a moment.
type Usage struct {
	at    time.Time
	ticks map[processID]int64
	names map[processID]string
}

// processID tells processes apart even where a number is used again.
type processID struct{ pid, start int64 }

// maxProcesses bounds what a Usage holds.
const maxProcesses = 1 << 14

// ReadUsage reads the processor times at a moment. Processes that /proc hides
// are left out.
func ReadUsage(root fs.FS, at time.Time) Usage {
	u := Usage{at: at, ticks: map[processID]int64{}, names: map[processID]string{}}
	entries, _ := fs.ReadDir(root, "proc")
	for _, e := range entries {
		pid, err := strconv.ParseInt(e.Name(), 10, 32)
		if err != nil || pid <= 0 || len(u.ticks) >= maxProcesses {
			continue
		}
		stat, err := readText(root, fmt.Sprintf("proc/%d/stat", pid))
		if err != nil {
			continue
		}
		if name, start, ticks, err := parseStat(stat); err == nil {
			id := processID{pid, start}
			u.ticks[id], u.names[id] = ticks, name
		}
	}
	return u
}

// parseStat reads /proc/PID/stat: the name in parentheses, which may hold
// parentheses itself; user and system time, fields 14 and 15, and the start
// time, field 22, in ticks (proc_pid_stat(5)).
func parseStat(stat string) (name string, start, ticks int64, err error) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", 0, 0, ErrNoData
	}
	fields := strings.Fields(stat[end+1:]) // from field 3 on
	if len(fields) < 20 {
		return "", 0, 0, ErrNoData
	}
	var n [3]int64
	for i, f := range []int{14, 15, 22} {
		v, err := strconv.ParseInt(fields[f-3], 10, 64)
		if err != nil || v < 0 || v > math.MaxInt64/2 {
			return "", 0, 0, ErrNoData
		}
		n[i] = v
	}
	return clean(stat[open+1 : end]), n[2], n[0] + n[1], nil
}

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every architecture
// that edgenas runs on.
const tick = time.Second / 100

// Busiest compares two moments: how many processors all processes but the
// given one kept busy between them, and the n busiest. It is false where /proc
// shows no other process, or no time passed.
func Busiest(before, after Usage, except, n int) (all float64, busiest []Busy, ok bool) {
	elapsed := after.at.Sub(before.at)
	if elapsed <= 0 {
		return 0, nil, false
	}
	for id, ticks := range after.ticks {
		if id.pid == int64(except) {
			continue
		}
		earlier, known := before.ticks[id]
		if !known { // started in between, so that all of its time counts
			earlier = 0
		}
		ok = true
		if ticks <= earlier {
			continue
		}
		b := Busy{int(id.pid), after.names[id], float64(ticks-earlier) * float64(tick) / float64(elapsed)}
		all += b.Processors
		busiest = append(busiest, b)
	}
	slices.SortFunc(busiest, func(a, b Busy) int {
		return cmp.Or(cmp.Compare(b.Processors, a.Processors), cmp.Compare(a.PID, b.PID))
	})
	return all, busiest[:min(n, len(busiest))], ok
}
