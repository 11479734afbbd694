// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Kind is a way to reach a device.
type Kind string

// The kinds of devices, as an address begins.
const (
	Local Kind = "local"
	SSH   Kind = "ssh"
	ADB   Kind = "adb"
)

// Address is a device's address in its parts.
type Address struct {
	Kind Kind
	// User and Host are of ssh; User may be empty. Host is a name, an alias
	// of ~/.ssh/config, or an IP address without brackets.
	User, Host string
	// Port is of ssh; 0: none was given.
	Port int
	// Serial is of adb; empty: the only device there is.
	Serial string
}

// String returns the address as Parse reads it.
func (a Address) String() string {
	switch a.Kind {
	case SSH:
		s := a.Host
		if strings.Contains(s, ":") {
			s = "[" + s + "]"
		}
		if a.Port != 0 {
			s += ":" + strconv.Itoa(a.Port)
		}
		if a.User != "" {
			s = a.User + "@" + s
		}
		return "ssh://" + s
	case ADB:
		if a.Serial != "" {
			return "adb:" + a.Serial
		}
		return "adb"
	}
	return string(Local)
}

var (
	userSyntax   = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.\\+-]{0,63}$`)
	hostSyntax   = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}$`)
	zoneSyntax   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)
	serialSyntax = regexp.MustCompile(`^[A-Za-z0-9_.\[][A-Za-z0-9_.:%\[\]-]{0,126}$`)
)

// Parse reads an address: "local", "ssh://[user@]host[:port]", "adb" or
// "adb:SERIAL". Anything else is an [*AddressError].
func Parse(address string) (Address, error) {
	wrong := func(reason string) (Address, error) {
		return Address{}, &AddressError{Address: address, Reason: reason}
	}
	if rest, ok := strings.CutPrefix(address, "ssh://"); ok {
		a, reason := parseHost(strings.TrimSuffix(rest, "/"))
		if reason != "" {
			return wrong(reason)
		}
		return a, nil
	}
	switch serial, ok := strings.CutPrefix(address, "adb:"); {
	case address == "local":
		return Address{Kind: Local}, nil
	case address == "adb":
		return Address{Kind: ADB}, nil
	case ok && serialSyntax.MatchString(serial):
		return Address{Kind: ADB, Serial: serial}, nil
	case ok:
		return wrong("no serial number can be that; adb devices lists them")
	}
	return wrong("unknown; known are local, ssh://[user@]host[:port], adb and adb:SERIAL")
}

// parseHost reads [user@]host[:port]; reason says why it cannot be meant.
func parseHost(s string) (a Address, reason string) {
	a.Kind = SSH
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		a.User, s = s[:i], s[i+1:]
		if strings.Contains(a.User, ":") {
			return a, "a password does not belong in an address; it is asked for when it is needed"
		}
		if !userSyntax.MatchString(a.User) {
			return a, "no user can be called that"
		}
	}
	var port string // with its colon
	switch end := strings.IndexByte(s, ']'); {
	case strings.HasPrefix(s, "["):
		if end < 0 || !isIPv6(s[1:end]) {
			return a, "between [ and ] belongs an IPv6 address"
		}
		a.Host, port = s[1:end], s[end+1:]
	case isIPv6(s):
		return a, "an IPv6 address belongs between [ and ]"
	default:
		if end = strings.IndexByte(s, ':'); end < 0 {
			end = len(s)
		}
		a.Host, port = s[:end], s[end:]
	}
	if port != "" {
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if port[0] != ':' || err != nil || n == 0 {
			return a, "after the host belongs a colon and a port from 1 to 65535, or nothing"
		}
		a.Port = int(n)
	}
	switch {
	case a.Host == "":
		return a, "the host is missing"
	case strings.Contains(a.Host, "/"):
		return a, "a path cannot follow the host"
	case !isIPv6(a.Host) && !hostSyntax.MatchString(a.Host):
		return a, "no host can be called that"
	}
	return a, ""
}

// isIPv6 knows IPv6 addresses, with a zone or without.
func isIPv6(s string) bool {
	addr, zone, ok := strings.Cut(s, "%")
	return strings.Contains(addr, ":") && net.ParseIP(addr) != nil && (!ok || zoneSyntax.MatchString(zone))
}
