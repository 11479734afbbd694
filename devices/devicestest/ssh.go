// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SSH is a server that stands in for a board.
type SSH struct {
	// Addr is where it listens, host:port.
	Addr string
	// HostKey is its first key.
	HostKey ssh.PublicKey
	Faults  Faults

	options SSHOptions
	logins  sync.Map // of users and keys that were let in: string → true
}

// SSHOptions say what a server is like.
type SSHOptions struct {
	Keys     []ssh.PublicKey // that may log in
	Password string          // that may log in; empty: none
	NoSFTP   bool            // as dropbear without sftp-server
	Env      []string        // of its processes, beside this one's
	HostKeys []ssh.Signer    // none: a new one
}

// ServeSSH starts a server for the time of a test.
func ServeSSH(t testing.TB, o SSHOptions) *SSH {
	t.Helper()
	if len(o.HostKeys) == 0 {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		o.HostKeys = []ssh.Signer{key}
	}
	s := &SSH{HostKey: o.HostKeys[0].PublicKey(), options: o}
	s.Faults.prepare(t)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			for _, k := range o.Keys {
				if bytes.Equal(k.Marshal(), key.Marshal()) {
					s.logins.Store(c.User(), true)
					return nil, nil
				}
			}
			return nil, errors.New("unknown key")
		},
	}
	if o.Password != "" {
		config.PasswordCallback = func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) != o.Password {
				return nil, errors.New("wrong password")
			}
			s.logins.Store(c.User(), true)
			return nil, nil
		}
	}
	for _, key := range o.HostKeys {
		config.AddHostKey(key)
	}
	s.Addr = serve(t, func(conn net.Conn) { s.serve(conn, config) })
	return s
}

// LoggedIn says whether a user was let in.
func (s *SSH) LoggedIn(user string) bool {
	_, ok := s.logins.Load(user)
	return ok
}

// serve serves a connection until all that it started has ended.
func (s *SSH) serve(conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests) // refuses them, which is an answer
	var running sync.WaitGroup
	defer running.Wait()
	for c := range channels {
		switch c.ChannelType() {
		case "session":
			if channel, requests, err := c.Accept(); err == nil {
				running.Go(func() { s.session(channel, requests) })
			}
		case "direct-tcpip":
			running.Go(func() { forward(c) })
		default:
			c.Reject(ssh.UnknownChannelType, "unknown")
		}
	}
}

// session serves one command, or sftp.
func (s *SSH) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	var running sync.WaitGroup
	defer running.Wait()
	for r := range requests {
		var text struct{ Value string }
		if err := ssh.Unmarshal(r.Payload, &text); err != nil && r.Type != "signal" {
			r.Reply(false, nil)
			continue
		}
		switch {
		case r.Type == "exec":
			r.Reply(true, nil)
			running.Go(func() { s.exec(channel, text.Value) })
		case r.Type == "subsystem" && text.Value == "sftp" && !s.options.NoSFTP:
			r.Reply(true, nil)
			running.Go(func() {
				defer channel.Close()
				sftp.NewRequestServer(channel, s.sftp()).Serve()
			})
		default:
			r.Reply(false, nil)
		}
	}
}

func (s *SSH) exec(channel ssh.Channel, line string) {
	defer channel.Close()
	stdin := io.Reader(channel)
	if strings.HasPrefix(line, "exec sh -c 'cat >") { // a file is put there
		stdin = &corruptor{faults: &s.Faults, r: channel}
	}
	status, err := shell{faults: &s.Faults, line: line, env: s.options.Env, stdin: stdin, stdout: channel,
		stderr: channel.Stderr()}.run()
	switch {
	case err != nil:
		return
	case status.Signaled():
		channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal string
			Core   bool
			Error  string
			Lang   string
		}{Signal: signalName(status)}))
	default:
		channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(status.ExitStatus())))
	}
}

// forward serves a jump host.
func forward(c ssh.NewChannel) {
	var to struct {
		Host   string
		Port   uint32
		Origin string
		From   uint32
	}
	if err := ssh.Unmarshal(c.ExtraData(), &to); err != nil {
		c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	if err != nil {
		c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := c.Accept()
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		io.Copy(channel, conn)
		channel.Close()
	}()
	io.Copy(conn, channel)
	conn.Close()
}

// sftp are the file operations of the server.
func (s *SSH) sftp() sftp.Handlers {
	f := sftpFiles{&s.Faults}
	return sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f}
}

type sftpFiles struct{ faults *Faults }

func (sftpFiles) Fileread(r *sftp.Request) (io.ReaderAt, error) { return os.Open(r.Filepath) }

func (f sftpFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	return &upload{faults: f.faults, path: r.Filepath}, nil
}

func (sftpFiles) Filecmd(*sftp.Request) error { return sftp.ErrSSHFxOpUnsupported }

func (sftpFiles) Filelist(*sftp.Request) (sftp.ListerAt, error) {
	return nil, sftp.ErrSSHFxOpUnsupported
}

// upload is a file that is on its way.
type upload struct {
	faults *Faults
	path   string
	mu     sync.Mutex
	data   []byte
}

func (u *upload) WriteAt(p []byte, at int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.faults.Full.Load() && at+int64(len(p)) > fullAt {
		return 0, sftp.ErrSSHFxFailure // all that the protocol has for it
	}
	if end := int(at) + len(p); end > len(u.data) {
		u.data = append(u.data, make([]byte, end-len(u.data))...)
	}
	return copy(u.data[at:], p), nil
}

func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.faults.store(u.path, u.data, 0o600)
}
