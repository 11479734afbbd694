// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/hostprofile"
	"github.com/edgenas/edgenas/profiles"
)

// programTime is how long a program of the machine may take.
const programTime = 15 * time.Second

// Here is the report of this machine by a program of that version. It runs the
// machine's programs that know more than its files.
func Here(ctx context.Context, version string, runtimes ...profiles.Runtime) Report {
	outputs := map[string]string{}
	for _, line := range hostinfo.Programs {
		if text, err := output(ctx, strings.Fields(line)); err == nil {
			outputs[line] = text
		}
	}
	facts := hostinfo.LocalFacts(".", outputs)
	device := hostprofile.Device(facts.Host, facts.State)
	return Report{Format: Format, Version: version, Device: device, Runtimes: runtimes, Facts: facts}
}

// output is what a program prints, as much of it as is looked at.
func output(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second
	out := &head{left: hostinfo.MaxOutput}
	cmd.Stdout = out
	err := cmd.Run()
	return out.String(), err
}

// head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer
	left int
}

func (h *head) Write(p []byte) (int, error) {
	n := min(h.left, len(p))
	h.left -= n
	h.Buffer.Write(p[:n])
	return len(p), nil
}
