// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// sshConfig is the user's and the system's ssh_config(5), whichever are there.
// The first value of a keyword counts.
type sshConfig struct {
	home  string
	files []*ssh_config.Config
}

// sshHost is how to reach one host and log in to it.
type sshHost struct {
	alias, host, user string
	port              int
	keyName           string   // under which its key is known
	identities        []string // files of private keys
	identitiesOnly    bool     // of the agent's keys, only those in identities
	knownHosts        []string // files
}

// maxJumps bounds a chain of jump hosts, which may refer to each other.
const maxJumps = 8

// readSSHConfig reads ~/.ssh/config and /etc/ssh/ssh_config.
func readSSHConfig() (*sshConfig, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	c := &sshConfig{home: home}
	for _, path := range []string{filepath.Join(home, ".ssh", "config"), "/etc/ssh/ssh_config"} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f, err := ssh_config.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		c.files = append(c.files, f)
	}
	return c, nil
}

// get is the value of a keyword for a host; empty: there is none.
func (c *sshConfig) get(alias, keyword string) (string, error) {
	for _, f := range c.files {
		if v, err := f.Get(alias, keyword); err != nil || v != "" {
			return v, err
		}
	}
	return "", nil
}

// all are the values of a keyword that may be given several times.
func (c *sshConfig) all(alias, keyword string) ([]string, error) {
	var all []string
	for _, f := range c.files {
		v, err := f.GetAll(alias, keyword)
		if err != nil {
			return nil, err
		}
		all = append(all, v...)
	}
	return all, nil
}

// route resolves an address into the hosts to go through; the last one is the
// address itself.
func (c *sshConfig) route(a Address) ([]*sshHost, error) {
	var route []*sshHost // backwards
	next := []Address{a} // still to resolve, the last one first
	for len(next) > 0 {
		if len(route) > maxJumps {
			return nil, fmt.Errorf("more than %d jump hosts: does ProxyJump go round in a circle?", maxJumps)
		}
		a, next = next[len(next)-1], next[:len(next)-1]
		h, err := c.host(a)
		if err != nil {
			return nil, err
		}
		route = append(route, h)
		if len(next) > 0 {
			continue // the hosts of a list are reached one through the other
		}
		if next, err = c.jumps(a.Host); err != nil {
			return nil, err
		}
	}
	slices.Reverse(route)
	return route, nil
}

// jumps reads a host's ProxyJump.
func (c *sshConfig) jumps(alias string) ([]Address, error) {
	list, err := c.get(alias, "ProxyJump")
	if err != nil {
		return nil, err
	}
	if list == "" || strings.EqualFold(list, "none") {
		command, err := c.get(alias, "ProxyCommand")
		if err == nil && command != "" && !strings.EqualFold(command, "none") {
			err = fmt.Errorf("ssh configuration of %s: ProxyCommand is not supported; ProxyJump is", alias)
		}
		return nil, err
	}
	var jumps []Address
	for jump := range strings.SplitSeq(list, ",") {
		a, reason := parseHost(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(jump), "ssh://"), "/"))
		if reason != "" {
			return nil, fmt.Errorf("ssh configuration of %s: ProxyJump %q: %s", alias, jump, reason)
		}
		jumps = append(jumps, a)
	}
	return jumps, nil
}

// host resolves one address. What it says itself goes before the files.
func (c *sshConfig) host(a Address) (*sshHost, error) {
	values := map[string]string{}
	for _, k := range []string{"HostName", "User", "Port", "HostKeyAlias", "IdentitiesOnly", "UserKnownHostsFile"} {
		v, err := c.get(a.Host, k)
		if err != nil {
			return nil, err
		}
		values[k] = v
	}
	h := &sshHost{alias: a.Host, host: a.Host, user: a.User, port: a.Port,
		identitiesOnly: strings.EqualFold(values["IdentitiesOnly"], "yes")}
	if v := values["HostName"]; v != "" {
		h.host = strings.NewReplacer("%h", a.Host, "%%", "%").Replace(v)
	}
	if h.port == 0 && values["Port"] != "" {
		port, err := strconv.ParseUint(values["Port"], 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("ssh configuration of %s: Port %q", a.Host, values["Port"])
		}
		h.port = int(port)
	}
	if h.port == 0 {
		h.port = 22
	}
	if h.user == "" {
		h.user = values["User"]
	}
	me, err := user.Current()
	if err != nil && h.user == "" {
		return nil, fmt.Errorf("which user? %w", err)
	}
	if h.user == "" {
		h.user = me.Username[strings.LastIndexByte(me.Username, '\\')+1:] // Windows: DOMAIN\user
	}
	h.keyName = h.host
	if v := values["HostKeyAlias"]; v != "" {
		h.keyName = v
	}
	known := values["UserKnownHostsFile"]
	if known == "" {
		known = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
	}
	for _, f := range append(strings.Fields(known), "/etc/ssh/ssh_known_hosts") {
		h.knownHosts = append(h.knownHosts, c.expand(f, h))
	}
	identities, err := c.all(a.Host, "IdentityFile")
	if err != nil {
		return nil, err
	}
	if len(identities) == 0 {
		identities = []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
	}
	for _, f := range identities {
		if f != "none" {
			h.identities = append(h.identities, c.expand(f, h))
		}
	}
	return h, nil
}

// expand replaces what stands for the home folder, host and user in the name
// of a file.
func (c *sshConfig) expand(path string, h *sshHost) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(c.home, rest)
	}
	local := os.Getenv("USER")
	return strings.NewReplacer("%d", c.home, "%h", h.host, "%n", h.alias, "%r", h.user, "%u", local, "%p",
		strconv.Itoa(h.port), "%%", "%").Replace(path)
}

// name is the host as a user knows it.
func (h *sshHost) name() string {
	if h.alias != h.host {
		return h.alias + " (" + h.host + ")"
	}
	return h.host
}
