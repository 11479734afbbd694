// SPDX-License-Identifier: Apache-2.0

// Package oracle tells what searches and evaluators of networks are worth, by a
// table of networks that others have trained and timed.
//
// A [Table] has the accuracies and latencies of all networks of a space, a
// [Budget] the limit under which they compete. [NewCard] compares evaluators by
// their recorded [Scores], [Replay] whole searches, simulated from the scores.
package oracle

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/search"
)

// maxTableBytes is the greatest size of a table that is read, unpacked.
const maxTableBytes = 64 << 20

// Measure is an accuracy that the table has of each network.
type Measure int

const (
	C10Val12    Measure = iota // CIFAR-10, validation after 12 epochs
	C10Test200                 // CIFAR-10, test after 200 epochs: see [Table.Accuracy]
	C100Val12                  // CIFAR-100
	C100Test200                // CIFAR-100
	measures
)

// String returns the measure's name as columns have it.
func (m Measure) String() string {
	return [measures]string{"c10_val12", "c10_test200", "c100_val12", "c100_test200"}[m]
}

// Images is how many images the training learned from that the measure judges: for
// 12 epochs from half of CIFAR-10 or all of CIFAR-100, or for 200 from all of them.
func (m Measure) Images() float64 {
	return [measures]float64{12 * 25_000, 200 * 50_000, 12 * 50_000, 200 * 50_000}[m]
}

// The forms of a table's columns.
const (
	archColumn    = "arch"
	accuracyUnit  = "_pct"
	latencySuffix = "_ms"
)

// size is that of the networks which were trained.
var size = arch.Size{Cells: 5, Channels: 16, Image: 32, Colours: 3, Classes: 10}

// Network is a row of the table.
type Network struct {
	Notation  string
	Choice    arch.Choice
	Structure search.Structure

	accuracy [measures]float64 // percent
	latencyS []float64         // by device; NaN: not known
}

// Table is the networks of the space nb201 that others have trained and timed,
// each with a canonical choice.
type Table struct {
	Name     string
	Devices  []string // that the networks are timed on
	Networks []Network

	index      map[string]int // by notation
	residual   string         // notation of ResNet's cell
	operations []string       // of cells
}

// Open reads the table in the file, which may be packed by gzip.
func Open(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	defer f.Close()
	return Read(f, path)
}

// Read reads a table of comma-separated values, as it is or packed by gzip. The
// first line names the columns: arch, the network in the notation of
// NAS-Bench-201; c10_val12_pct, c10_test200_pct, c100_val12_pct and
// c100_test200_pct, accuracies; DEVICE_ms, latencies, empty where not known.
// Others are passed over. Errors begin with name and say the line.
func Read(r io.Reader, name string) (*Table, error) {
	fail := func(err error) (*Table, error) { return nil, fmt.Errorf("oracle: %s: %w", name, err) }
	b := bufio.NewReader(r)
	r = b
	if magic, _ := b.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(b)
		if err != nil {
			return fail(err)
		}
		r = z
	}
	limited := &io.LimitedReader{R: r, N: maxTableBytes + 1}
	lines := csv.NewReader(limited)
	lines.ReuseRecord = true
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return fail(errors.New("empty: want a line that names the columns"))
	}
	if err != nil {
		return fail(err)
	}
	t := &Table{Name: name, index: map[string]int{}}
	columns, err := t.columns(header)
	if err != nil {
		return fail(err)
	}
	space, err := arch.NewSpace("nb201", size)
	if err != nil {
		return fail(err)
	}
	t.residual = space.Notation(space.Canonical(arch.Reference(space)))
	t.operations = space.Alphas()[0].Ops
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail(err)
		}
		line, _ := lines.FieldPos(0)
		if err := t.add(space, columns, record); err != nil {
			return fail(fmt.Errorf("line %d: %w", line, err))
		}
	}
	if limited.N <= 0 {
		return fail(fmt.Errorf("larger than %d bytes", maxTableBytes))
	}
	if len(t.Networks) == 0 {
		return fail(errors.New("no networks"))
	}
	return t, nil
}

// columns are where a table has what.
type columns struct {
	arch     int
	accuracy [measures]int
	latency  []int // by device
}

// columns finds the columns by their names.
func (t *Table) columns(header []string) (columns, error) {
	for i, name := range header {
		if slices.Contains(header[:i], name) {
			return columns{}, fmt.Errorf("line 1: two columns %.50q", name)
		}
	}
	var missing []string
	at := func(name string) int {
		i := slices.Index(header, name)
		if i < 0 {
			missing = append(missing, name)
		}
		return i
	}
	c := columns{arch: at(archColumn)}
	for m := range measures {
		c.accuracy[m] = at(m.String() + accuracyUnit)
	}
	for i, name := range header {
		if device, ok := strings.CutSuffix(name, latencySuffix); ok && device != "" {
			t.Devices = append(t.Devices, device)
			c.latency = append(c.latency, i)
		}
	}
	if len(c.latency) == 0 {
		missing = append(missing, "DEVICE"+latencySuffix)
	}
	if missing != nil {
		return c, fmt.Errorf("line 1: there is no column %s", strings.Join(missing, ", "))
	}
	return c, nil
}

// add adds the network of a line.
func (t *Table) add(space arch.Space, at columns, record []string) error {
	n := Network{Notation: strings.Clone(record[at.arch])}
	var err error
	if n.Choice, err = space.Parse(n.Notation); err != nil {
		return err
	}
	if !n.Choice.Equal(space.Canonical(n.Choice)) {
		return fmt.Errorf("%s has dead edges: want none in their place", n.Notation)
	}
	if _, twice := t.index[n.Notation]; twice {
		return fmt.Errorf("%s stands there twice", n.Notation)
	}
	g, err := space.Network(n.Choice, 1)
	if err != nil {
		return err
	}
	n.Structure = search.StructureOf(g)
	for m, i := range at.accuracy {
		v, err := strconv.ParseFloat(record[i], 64)
		if err != nil || !(v >= 0 && v <= 100) {
			return fmt.Errorf("%s%s %.50q: want 0 to 100", Measure(m), accuracyUnit, record[i])
		}
		n.accuracy[m] = v
	}
	for d, i := range at.latency {
		v := math.NaN()
		if record[i] != "" {
			if v, err = strconv.ParseFloat(record[i], 64); err != nil || !(v > 0) || math.IsInf(v, 1) {
				return fmt.Errorf("%s%s %.50q: want more than 0, or nothing", t.Devices[d], latencySuffix, record[i])
			}
		}
		n.latencyS = append(n.latencyS, v/1000)
	}
	t.index[n.Notation] = len(t.Networks)
	t.Networks = append(t.Networks, n)
	return nil
}

// Find returns the number of the network with this notation.
func (t *Table) Find(notation string) (int, bool) {
	i, ok := t.index[notation]
	return i, ok
}

// Residual returns the number of the network of ResNet's cell, by which a search
// compares sizes.
func (t *Table) Residual() (int, bool) { return t.Find(t.residual) }

// Accuracy returns an accuracy of each network, in percent. What nothing may be
// tuned on, the test accuracy on CIFAR-10, is given only after the look at it has
// been written down.
func (t *Table) Accuracy(m Measure, looks Looks, purpose string) ([]float64, error) {
	if m == C10Test200 {
		if err := looks.add(purpose); err != nil {
			return nil, err
		}
	}
	all := make([]float64, len(t.Networks))
	for i, n := range t.Networks {
		all[i] = n.accuracy[m]
	}
	return all, nil
}
