// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/profiles"
)

// stream measures a request and writes each round to stdout when it is
// finished. What an interrupted stream of the same request left in the journal
// of name comes first; the journal is removed when all has been written.
func stream(ctx context.Context, name string, stdin io.Reader, stdout io.Writer) error {
	s, err := newSession(stdin, func(p *wire.Progress) {
		// If nobody reads any more, the next round will tell.
		_ = wire.Send(stdout, wire.Message{Progress: p})
	})
	if err != nil {
		return err
	}
	defer s.close()
	known := &profiles.Profile{Entries: s.request.Measured.Entries, Networks: s.request.Measured.Networks}
	if err := known.Validate(); err != nil {
		return wire.Fail(wire.ExitUsage, err)
	}
	journal, err := reopen(name, s.profile)
	if err != nil {
		return err
	}
	defer journal.close()
	here, there := aheadOf(s.profile, known), aheadOf(known, s.profile)
	if len(here.Entries)+len(here.Networks) > 0 {
		if err := wire.Send(stdout, wire.Message{Round: &here}); err != nil {
			return err
		}
	}
	journal.append(there.Entries, there.Networks)

	err = s.measure(ctx, func(entries []profiles.Entry, networks []profiles.Network) error {
		if len(entries)+len(networks) == 0 {
			return nil
		}
		journal.append(entries, networks)
		return wire.Send(stdout, wire.Message{Round: &wire.Round{Entries: entries, Networks: networks}})
	})
	if err != nil {
		return err
	}
	if err := wire.Send(stdout, wire.Message{Session: wire.SessionOf(s.profile)}); err != nil {
		return err
	}
	return journal.remove()
}

// aheadOf is what p has more samples of than the other.
func aheadOf(p, other *profiles.Profile) wire.Round {
	have := map[string]int{}
	for _, e := range other.Entries {
		have["entry "+e.Key] = e.N
	}
	for _, n := range other.Networks {
		have["network "+n.Arch] = n.N
	}
	var ahead wire.Round
	for _, e := range p.Entries {
		if e.N > have["entry "+e.Key] {
			ahead.Entries = append(ahead.Entries, e)
		}
	}
	for _, n := range p.Networks {
		if n.N > have["network "+n.Arch] {
			ahead.Networks = append(ahead.Networks, n)
		}
	}
	return ahead
}

// copyHere is this device's own copy of what is streamed. It is worth having,
// but a device that has no room for it can be measured all the same.
type copyHere struct {
	name    string
	journal *profiles.Journal // nil: none could be kept
	profile *profiles.Profile
}

// reopen opens the copy and merges what it has into p. One that is broken, or
// of another device or runtime, is replaced.
func reopen(name string, p *profiles.Profile) (*copyHere, error) {
	journal, err := profiles.OpenJournal(name, p)
	var invalid *profiles.InvalidError
	var mismatch *profiles.MismatchError
	if errors.As(err, &invalid) || errors.As(err, &mismatch) {
		if err := os.Remove(name + ".partial"); err != nil {
			return nil, err
		}
		p.Entries, p.Networks = nil, nil
		journal, err = profiles.OpenJournal(name, p)
	}
	if err != nil {
		journal = nil
	}
	return &copyHere{name, journal, p}, nil
}

func (c *copyHere) append(entries []profiles.Entry, networks []profiles.Network) {
	if c.journal == nil {
		c.profile.Merge(entries, networks)
		return
	}
	if err := c.journal.Append(entries, networks); err != nil { // merged all the same
		c.remove()
	}
}

func (c *copyHere) close() {
	if c.journal != nil {
		c.journal.Close()
		c.journal = nil
	}
}

func (c *copyHere) remove() error {
	if c.journal == nil {
		return nil
	}
	c.close()
	return os.Remove(c.name + ".partial")
}
