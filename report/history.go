// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Point is one line of history.jsonl: where a search or a training stood.
// What a line does not say is nil.
type Point struct {
	Phase string `json:"phase"` // "search" or "train"
	Epoch int    `json:"epoch"`

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
	DerivedLatencyS  *float64      `json:"derived_latency_s"` // nil, in older files 0, where the derived cell is no network
	Derived          string        `json:"derived"`           // in the space's notation
	Warning          string        `json:"warning"`
}

const (
	maxHistoryBytes = 32 << 20
	maxLineBytes    = 1 << 20
	maxEpoch        = 1e6
)

// ReadHistory reads a history.jsonl. Unknown fields are ignored. A last line
// that is not complete, of a run in progress, is left out; any other line that
// is no such object is an error, as is a file of more than 32 MiB.
func ReadHistory(r io.Reader) ([]Point, error) {
	limited := &io.LimitedReader{R: r, N: maxHistoryBytes + 1}
	lines := bufio.NewReaderSize(limited, maxLineBytes)
	var points []Point
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case limited.N == 0:
			return nil, fmt.Errorf("more than %d bytes", maxHistoryBytes)
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d: more than %d bytes", n, maxLineBytes)
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
