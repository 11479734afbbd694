// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Looks is the file with a line for each look at the accuracies that nothing
// may be tuned on.
type Looks string

// look is a line of it.
type look struct {
	Measure string `json:"measure"`
	Purpose string `json:"purpose"`
	Time    string `json:"time"`
}

// add writes down a look.
func (l Looks) add(purpose string) error {
	line, err := json.Marshal(look{C10Test200.String(), purpose, time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(string(l), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("oracle: a look at %s is not written down: %w", C10Test200, err)
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("oracle: a look at %s is not written down: %w", C10Test200, err)
	}
	return nil
}

// Count returns how many looks there were.
func (l Looks) Count() (int, error) {
	text, err := os.ReadFile(string(l))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("oracle: %w", err)
	}
	return bytes.Count(text, []byte("\n")), nil
}
