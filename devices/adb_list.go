// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Phone is a device that the adb server knows.
type Phone struct {
	Serial string
	// State is "device" for one that can be used; "unauthorized", "offline",
	// "recovery" and others cannot.
	State string
	Model string // as the phone says, with spaces; empty: it does not
}

// Usable says whether the phone can be opened.
func (p Phone) Usable() bool { return p.State == "device" }

// Address opens the phone.
func (p Phone) Address() string { return Address{Kind: ADB, Serial: p.Serial}.String() }

// Advice says why the phone cannot be used and what to do about it; empty: it
// can.
func (p Phone) Advice() string {
	switch p.State {
	case "device":
		return ""
	case "unauthorized", "authorizing":
		return "it has not allowed this computer yet: unlock it and accept \"Allow USB debugging\" (if it does not ask: " +
			"adb kill-server, and plug it in again)"
	case "offline", "connecting":
		return "it is offline: plug it in again, or turn USB debugging off and on; over the network: adb connect " + p.Serial
	case "no permissions":
		return "this user may not use it over USB: install udev rules (Debian: apt install " +
			"android-sdk-platform-tools-common), and plug it in again"
	case "recovery", "sideload", "rescue", "bootloader", "host":
		return "it is in the state " + p.State + ": start Android (adb reboot, or fastboot reboot)"
	}
	return "it is in the state " + p.State
}

// Phones lists what the adb server knows, and starts the server where none
// listens. An error is [ErrUnreachable]: there is no server and no adb.
func Phones(ctx context.Context) ([]Phone, error) {
	server, err := findADBServer()
	if err == nil {
		var phones []Phone
		if phones, err = server.phones(ctx); err == nil {
			return phones, nil
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("devices: adb: %w: %w", ErrUnreachable, err)
}

func (s adbServer) phones(ctx context.Context) ([]Phone, error) {
	c, err := s.dialOrStart(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	text, err := c.text("host:devices-l")
	if err != nil {
		return nil, err
	}
	return parsePhones(text)
}

// parsePhones reads the answer to host:devices-l: a line a device, of its
// serial number, its state and key:value pairs.
func parsePhones(text string) ([]Phone, error) {
	var phones []Phone
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var p Phone
		var ok bool
		rest := ""
		if p.Serial, rest, ok = cutSpace(line); !ok {
			return nil, fmt.Errorf("adb: a device without a state: %.80q", line)
		}
		if after, none := strings.CutPrefix(line, "(no serial number)"); none {
			p.Serial, rest = "(no serial number)", strings.TrimSpace(after)
		}
		if p.State, _, _ = cutSpace(rest); strings.HasPrefix(rest, "no permissions") {
			p.State = "no permissions"
		}
		for _, f := range strings.Fields(rest) {
			if v, ok := strings.CutPrefix(f, "model:"); ok {
				p.Model = strings.ReplaceAll(v, "_", " ")
			}
		}
		if p.State == "" || printable(line) != strings.ReplaceAll(line, "\t", "") {
			return nil, fmt.Errorf("adb: a device that is no text: %.80q", line)
		}
		phones = append(phones, p)
	}
	return phones, nil
}

// cutSpace cuts a word off; ok is false when nothing comes after it.
func cutSpace(s string) (word, rest string, ok bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}

// choose is the phone with that serial number, or the only one.
func choose(phones []Phone, a Address) (Phone, error) {
	if a.Serial != "" {
		for _, p := range phones {
			if p.Serial == a.Serial {
				return p.check()
			}
		}
		have := "adb knows no device"
		if len(phones) > 0 {
			have = "adb knows " + listPhones(phones)
		}
		hint := "is it plugged in, with USB debugging on?"
		if strings.Contains(a.Serial, ":") {
			hint = "is it connected (adb connect " + a.Serial + ")?"
		}
		return Phone{}, fmt.Errorf("%s, not this one: %s", have, hint)
	}
	var usable []Phone
	for _, p := range phones {
		if p.Usable() {
			usable = append(usable, p)
		}
	}
	switch {
	case len(usable) == 1:
		return usable[0], nil
	case len(usable) > 1:
		return Phone{}, &AddressError{Address: a.String(),
			Reason: fmt.Sprintf("%d devices are connected; choose one of %s", len(usable), listPhones(usable))}
	case len(phones) == 1:
		return phones[0].check()
	case len(phones) > 1:
		return Phone{}, fmt.Errorf("none of the devices can be used: %s", listPhones(phones))
	}
	return Phone{},
		errors.New("no device is connected: plug the phone in, and turn USB debugging on in its developer options")
}

// check refuses a phone that cannot be used.
func (p Phone) check() (Phone, error) {
	if advice := p.Advice(); advice != "" {
		return p, fmt.Errorf("%s: %s", p.Serial, advice)
	}
	return p, nil
}

func listPhones(phones []Phone) string {
	words := make([]string, len(phones))
	for i, p := range phones {
		words[i] = p.Address()
		var about []string
		if p.Model != "" {
			about = append(about, p.Model)
		}
		if !p.Usable() {
			about = append(about, p.State)
		}
		if about != nil {
			words[i] += " (" + strings.Join(about, ", ") + ")"
		}
	}
	return strings.Join(words, ", ")
}
