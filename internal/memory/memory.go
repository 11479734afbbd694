// SPDX-License-Identifier: Apache-2.0

// Package memory says how much memory training a network will take, before any
// of it is allocated, and how much there is.
package memory

import (
	"fmt"
	"runtime"
	"sort"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/ops"
)

// Use is what training takes, in bytes.
type Use struct {
	Step       int64 // where a step runs, and its images: activations, their gradients, working memory
	Network    int64 // parameters, gradients, momenta, the program and its tables
	Checkpoint int64 // what has been learned, copied and as the bytes of a file
	Rest       int64 // the program itself, the data set, the latency table
	Garbage    int64 // what has not been collected yet
}

// Total is all of it.
func (u Use) Total() int64 { return u.Step + u.Network + u.Checkpoint + u.Rest + u.Garbage }

// String gives the total and its parts: "2.1 GB (step 1.9 GB, network 24 MB, …)".
func (u Use) String() string {
	return fmt.Sprintf("%s (step %s, network %s, checkpoint %s, data and program %s, garbage %s)",
		units.Bytes(u.Total()), units.Bytes(u.Step), units.Bytes(u.Network), units.Bytes(u.Checkpoint), units.Bytes(u.Rest),
		units.Bytes(u.Garbage))
}

// GarbagePercent is how much garbage an estimate allows for, of what is in use:
// the argument of [debug.SetGCPercent] while training. Go's own 100 would let
// garbage grow as large as the arena.
const GarbagePercent = 10

// programBytes is what the program takes beside its heap: code, the runtime's
// own memory, stacks. As measured on linux/amd64.
const programBytes = 18 << 20

// Plan gives the bytes of the arena in which a network's step would run.
type Plan func(*ops.Graph) (arena int, err error)

// Model is a network that will be trained.
type Model struct {
	Graph *ops.Graph
	Plan  Plan
	Fixed int64 // bytes whatever the batch: parameters, gradients, the program
	Held  int64 // bytes of the heap that are in use beside the model
}

// Available returns what can be allocated without swapping, in bytes. ok is false
// where nothing tells: anywhere but on Linux.
func Available() (n int64, ok bool) {
	n, err := hostinfo.AvailableMemory(hostinfo.Root())
	return n, err == nil
}

// Held is how much of the heap is in use.
func Held() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// Estimate is what training the model takes with SGD.
func (m Model) Estimate() (Use, error) { return m.estimate(m.Graph) }

// estimate is Estimate for the model's network with another batch.
func (m Model) estimate(g *ops.Graph) (Use, error) {
	arena, err := m.Plan(g)
	if err != nil {
		return Use{}, fmt.Errorf("memory: %w", err)
	}
	u := Use{Step: int64(arena), Network: m.Fixed, Rest: m.Held}
	for _, n := range g.Nodes {
		if n.Kind == ops.Input {
			u.Step += float32Bytes * int64(n.Shape.Len())
		}
		for _, p := range g.Params(n) {
			kept := float32Bytes * int64(p.Len())
			if p.Learn {
				u.Network += kept // momenta
				kept *= 2
			}
			u.Checkpoint += copies * kept
		}
	}
	u.Garbage = u.Total() * GarbagePercent / 100
	u.Rest += programBytes
	return u, nil
}

const (
	float32Bytes = 4
	// copies of what a checkpoint keeps are there at once: values, the bytes
	// for the digest, the bytes of the file.
	copies = 3
)

// TooLargeError says that there is not enough memory.
type TooLargeError struct {
	Use       Use
	Available int64 // bytes
	Batch     int   // images of a step that was asked for
	Fits      int   // the most images with which there is enough; 0: none
}

func (e *TooLargeError) Error() string {
	advice := "not even a batch of 1 would fit"
	if e.Fits > 0 {
		advice = fmt.Sprintf("a batch of %d would fit", e.Fits)
	}
	return fmt.Sprintf("memory: training on %d images a step takes %v, and %s are available: %s", e.Batch, e.Use,
		units.Bytes(e.Available), advice)
}

// Check estimates what training the model takes, and returns a *TooLargeError
// if that is more than what is available.
func (m Model) Check(available int64) (Use, error) {
	use, err := m.Estimate()
	if err != nil || use.Total() <= available {
		return use, err
	}
	batch := m.Graph.Nodes[0].Shape.N
	over := sort.Search(batch, func(i int) bool { // i+1 images are too many
		u, e := m.estimate(m.Graph.WithBatch(i + 1))
		if e != nil {
			err = e
		}
		return e != nil || u.Total() > available
	})
	if err != nil {
		return use, err
	}
	return use, &TooLargeError{Use: use, Available: available, Batch: batch, Fits: over}
}
