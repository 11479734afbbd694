// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/internal/ridge"
	"github.com/edgenas/edgenas/ops"
)

// stagesOfCells is how many stages of cells a network has: an operation of a
// cell has an entry of a latency table for each.
const stagesOfCells = 3

// entries are the latencies of a device as a latency table has them: one for
// each operation and stage, and one for each stage's rest.
type entries struct {
	operations []string    // of cells; the last is the rest of the network
	seconds    []float64   // of an operation, in all stages
	counts     [][]float64 // of operations in each network of the table
}

// entriesOf finds the latencies of operations on a device by those of whole
// networks, which are nearly their sums.
func (t *Table) entriesOf(device int) (entries, error) {
	var e entries
	for _, name := range t.operations {
		if name != ops.None {
			e.operations = append(e.operations, name)
		}
	}
	e.operations = append(e.operations, "")
	var x [][]float64
	var y []float64
	for _, n := range t.Networks {
		counts := e.count(n.Notation)
		e.counts = append(e.counts, counts)
		if s := n.latencyS[device]; !math.IsNaN(s) {
			x, y = append(x, counts), append(y, s)
		}
	}
	var ok bool
	if e.seconds, ok = ridge.LeastSquares(x, y); !ok {
		return e, fmt.Errorf("oracle: %s: %s: too few networks to tell what an operation takes", t.Name, t.Devices[device])
	}
	return e, nil
}

// count is how many of each operation a network has, and one rest.
func (e entries) count(notation string) []float64 {
	counts := make([]float64, len(e.operations))
	for i, name := range e.operations {
		counts[i] = 1
		if name != "" {
			counts[i] = float64(strings.Count(notation, "|"+name+"~"))
		}
	}
	return counts
}

// noisy is the table as a search sees it whose profile is wrong: each entry
// times exp(N(0, deviation)).
func (t *Table) noisy(device int, e entries, deviation float64, rng *rand.Rand) *Table {
	more := make([]float64, len(e.seconds)) // that an operation seems to take more than it does
	for i, s := range e.seconds {
		for range stagesOfCells {
			more[i] += s / stagesOfCells * (math.Exp(deviation*rng.NormFloat64()) - 1)
		}
	}
	seen := *t
	seen.Networks = slices.Clone(t.Networks)
	for i, n := range seen.Networks {
		seconds := slices.Clone(n.latencyS)
		for k, count := range e.counts[i] {
			seconds[device] += float64(count * more[k]) // no fused multiply-add
		}
		seen.Networks[i].latencyS = seconds
	}
	return &seen
}
