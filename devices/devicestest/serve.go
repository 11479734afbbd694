// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// endTime is how long what runs on a device may take to end after its last
// connection.
const endTime = time.Minute

// serve takes connections for the time of a test, and says where. With the
// test the connections end, and then what runs on the device must end too:
// serveConn returns when nothing of its connection is left, so that no process
// writes to a folder that the test removes.
func serve(t testing.TB, serveConn func(net.Conn)) (addr string) {
	t.Helper()
	l := listen(t)
	var (
		open    sync.Map // net.Conn → true
		serving sync.WaitGroup
	)
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(conn, true)
			serving.Go(func() {
				defer open.Delete(conn)
				defer conn.Close()
				serveConn(conn)
			})
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-accepted
		open.Range(func(conn, _ any) bool {
			conn.(net.Conn).Close()
			return true
		})
		ended := make(chan struct{})
		go func() {
			serving.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(endTime):
			t.Errorf("something still runs on the device %v after its last connection", endTime)
		}
	})
	return l.Addr().String()
}
