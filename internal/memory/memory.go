// SPDX-License-Identifier: Apache-2.0

// Package memory says how much memory training a network will take, before any
// of it is allocated, and how much there is.
package memory

import (
	"fmt"
	"sort"

	"github.com/edgenas/edgenas/ops"
)

// Use is what training takes, in bytes.
type Use struct {
	Arena   int64 // where a step runs: activations, their gradients, working memory
	Weights int64 // parameters, gradients, momenta, running statistics
	Images  int64 // a batch
	Data    int64 // the data set
	Program int64 // the program itself and its graph
}

// Total is all of it.
func (u Use) Total() int64 { return u.Arena + u.Weights + u.Images + u.Data + u.Program }

// String gives the total and its parts: "2.1 GB (step 1.9 GB, weights 24 MB, …)".
func (u Use) String() string {
	return fmt.Sprintf("%s (step %s, weights %s, images %s, data %s, program %s)",
		Bytes(u.Total()), Bytes(u.Arena), Bytes(u.Weights), Bytes(u.Images), Bytes(u.Data), Bytes(u.Program))
}

// Plan gives the bytes of the arena in which a network's step would run.
type Plan func(*ops.Graph) (arena int, err error)

// What the program takes beside the rest, as measured on amd64: by
// itself, for each recorded node (Gorgonia's nodes and the garbage of
// differentiating them), and for each parameter while weights are loaded.
const (
	programBytes = 18 << 20
	nodeBytes    = 14 << 10
	loadBytes    = 8
)

// float32s that training holds of a parameter: value, gradient, momentum.
const copies = 3

// Estimate is what training g takes with SGD, beside a data set of so many bytes.
func Estimate(g *ops.Graph, plan Plan, data int64) (Use, error) {
	arena, err := plan(g)
	if err != nil {
		return Use{}, fmt.Errorf("memory: %w", err)
	}
	u := Use{Arena: int64(arena), Data: data, Program: programBytes + nodeBytes*int64(len(g.Nodes))}
	for _, n := range g.Nodes {
		if n.Kind == ops.Input {
			u.Images += 4 * int64(n.Shape.Len())
		}
		for _, p := range g.Params(n) {
			size := int64(p.Len())
			if u.Weights += 4 * size; p.Learn {
				u.Weights += 4 * (copies - 1) * size
			}
			u.Program += loadBytes * size
		}
	}
	return u, nil
}

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
	return fmt.Sprintf("memory: training on %d images a step takes %v, and %s are available: %s", e.Batch, e.Use, Bytes(e.Available), advice)
}

// Check estimates what training g takes, and returns a *TooLargeError if that
// is more than what is available.
func Check(g *ops.Graph, plan Plan, data, available int64) (Use, error) {
	use, err := Estimate(g, plan, data)
	if err != nil || use.Total() <= available {
		return use, err
	}
	batch := g.Nodes[0].Shape.N
	over := sort.Search(batch, func(i int) bool { // i+1 images are too many
		u, e := Estimate(g.WithBatch(i+1), plan, data)
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

// Bytes gives n in the unit that suits it: "1.9 GB", "24 MB", "512 B".
func Bytes(n int64) string {
	v := float64(n)
	for _, unit := range []struct {
		name string
		size float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if v >= 9.95*unit.size {
			return fmt.Sprintf("%.0f %s", v/unit.size, unit.name)
		}
		if v >= 0.9995*unit.size {
			return fmt.Sprintf("%.1f %s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
