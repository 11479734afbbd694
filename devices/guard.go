// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/user"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// guard is the process on the device that holds it for us (guardScript). It
// lives as long as the connection: when it ends, the device is lost.
type guard struct {
	owner string
	pid   string // on the device
	input *io.PipeWriter
	gone  context.Context    // ends with the guard
	drop  context.CancelFunc // leaves the guard, which then sees its input end
}

// facts are what the guard says, line by line.
type facts map[string]string

const (
	maxFacts    = 64 << 10         // bytes that a guard may say
	closingTime = 10 * time.Second // for the guard to remove the folder
)

// startGuard starts the guard and waits for it to be ready. A lock that this
// host has left behind is taken over; another's is a [*BusyError].
func startGuard(ctx context.Context, t transport, address string, parents []string) (*guard, facts, error) {
	take, again := "", 0
	for {
		g, f, err := tryGuard(ctx, t, newOwner(), take, parents)
		if (errors.Is(err, errDropped) || f["again"] != "") && again < dropTimes {
			again++
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		switch o := f["busy"]; {
		case f["unusable"] != "":
			return nil, nil,
				fmt.Errorf("devices: %s: %w: no folder of %s can be used: it must be ours, have free space and allow programs "+
					"to run; choose another with Options.Dir",
					address, ErrUnreachable, strings.Join(parents, ", "))
		case o == "":
			return g, f, nil
		case o == take || !abandoned(o):
			return nil, nil, &BusyError{Address: address, Owner: printable(o), Lock: path.Join(printable(f["dir"]), ".lock")}
		default:
			take = o
		}
	}
}

// tryGuard starts a guard; g is nil when it did not stay.
func tryGuard(ctx context.Context, t transport, owner, take string, parents []string) (*guard, facts, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	gone, ended := context.WithCancelCause(context.Background())
	in, input := io.Pipe()
	out, stdout := io.Pipe()
	stderr := &tailWriter{}
	owners.Store(owner, true)
	go func() {
		defer cancel()
		status, err := t.exec(running, guardLine(owner, take, parents), in, stdout, stderr)
		if err == nil && status != 0 {
			err = fmt.Errorf("the device's shell: exit status %d: %s", status, printable(stderr.String()))
		}
		in.Close()
		owners.Delete(owner)
		stdout.CloseWithError(err) // nil is io.EOF
		ended(err)
	}()
	stop := context.AfterFunc(ctx, cancel)
	f, ready, err := readFacts(io.LimitReader(out, maxFacts))
	stop()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil && ready && !pidSyntax.MatchString(f["guard"]) {
		err = fmt.Errorf("the device's shell says that its process id is %.40q", f["guard"])
	}
	if err == nil && ready {
		go io.Copy(io.Discard, out)
		return &guard{owner: owner, pid: f["guard"], input: input, gone: gone, drop: cancel}, f, nil
	}
	cancel()
	out.CloseWithError(io.ErrClosedPipe)
	if err == nil && f["busy"] == "" && f["unusable"] == "" {
		err = fmt.Errorf("the device's shell ended: %s", printable(stderr.String()))
	}
	return nil, f, err
}

// readFacts reads key=value lines up to "ready". It is not ready when the
// lines end before.
func readFacts(r io.Reader) (f facts, ready bool, err error) {
	f = facts{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "ready" {
			return f, true, nil
		}
		if k, v, ok := strings.Cut(line, "="); ok {
			f[k] = v
		}
	}
	return f, false, lines.Err()
}

// close ends the guard, and with it everything on the device.
func (g *guard) close(remove bool) error {
	word := "keep\n"
	if remove {
		word = "remove\n"
	}
	stop := time.AfterFunc(closingTime, func() { g.input.CloseWithError(context.DeadlineExceeded) })
	defer stop.Stop()
	if _, err := io.WriteString(g.input, word); err != nil {
		return fmt.Errorf("%w before it was closed", ErrLost)
	}
	g.input.Close()
	select {
	case <-g.gone.Done():
		if err := context.Cause(g.gone); err != context.Canceled {
			return err
		}
		return nil
	case <-time.After(closingTime):
		return fmt.Errorf("%w: it does not answer", ErrLost)
	}
}

// owners are the locks that this process holds.
var owners sync.Map

var pidSyntax = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)

var ownerSyntax = regexp.MustCompile(`^(.+), process ([1-9][0-9]{0,9}), since [0-9 :-]+ UTC \([0-9a-f]+\)$`)

// newOwner says who opens a device, from when on. It is never the same twice.
func newOwner() string {
	return fmt.Sprintf("%s, process %d, since %s UTC (%x)", thisHost(), os.Getpid(),
		time.Now().UTC().Format("2006-01-02 15:04:05"), rand.Uint64())
}

// thisHost names this machine and user; hosts of one name differ by the
// machine's id, where it has one.
func thisHost() string {
	name, host := "someone", "a host"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	id, _ := os.ReadFile("/etc/machine-id")
	sum := sha256.Sum256(append([]byte("edgenas"), id...))
	return strings.ReplaceAll(printable(fmt.Sprintf("%s on %s [%x]", name, host, sum[:3])), "\n", " ")
}

// abandoned says whether an owner is a process of this host that is no more,
// or an earlier device of this process that was lost.
func abandoned(owner string) bool {
	m := ownerSyntax.FindStringSubmatch(owner)
	if m == nil || m[1] != thisHost() {
		return false
	}
	pid, err := strconv.Atoi(m[2])
	if err != nil {
		return false
	}
	if pid == os.Getpid() {
		_, held := owners.Load(owner)
		return !held
	}
	return !alive(pid)
}
