// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Affinity lists the processors that the calling thread may run on. Systems
// that cannot tell return ErrNoData.
func Affinity() ([]int, error) { return threadAffinity(0) }

// threadAffinity is that of a thread of this process; 0 is the calling one.
func threadAffinity(tid int) ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		return nil, fmt.Errorf("hostinfo: affinity: %w", err)
	}
	var list []int
	for c := 0; len(list) < set.Count(); c++ {
		if set.IsSet(c) {
			list = append(list, c)
		}
	}
	return list, nil
}

// SetAffinity keeps the calling thread on the given processors; lock the
// goroutine to its thread first. Systems that cannot return ErrNoData. The
// system may leave out some of them without an error: see [Affinity].
func SetAffinity(list []int) error { return setThreadAffinity(0, list) }

func setThreadAffinity(tid int, list []int) error {
	var set unix.CPUSet
	for _, c := range list {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("hostinfo: affinity %s: %w", FormatCPUs(list), err)
	}
	return nil
}

// CurrentCPU is the processor that the calling thread runs on at this moment.
// Systems that cannot tell return ErrNoData.
func CurrentCPU() (int, error) {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0, fmt.Errorf("hostinfo: current processor: %w", errno)
	}
	return int(cpu), nil
}

// SetProcessAffinity keeps all threads of this process on the given
// processors, and with them those that they start. It returns only when each
// has been seen to be kept. Systems that cannot return ErrNoData.
func SetProcessAffinity(list []int) error {
	kept := map[int]bool{}
	for range 8 { // threads may start in between; those that are kept hand it on
		tids, err := threads()
		if err != nil {
			return err
		}
		started := false
		for _, tid := range tids {
			if kept[tid] {
				continue
			}
			started = true
			err := setThreadAffinity(tid, list)
			if errors.Is(err, unix.ESRCH) { // has ended
				continue
			}
			if err != nil {
				return err
			}
			now, err := threadAffinity(tid)
			if err == nil && !within(now, list) {
				return fmt.Errorf("hostinfo: affinity: a thread may run on %s, want %s", FormatCPUs(now), FormatCPUs(list))
			}
			kept[tid] = true
		}
		if !started {
			return nil
		}
	}
	return fmt.Errorf("hostinfo: affinity %s: this process keeps starting threads elsewhere", FormatCPUs(list))
}

// ProcessAffinity lists the processors that any thread of this process may run
// on. Systems that cannot tell return ErrNoData.
func ProcessAffinity() ([]int, error) {
	tids, err := threads()
	if err != nil {
		return nil, err
	}
	var all []int
	for _, tid := range tids {
		list, err := threadAffinity(tid)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// threads lists the threads of this process.
func threads() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("hostinfo: affinity: threads of this process: %w", err)
	}
	var tids []int
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids, nil
}

// within reports whether every processor of list is in set.
func within(list, set []int) bool {
	return !slices.ContainsFunc(list, func(c int) bool { return !slices.Contains(set, c) })
}
