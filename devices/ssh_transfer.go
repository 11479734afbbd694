// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pkg/sftp"
)

// openSFTP starts sftp, which small systems may lack.
func (c *sshConn) openSFTP(ctx context.Context) {
	if c.dropbear() {
		return
	}
	var s *sftp.Client
	err := c.await(ctx, func() (err error) {
		s, err = sftp.NewClient(c.client, sftp.UseConcurrentWrites(true))
		return err
	})
	if err == nil {
		c.sftp = s
	}
}

func (c *sshConn) put(ctx context.Context, path string, data []byte) error {
	if c.sftp == nil {
		return c.cat(ctx, "cat >"+quote(path), bytes.NewReader(data), io.Discard)
	}
	return c.await(ctx, func() error {
		f, err := c.sftp.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		r := &whileReader{ctx: ctx, r: bytes.NewReader(data)}
		_, err = f.ReadFrom(&io.LimitedReader{R: r, N: int64(len(data))}) // of known size: many packets at once
		return errors.Join(err, f.Close())
	})
}

func (c *sshConn) get(ctx context.Context, path string, w io.Writer) error {
	if c.sftp == nil {
		receiving, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		return c.cat(receiving, "cat "+quote(path), nil, &stoppingWriter{w: w, stop: stop})
	}
	return c.await(ctx, func() error {
		f, err := c.sftp.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		// Read by read: as a whole, sftp would believe the size that the
		// device tells.
		_, err = io.Copy(struct{ io.Writer }{w}, &whileReader{ctx: ctx, r: f})
		return err
	})
}

// cat streams a file through the shell.
func (c *sshConn) cat(ctx context.Context, line string, stdin io.Reader, stdout io.Writer) error {
	stderr := &tailWriter{}
	status, err := c.exec(ctx, line, stdin, stdout, stderr)
	for i := 1; i < dropTimes && errors.Is(err, errDropped); i++ {
		status, err = c.exec(ctx, line, stdin, stdout, stderr)
	}
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d: %s", status, printable(stderr.String()))
	}
	return err
}

// stoppingWriter ends the transfer with the first error of w.
type stoppingWriter struct {
	w    io.Writer
	stop context.CancelCauseFunc
}

func (w *stoppingWriter) Write(p []byte) (int, error) {
	if _, err := w.w.Write(p); err != nil {
		w.stop(err)
		w.w = io.Discard
	}
	return len(p), nil
}

// whileReader reads until ctx ends.
type whileReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *whileReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
