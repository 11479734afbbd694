// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var cifar10Kind = Kind{
	Name:     "cifar10",
	Argument: "DIR",
	Summary:  "CIFAR-10, binary version: data_batch_1.bin … data_batch_5.bin, test_batch.bin",
	open:     openCIFAR10,
}

const (
	cifarSide    = 32
	cifarPlane   = cifarSide * cifarSide
	cifarRecord  = 1 + 3*cifarPlane // label, then the red, green and blue planes
	cifarClasses = 10
)

func openCIFAR10(dir string, _ Options) (*Set, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, &DataError{dir, cause(err)}
	}
	s := &Set{
		Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		C:       3, H: cifarSide, W: cifarSide,
		Augment: Augment{Flip: true, Pad: 4},
	}
	names, err := os.ReadFile(filepath.Join(dir, "batches.meta.txt"))
	if err == nil {
		s.Classes = strings.Fields(string(names))
		if len(s.Classes) != cifarClasses {
			return nil, dataErrorf(filepath.Join(dir, "batches.meta.txt"),
				"%d class names, want %d", len(s.Classes), cifarClasses)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, &DataError{filepath.Join(dir, "batches.meta.txt"), cause(err)}
	}
	for i := range 6 {
		name, part := fmt.Sprintf("data_batch_%d.bin", i+1), &s.Train
		if i == 5 {
			name, part = "test_batch.bin", &s.Test
		}
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if err != nil {
			return nil, &DataError{path, cause(err)}
		}
		err = parseCIFAR10(f, part)
		f.Close()
		if err != nil {
			return nil, &DataError{path, err}
		}
	}
	return s, nil
}

// parseCIFAR10 appends the records of r to p. Memory follows what r holds.
func parseCIFAR10(r io.Reader, p *Part) error {
	r = bufio.NewReaderSize(r, 1<<16)
	record := make([]byte, cifarRecord)
	for count := 0; ; count++ {
		switch n, err := io.ReadFull(r, record); {
		case err == io.EOF && count > 0:
			return nil
		case err == io.EOF:
			return errors.New("empty file")
		case err == io.ErrUnexpectedEOF:
			return fmt.Errorf("truncated: %d records of %d bytes and %d bytes more", count, cifarRecord, n)
		case err != nil:
			return err
		case record[0] >= cifarClasses:
			return fmt.Errorf("label %d of image %d is out of range 0…%d", record[0], count, cifarClasses-1)
		case len(p.Pixels)+3*cifarPlane > maxPartBytes:
			return fmt.Errorf("more than %d bytes of pixels", maxPartBytes)
		}
		p.Labels = append(p.Labels, int32(record[0]))
		for i := range cifarPlane {
			p.Pixels = append(p.Pixels, record[1+i], record[1+cifarPlane+i], record[1+2*cifarPlane+i])
		}
	}
}
