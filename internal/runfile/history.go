// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/edgenas/edgenas/internal/atomicfile"
)

// Point is one line of history.jsonl as a reader sees it: where a search or a
// training stood (search.Point, train.Point). What a line does not say is nil.
type Point struct {
	Phase string `json:"phase"` // "search" or "train"
	Epoch int    `json:"epoch"`
	Step  int    `json:"step"`

	LossTrain     *float64 `json:"loss_train"`
	LossVal       *float64 `json:"loss_val"`
	AccuracyTrain *float64 `json:"accuracy_train"` // 0…1, as all shares
	AccuracyVal   *float64 `json:"accuracy_val"`
	LR            *float64 `json:"lr"`

	Alpha            [][][]float64 `json:"alpha"`         // softmax of α: α, row (decision), column (operation)
	AlphaEntropy     *float64      `json:"alpha_entropy"` // 1 undecided, 0 decided
	SkipShare        *float64      `json:"skip_share"`
	Lambda           *float64      `json:"lambda"`
	Temperature      *float64      `json:"temperature"`
	ExpectedLatencyS *float64      `json:"expected_latency_s"`
	DerivedLatencyS  *float64      `json:"derived_latency_s"` // nil (0 in older files): the derived cell is no network
	Derived          string        `json:"derived"`           // in the space's notation
	Warning          string        `json:"warning"`
}

// Limits of a history. A phase may fill a share of it: the writer leaves out
// points rather than write what no reader would take.
const (
	MaxHistoryBytes = 32 << 20
	MaxLineBytes    = 1 << 20
	maxPhaseBytes   = MaxHistoryBytes / 2 // of each of the two phases
	maxEpoch        = 1e6
)

// ReadHistory reads a history. Unknown fields are ignored. A last line that is
// not complete, of a run in progress, is left out; any other line that is no
// such object is an error, as is a file beyond the limits.
func ReadHistory(r io.Reader) ([]Point, error) {
	limited := &io.LimitedReader{R: r, N: MaxHistoryBytes + 1}
	lines := bufio.NewReaderSize(limited, MaxLineBytes)
	var points []Point
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case limited.N == 0:
			return nil, fmt.Errorf("more than %d bytes", MaxHistoryBytes)
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d: more than %d bytes", n, MaxLineBytes)
		case err != nil && err != io.EOF:
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var p Point
			bad := json.Unmarshal(line, &p)
			if bad == nil && (p.Epoch < 0 || p.Epoch > maxEpoch) {
				bad = fmt.Errorf("epoch %d: want 0 to %d", p.Epoch, int(maxEpoch))
			}
			switch {
			case bad == nil:
				points = append(points, p)
			case err == nil: // a whole line
				return nil, fmt.Errorf("line %d: %w", n, bad)
			}
		}
		if err == io.EOF {
			return points, nil
		}
	}
}

// ReadHistory reads the run's history; started is false where there is none.
func (d Dir) ReadHistory() (points []Point, started bool, err error) {
	f, err := os.Open(d.Path(HistoryName))
	if absent(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	if points, err = ReadHistory(f); err != nil {
		return nil, true, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return points, true, nil
}

// History writes history.jsonl, a line for each point of one phase.
type History struct {
	file *os.File
	w    *bufio.Writer // keeps its first error
	size int           // bytes of the phase's lines
}

// OpenHistory opens the history for the points of a phase. A phase that goes on
// keeps its lines up to that step, the last one that its checkpoint has seen.
func (d Dir) OpenHistory(phase string, step int) (*History, error) {
	old, err := os.ReadFile(d.Path(HistoryName))
	if err != nil && !absent(err) {
		return nil, err
	}
	h := &History{}
	var kept bytes.Buffer
	for line := range bytes.Lines(old) {
		var at struct {
			Phase string `json:"phase"`
			Step  int    `json:"step"`
		}
		if json.Unmarshal(line, &at) != nil || at.Phase == phase && at.Step > step {
			continue
		}
		kept.Write(line)
		if at.Phase == phase {
			h.size += len(line)
		}
	}
	if err := atomicfile.Write(d.Path(HistoryName), kept.Bytes()); err != nil {
		return nil, err
	}
	if h.file, err = os.OpenFile(d.Path(HistoryName), os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, err
	}
	h.w = bufio.NewWriter(h.file)
	return h, nil
}

// Add writes the point after a step of so many. It leaves the point out where
// the phase has used up its share of the file so far, which a phase of many
// long lines does; its last lines then are as far apart as its first.
func (h *History) Add(step, steps int, point any) error {
	line, err := json.Marshal(point)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	share := MaxLineBytes + float64(maxPhaseBytes-MaxLineBytes)*float64(step)/float64(max(1, steps))
	if len(line) > MaxLineBytes || float64(h.size+len(line)) > share {
		return nil
	}
	h.size += len(line)
	_, err = h.w.Write(line)
	return err
}

// Sync makes what was added last, and lets a report of the running search see it.
func (h *History) Sync() error {
	if err := h.w.Flush(); err != nil {
		return err
	}
	return h.file.Sync()
}

// Close writes what was added and closes the file.
func (h *History) Close() error { return errors.Join(h.w.Flush(), h.file.Close()) }

// Abandon closes the file after an error, without what was not written yet.
func (h *History) Abandon() { h.file.Close() }
