// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Cable is a TCP connection to a server that can be cut, as a network cable.
type Cable struct {
	// Addr is the near end, host:port.
	Addr string

	target string
	l      net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool // both ends
	left   int64             // bytes until it is cut; < 0: for ever
	frozen chan struct{}     // while it is not closed, nothing moves
	off    bool              // unplugged
}

// NewCable leads to target, host:port.
func NewCable(t testing.TB, target string) *Cable {
	t.Helper()
	c := &Cable{target: target, l: listen(t), conns: map[net.Conn]bool{}, left: -1, frozen: make(chan struct{})}
	close(c.frozen)
	c.Addr = c.l.Addr().String()
	go c.serve()
	t.Cleanup(func() {
		c.l.Close()
		c.Thaw()
		c.Cut()
	})
	return c
}

// Cut breaks all connections that there are. New ones can be made.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutLocked()
}

func (c *Cable) cutLocked() {
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
	c.left = -1
}

// Unplug cuts it, and refuses new connections until Plug.
func (c *Cable) Unplug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	c.cutLocked()
}

// Plug ends Unplug.
func (c *Cable) Plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = false
}

// CutAfter cuts it once, when n more bytes have gone through.
func (c *Cable) CutAfter(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// Freeze keeps everything that is sent from now on, and closes nothing: a
// cable that was pulled.
func (c *Cable) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = make(chan struct{})
}

// Thaw ends Freeze.
func (c *Cable) Thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.frozen:
	default:
		close(c.frozen)
	}
}

func (c *Cable) serve() {
	for {
		near, err := c.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.target)
		if err != nil {
			near.Close()
			continue
		}
		c.mu.Lock()
		if c.off {
			near.Close()
			far.Close()
		} else {
			c.conns[near], c.conns[far] = true, true
		}
		c.mu.Unlock()
		go func() {
			defer near.Close()
			defer far.Close()
			var wg sync.WaitGroup
			wg.Go(func() { c.carry(near, far) })
			wg.Go(func() { c.carry(far, near) })
			wg.Wait()
		}()
	}
}

// carry moves bytes one way, until there are no more; the other way may last
// longer. An error ends both.
func (c *Cable) carry(to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		frozen := c.frozen
		c.mu.Unlock()
		<-frozen
		if _, e := to.Write(buf[:c.pass(n)]); e != nil || err != nil && err != io.EOF {
			to.Close()
			from.Close()
			return
		}
		if err == io.EOF {
			to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// pass counts n bytes, and cuts the cable at the last one that may pass.
func (c *Cable) pass(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return n
	}
	if int64(n) < c.left {
		c.left -= int64(n)
		return n
	}
	c.cutLocked()
	return 0
}

// listen is a listener on a free port of this machine.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
