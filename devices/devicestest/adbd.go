// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// ADBD is a phone on the network, for `adb connect`. It needs no
// authorisation.
type ADBD struct {
	// Addr is where it listens, host:port.
	Addr   string
	Faults Faults
}

// ServeADBD starts a phone for the time of a test. env is added to the
// environment of what runs on it.
func ServeADBD(t testing.TB, env ...string) *ADBD {
	t.Helper()
	return serveADBD(t, phone{env: env})
}

func serveADBD(t testing.TB, p phone) *ADBD {
	t.Helper()
	d := &ADBD{}
	d.Faults.prepare(t)
	p.faults = &d.Faults
	d.Addr = serve(t, func(conn net.Conn) {
		h := &adbHost{conn: conn, phone: p, streams: map[uint32]*adbStream{}}
		h.serve()
		h.running.Wait()
	})
	return d
}

// Messages of the transport are six numbers, four bytes little endian: the
// command, two arguments, the data's length and sum, the command's complement;
// then the data. Source: Android's packages/modules/adb/protocol.txt.
const (
	cnxn = 0x4e584e43
	open = 0x4e45504f
	okay = 0x59414b4f
	wrte = 0x45545257
	clse = 0x45534c43

	adbVersion = 0x01000000 // the last one with sums
	adbMaxData = 256 << 10
	adbBanner  = "device::ro.product.name=stand;ro.product.model=Stand In;ro.product.device=stand;features=shell_v2,cmd"
)

// adbHost is the connection to an adb server.
type adbHost struct {
	conn    net.Conn
	phone   phone
	running sync.WaitGroup // services
	wmu     sync.Mutex

	mu      sync.Mutex
	streams map[uint32]*adbStream
	last    uint32
	max     int // bytes of data that the host takes at once
}

func (h *adbHost) send(command, a, b uint32, data []byte) error {
	var sum uint32
	for _, c := range data {
		sum += uint32(c)
	}
	var m []byte
	for _, v := range []uint32{command, a, b, uint32(len(data)), sum, ^command} {
		m = binary.LittleEndian.AppendUint32(m, v)
	}
	h.wmu.Lock()
	defer h.wmu.Unlock()
	_, err := h.conn.Write(append(m, data...))
	return err
}

func (h *adbHost) serve() {
	defer h.end()
	var head [24]byte
	for {
		if _, err := io.ReadFull(h.conn, head[:]); err != nil {
			return
		}
		var m [6]uint32
		for i := range m {
			m[i] = binary.LittleEndian.Uint32(head[4*i:])
		}
		if m[5] != ^m[0] || m[3] > 1<<20 {
			return
		}
		data := make([]byte, m[3])
		if _, err := io.ReadFull(h.conn, data); err != nil {
			return
		}
		h.message(m[0], m[1], m[2], data)
	}
}

func (h *adbHost) message(command, a, b uint32, data []byte) {
	switch command {
	case cnxn:
		h.max = min(int(b), adbMaxData)
		h.send(cnxn, adbVersion, adbMaxData, []byte(adbBanner))
		return
	case open:
		for len(data) > 0 && data[len(data)-1] == 0 {
			data = data[:len(data)-1]
		}
		service := string(data)
		if !h.phone.serves(service) {
			h.send(clse, 0, a, nil)
			return
		}
		h.mu.Lock()
		h.last++
		s := newADBStream(h, h.last, a)
		h.streams[s.local] = s
		h.mu.Unlock()
		h.send(okay, s.local, s.remote, nil)
		h.running.Go(func() {
			h.phone.serve(service, s, s.gone)
			s.close()
			h.send(clse, s.local, s.remote, nil)
		})
		return
	}
	h.mu.Lock()
	s := h.streams[b]
	h.mu.Unlock()
	if s == nil {
		return
	}
	switch command {
	case okay:
		select {
		case s.ack <- struct{}{}:
		default:
		}
	case wrte:
		s.arrive(data)
	case clse:
		s.close()
	}
}

// end is the end of the connection: all streams end with it.
func (h *adbHost) end() {
	h.conn.Close()
	h.mu.Lock()
	streams := h.streams
	h.streams = map[uint32]*adbStream{}
	h.mu.Unlock()
	for _, s := range streams {
		s.close()
	}
}

// adbStream is one stream over the connection. A message is acknowledged when
// it was read, and none is sent before the last one was acknowledged.
type adbStream struct {
	h             *adbHost
	local, remote uint32
	data          chan []byte
	ack           chan struct{}
	gone          chan struct{}
	once          sync.Once
	rest          []byte
}

func newADBStream(h *adbHost, local, remote uint32) *adbStream {
	return &adbStream{h: h, local: local, remote: remote, data: make(chan []byte, 1), ack: make(chan struct{}, 1),
		gone: make(chan struct{})}
}

func (s *adbStream) arrive(data []byte) {
	select {
	case s.data <- data:
	case <-s.gone:
	}
}

func (s *adbStream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		select {
		case s.rest = <-s.data:
			s.h.send(okay, s.local, s.remote, nil)
		case <-s.gone:
			return 0, io.EOF
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *adbStream) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), s.h.max)
		if err := s.h.send(wrte, s.local, s.remote, p[:n]); err != nil {
			return sent, err
		}
		select {
		case <-s.ack:
		case <-s.gone:
			return sent, io.ErrClosedPipe
		}
		sent, p = sent+n, p[n:]
	}
	return sent, nil
}

func (s *adbStream) close() {
	s.once.Do(func() {
		close(s.gone)
		s.h.mu.Lock()
		delete(s.h.streams, s.local)
		s.h.mu.Unlock()
	})
}
