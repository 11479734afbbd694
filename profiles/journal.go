// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Journal keeps what a measurement has finished in a file beside the future
// profile, so that an interruption loses at most the round in progress. The
// file is the profile's path with ".partial" appended; FORMAT.md specifies it.
type Journal struct {
	path    string
	file    *os.File
	profile *Profile
	resumed int
}

// OpenJournal opens the journal of the profile file path, or starts it, and
// merges what an interrupted run left there into p. It returns a
// *MismatchError if that run measured another device or runtime than p names,
// on other cores or in another mode, and an *InvalidError if the journal is
// broken before its last line. A journal without a measurement is started anew.
func OpenJournal(path string, p *Profile) (*Journal, error) {
	j := &Journal{path: path, profile: p}
	size, err := j.resume()
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(j.name(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	if err := j.file.Truncate(size); err != nil {
		j.file.Close()
		return nil, fmt.Errorf("profiles: %w", err)
	}
	if size == 0 {
		head := Profile{Device: p.Device, Runtime: p.Runtime, Protocol: p.Protocol}
		if err := j.write(&head); err != nil {
			j.file.Close()
			return nil, err
		}
	}
	return j, nil
}

// name returns the path of the journal's file.
func (j *Journal) name() string { return j.path + ".partial" }

// resume merges the journal's lines into the profile and returns how many
// bytes of it are whole lines.
func (j *Journal) resume() (size int64, err error) {
	data, err := readBounded(j.name())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	if bytes.Count(data, []byte("\n")) < 2 { // a head alone: nothing was measured
		return 0, nil
	}
	keys := map[string]bool{}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if err := j.read(text, line, keys); err != nil {
			var mismatch *MismatchError
			if errors.As(err, &mismatch) {
				return 0, fmt.Errorf("%s is what an interrupted run left; delete it to start afresh: %w", j.name(), err)
			}
			where := fmt.Sprintf("line %d", line)
			var inner *InvalidError
			if errors.As(err, &inner) {
				where, err = where+": "+inner.In, inner.Err
			}
			return 0, &InvalidError{File: j.name(), In: where, Err: err}
		}
	}
	j.resumed = len(keys)
	return int64(len(data)), nil
}

// read merges one line into the profile and notes the key of its entry.
func (j *Journal) read(text []byte, line int, keys map[string]bool) error {
	if line == 1 {
		head, err := Decode(text)
		if err != nil {
			return err
		}
		if err := head.SameWay(j.profile); err != nil {
			return err
		}
		_, err = head.Check(j.profile.Device, j.profile.Runtime)
		return err
	}
	members, err := splitObject(text)
	if err != nil {
		return err
	}
	var one Profile
	for name, raw := range members {
		switch name {
		case "entry":
			one.Entries = make([]Entry, 1)
			err = json.Unmarshal(raw, &one.Entries[0])
		case "network":
			one.Networks = make([]Network, 1)
			err = json.Unmarshal(raw, &one.Networks[0])
		default:
			err = fmt.Errorf("unknown member %.40q", name)
		}
		if err != nil {
			return err
		}
	}
	if err := one.Validate(); err != nil {
		return err
	}
	for _, e := range one.Entries {
		keys[e.Key] = true
	}
	j.profile.Merge(one.Entries, one.Networks)
	return nil
}

// Resumed returns the number of entries that the journal had when it was opened.
func (j *Journal) Resumed() int { return j.resumed }

// Append merges finished entries and networks into the profile and writes them
// to the journal, synced once.
func (j *Journal) Append(entries []Entry, networks []Network) error {
	if err := (&Profile{Entries: entries, Networks: networks}).Validate(); err != nil {
		return err
	}
	j.profile.Merge(entries, networks)
	lines := make([]any, 0, len(entries)+len(networks))
	for _, e := range entries {
		lines = append(lines, map[string]Entry{"entry": e})
	}
	for _, n := range networks {
		lines = append(lines, map[string]Network{"network": n})
	}
	return j.write(lines...)
}

// write appends a line for each value and syncs the file.
func (j *Journal) write(lines ...any) error {
	var b []byte
	for _, l := range lines {
		text, err := encode(l)
		if err != nil {
			return fmt.Errorf("profiles: %s: %w", j.name(), err)
		}
		b = append(append(b, text...), '\n')
	}
	_, err := j.file.Write(b)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	return nil
}

// Commit writes the profile file and removes the journal.
func (j *Journal) Commit() error {
	if err := j.profile.Save(j.path); err != nil {
		return err
	}
	if err := errors.Join(j.file.Close(), os.Remove(j.name())); err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	return nil
}

// Close closes the journal and leaves its file to the next run.
func (j *Journal) Close() error { return j.file.Close() }
