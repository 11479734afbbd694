// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	dialTime    = 15 * time.Second // for a connection and the host's key
	tickTime    = 10 * time.Second // between signs of life
	missedTicks = 3                // after which the connection is lost
)

// sshConn is a transport over ssh.
type sshConn struct {
	client *ssh.Client
	hops   []*ssh.Client   // the jump hosts, first one first
	sftp   *sftp.Client    // nil: the device has none
	dead   context.Context // ends with the connection
}

// openSSH opens a device; tick is the time between signs of life.
func openSSH(ctx context.Context, a Address, o Options, tick time.Duration) (Device, error) {
	c, err := dialSSH(ctx, a, o, tick)
	if err != nil {
		if e := ctx.Err(); e != nil {
			err = e
		}
		return nil, fmt.Errorf("devices: %s: %w: %w", a, ErrUnreachable, err)
	}
	i := Info{Address: a.String(), Capabilities: Capabilities{Transfer: "cat"}}
	if c.sftp != nil {
		i.Capabilities.Transfer = "sftp"
	}
	i.Capabilities.Parallel = !c.dropbear()
	return openRemote(ctx, c, i, o, `"$HOME/.cache"`, `"$HOME"`, "/tmp")
}

// dialSSH connects to a host, through its jump hosts, and logs in.
func dialSSH(ctx context.Context, a Address, o Options, tick time.Duration) (*sshConn, error) {
	config, err := readSSHConfig()
	if err != nil {
		return nil, err
	}
	hosts, err := config.route(a)
	if err != nil {
		return nil, err
	}
	c := &sshConn{}
	for _, h := range hosts {
		next, err := h.dial(ctx, c.client, o.Ask)
		if err != nil {
			c.close()
			if h != hosts[len(hosts)-1] {
				err = fmt.Errorf("jump host %s: %w", h.name(), err)
			}
			return nil, err
		}
		if c.client != nil {
			c.hops = append(c.hops, c.client)
		}
		c.client = next
	}
	var died context.CancelFunc
	c.dead, died = context.WithCancel(context.Background())
	go func() {
		c.client.Wait()
		died()
	}()
	go c.keepAlive(tick)
	c.openSFTP(ctx)
	return c, nil
}

// dropbear says whether the host runs that. It is not to be asked for sftp: it
// needs a program for it that may be missing. And a session that it opens at
// the moment when another one ends is lost, with confusion for the others
// (seen with 2022.83; the cause is in its check_close).
func (c *sshConn) dropbear() bool {
	return bytes.HasPrefix(c.client.ServerVersion(), []byte("SSH-2.0-dropbear"))
}

// dial connects to one host and logs in; through is the host before it, or
// nil.
func (h *sshHost) dial(ctx context.Context, through *ssh.Client, ask func(string) (string, error)) (*ssh.Client,
	error) {
	known, err := readKnownHosts(h)
	if err != nil {
		return nil, err
	}
	login := newLogin(h, ask)
	defer login.close()

	addr := net.JoinHostPort(h.host, strconv.Itoa(h.port))
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var conn net.Conn
	if through != nil {
		conn, err = through.DialContext(dialing, "tcp", addr)
	} else {
		conn, err = new(net.Dialer).DialContext(dialing, "tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	// A host that does not answer is given up, but not a user who is looking
	// for a passphrase: from the host's key on, only ctx counts.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	slow := time.AfterFunc(dialTime, func() { conn.Close() })
	defer slow.Stop()
	config := &ssh.ClientConfig{
		User:              h.user,
		Auth:              login.methods(),
		HostKeyAlgorithms: known.algorithms(),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			slow.Stop()
			return known.check(key)
		},
	}
	sc, chans, reqs, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		conn.Close()
		return nil, login.explain(err)
	}
	return ssh.NewClient(sc, chans, reqs), nil
}

// keepAlive gives signs of life, and ends the connection when none come back.
func (c *sshConn) keepAlive(tick time.Duration) {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for c.dead.Err() == nil {
		answered := make(chan struct{})
		go func() {
			c.client.SendRequest("keepalive@openssh.com", true, nil) // any answer is one
			close(answered)
		}()
		late := time.NewTimer(missedTicks * tick)
		select {
		case <-answered:
		case <-late.C:
			c.client.Close()
		}
		late.Stop()
		select {
		case <-timer.C:
		case <-c.dead.Done():
		}
	}
}

func (c *sshConn) exec(ctx context.Context, line string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	s, err := c.start(ctx, line, stdout, stderr)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	go func() {
		if stdin != nil {
			io.Copy(s.in, stdin)
		}
		s.in.Close()
	}()
	err = s.Wait()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Signal() != "":
		return 128 + signals[exit.Signal()], nil
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	}
	return 0, c.lost(ctx, err)
}

// sshSession is a command that was started.
type sshSession struct {
	*ssh.Session
	in io.WriteCloser
}

// sessionPause is waited, longer each time, when the server refuses a session:
// it allows some at a time, and frees one only after it has cleaned up.
const sessionPause = 20 * time.Millisecond

// open opens a session.
func (c *sshConn) open(ctx context.Context, s *sshSession) error {
	return c.await(ctx, func() (err error) {
		s.Session, err = c.client.NewSession()
		var refused *ssh.OpenChannelError
		if err != nil && !errors.As(err, &refused) {
			err = fmt.Errorf("%w: %w", ErrLost, err)
		}
		return err
	})
}

// start opens a session and starts a command in it.
func (c *sshConn) start(ctx context.Context, line string, stdout, stderr io.Writer) (*sshSession, error) {
	var s sshSession
	err := c.open(ctx, &s)
	for pause := sessionPause; err != nil && pause < 50*sessionPause; pause *= 2 {
		if refused := (*ssh.OpenChannelError)(nil); !errors.As(err, &refused) {
			break
		}
		if c.await(ctx, func() error { time.Sleep(pause); return nil }) != nil {
			break
		}
		err = c.open(ctx, &s)
	}
	if err != nil {
		return nil, err
	}
	s.Stdout, s.Stderr = stdout, stderr
	if s.in, err = s.StdinPipe(); err == nil {
		// The user's shell may be any: it is left at once.
		err = c.await(ctx, func() error { return s.Start("exec sh -c " + quote(line)) })
	}
	if err != nil {
		s.Close()
		if errors.Is(err, io.EOF) && c.dead.Err() == nil && ctx.Err() == nil {
			err = errDropped
		}
		return nil, err
	}
	return &s, nil
}

// signals are those of RFC 4254 §6.10, by number.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9,
	"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "XCPU": 24, "XFSZ": 25, "SYS": 31,
}

// await runs what cannot be interrupted, and leaves it behind when ctx or the
// connection ends: a channel that is opened at the moment when that breaks
// waits for ever (seen with golang.org/x/crypto v0.58.0; its mux has then
// already closed all channels that it knew).
func (c *sshConn) await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return c.lost(ctx, err)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.dead.Done():
		return c.lost(ctx, io.EOF)
	}
}

// lost is an error of the connection as a transport has it.
func (c *sshConn) lost(ctx context.Context, err error) error {
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.dead.Err() != nil, errors.As(err, &missing), errors.Is(err, io.EOF),
		errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// close closes the connection first: whatever still waits for the host ends
// then.
func (c *sshConn) close() {
	if c.client != nil {
		c.client.Close() // fails only where the connection is gone already
	}
	for i := len(c.hops) - 1; i >= 0; i-- {
		c.hops[i].Close()
	}
	if c.sftp != nil {
		c.sftp.Close()
	}
}
