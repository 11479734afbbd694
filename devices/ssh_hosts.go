// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// HostKeyError is a host whose key is unknown, has changed or was revoked. It
// is [ErrUnreachable].
type HostKeyError struct {
	Host string // as it is called in known_hosts
	// Type and Fingerprint are of the key that the host has.
	Type, Fingerprint string
	// Known are the places, file:line, of the keys that it should have. None:
	// the host is unknown.
	Known []string
	// Revoked says that the key is one that must not be trusted.
	Revoked bool

	file string // in which it belongs
}

func (e *HostKeyError) Error() string {
	host, port := e.Host, ""
	if h, p, err := net.SplitHostPort(e.Host); err == nil {
		host, port = h, "-p "+p+" "
	}
	switch {
	case e.Revoked:
		return fmt.Sprintf("the key of %s (%s %s) was revoked in %s: do not trust this host", e.Host, e.Type, e.Fingerprint,
			strings.Join(e.Known, ", "))
	case len(e.Known) > 0:
		return fmt.Sprintf("THE KEY OF %s HAS CHANGED: it is %s %s, another one than in %s. Somebody may be in between. "+
			"If the device was set up anew and this is its key, forget the old one: ssh-keygen -f %s -R '%s'",
			e.Host, e.Type, e.Fingerprint, strings.Join(e.Known, ", "), e.file, e.Host)
	}
	return fmt.Sprintf("the key of %s (%s %s) is not in %s. If it is the device's own (ssh-keygen -lf shows it "+
		"there, for the files /etc/ssh/ssh_host_*_key.pub), "+
		"add it: ssh-keyscan %s%s >>%s", e.Host, e.Type, e.Fingerprint, e.file, port, host, e.file)
}

func (e *HostKeyError) Unwrap() error { return ErrUnreachable }

// Permanent reports true: the user decides which keys are trusted.
func (e *HostKeyError) Permanent() bool { return true }

// knownHosts checks one host's key against the files of known ones.
type knownHosts struct {
	name  string // host:port, to look for
	file  string // the user's
	match ssh.HostKeyCallback
}

// readKnownHosts reads the files in which the key of h may be.
func readKnownHosts(h *sshHost) (*knownHosts, error) {
	files := slices.Clone(h.knownHosts)
	files = slices.DeleteFunc(files, func(path string) bool {
		info, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular()
	})
	match, err := knownhosts.New(files...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w (remove that line)", err)
	}
	port := strconv.Itoa(h.port)
	if h.keyName != h.host {
		port = "22" // an alias stands for host and port
	}
	return &knownHosts{name: net.JoinHostPort(h.keyName, port), file: h.knownHosts[0], match: match}, nil
}

// check is the whole of the trust in a host.
func (k *knownHosts) check(key ssh.PublicKey) error {
	err := k.match(k.name, unknownAddr{}, key)
	if err == nil {
		return nil
	}
	e := &HostKeyError{Host: knownhosts.Normalize(k.name), Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key),
		file: k.file}
	var revoked *knownhosts.RevokedError
	var other *knownhosts.KeyError
	switch {
	case errors.As(err, &revoked):
		e.Revoked = true
		e.Known = []string{place(revoked.Revoked)}
	case errors.As(err, &other):
		for _, want := range other.Want {
			e.Known = append(e.Known, place(want))
		}
	default:
		return fmt.Errorf("the key of %s: %w", e.Host, err)
	}
	return e
}

func place(k knownhosts.KnownKey) string { return fmt.Sprintf("%s:%d", k.Filename, k.Line) }

// algorithms are those of the host's known keys. A host has keys of several
// types: were it asked for any, it could show one that we do not know, as if
// it had changed. Nil, the usual ones, for an unknown host.
func (k *knownHosts) algorithms() []string {
	none, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	var other *knownhosts.KeyError
	if !errors.As(k.match(k.name, unknownAddr{}, none), &other) {
		return nil
	}
	var names []string
	for _, want := range other.Want {
		switch t := want.Key.Type(); {
		case t == ssh.KeyAlgoRSA:
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		case !slices.Contains(names, t):
			names = append(names, t)
		}
	}
	return names
}

// unknownAddr is where a host is, which does not matter: it is known by name.
type unknownAddr struct{}

func (unknownAddr) Network() string { return "tcp" }
func (unknownAddr) String() string  { return "0.0.0.0:0" }
