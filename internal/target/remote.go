// SPDX-License-Identifier: Apache-2.0

package target

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// remote is a device, measured by the agent that is put there.
type remote struct {
	targets *Targets
	options Options
	device  devices.Device // nil: not open
	program []byte         // the agent for it
	known   *wire.Report
}

const (
	fruitless   = 4                // attempts in a row that gain nothing before giving up
	callTime    = 10 * time.Minute // for putting a file there over a slow line; how long a program may be silent
	maxStreamed = 512 << 20        // bytes that a measurement may say
	agentName   = "edgenas-agent"
)

// open opens the device, unless it is open, and finds its agent.
func (r *remote) open(ctx context.Context) error {
	if r.device != nil {
		return nil
	}
	options := devices.Options{Dir: r.options.DeviceDir, Keep: r.options.Keep, Ask: r.targets.host.Ask}
	d, err := devices.Retry(ctx, r.targets.host.Patience, func(ctx context.Context) (devices.Device, error) {
		return devices.Open(ctx, r.options.Device, options)
	}, r.targets.note)
	if err != nil {
		return err
	}
	r.device = devices.Timeout(d, callTime)
	if r.program != nil {
		return nil
	}
	i := d.Info()
	platform, err := agent.PlatformOf(i.OS, i.Arch, i.Machine)
	if err != nil {
		return fault.Errorf(fault.Device, "%s: %w", r.options.Device, err)
	}
	r.program, err = r.targets.host.Agent(ctx, platform)
	return err
}

// run runs the agent. A file is put there for it; its name is the last of the
// arguments. What the connection or the agent's end breaks off is done again,
// as long as that gains something: command makes a new command each time, and
// gained says whether the last one was of use.
func (r *remote) run(ctx context.Context, file []byte, command func() (devices.Command, error),
	gained func() bool) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	pause := r.targets.host.Pause
	for idle := 0; ; {
		err := r.once(ctx, file, command)
		if err == nil || ctx.Err() != nil || !brokenOff(err) {
			return translate(ctx, err)
		}
		if idle++; gained() {
			idle, pause = 0, r.targets.host.Pause
		}
		if idle == fruitless {
			return translate(ctx, err)
		}
		r.targets.note("%s; going on with what is missing", wording.OneLine(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, maxPause)
	}
}

const maxPause = 15 * time.Second

func (r *remote) once(ctx context.Context, file []byte, command func() (devices.Command, error)) error {
	name, err := r.device.Push(ctx, agentName, r.program)
	if err != nil {
		return err
	}
	c, err := command()
	if err != nil {
		return err
	}
	c.Name = name
	if file != nil {
		model, err := r.device.Push(ctx, "model", file)
		if err != nil {
			return err
		}
		c.Args = append(c.Args, model)
		err = r.device.Run(ctx, c)
		if err == nil { // otherwise the folder goes, or it is needed again
			err = r.device.Remove(ctx, model)
		}
		return err
	}
	return r.device.Run(ctx, c)
}

// brokenOff says whether doing it again may help: the connection was lost, or
// the agent was killed.
func brokenOff(err error) bool {
	var exit *devices.ExitError
	return errors.Is(err, devices.ErrLost) || errors.As(err, &exit) && exit.Code >= 128
}

// translate gives the agent's exit status its meaning here.
func translate(ctx context.Context, err error) error {
	var exit *devices.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &exit):
		return err
	case exit.Code >= 128: // not by the user here
		return fault.New(fault.Device, err)
	}
	if code := meaning(exit.Code); code != fault.Unexpected {
		return fault.New(code, err)
	}
	return err
}

// answer runs a command whose answer is all of its output.
func (r *remote) answer(ctx context.Context, file []byte, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := r.run(ctx, file, func() (devices.Command, error) {
		out.Reset()
		return devices.Command{Args: args, Stdout: &out, MaxOutput: wire.MaxReport}, nil
	}, func() bool { return false })
	return out.Bytes(), err
}

func (r *remote) Report(ctx context.Context) (wire.Report, error) {
	if r.known != nil {
		return *r.known, nil
	}
	report, err := r.info(ctx)
	if err == nil {
		r.known = &report
	}
	return report, err
}

func (r *remote) Inspect(ctx context.Context) (wire.Report, error) { return r.info(ctx, "-load") }

// info is the agent's report.
func (r *remote) info(ctx context.Context, flags ...string) (wire.Report, error) {
	text, err := r.answer(ctx, nil, append([]string{"info"}, flags...)...)
	if err != nil {
		return wire.Report{}, err
	}
	report, err := wire.DecodeReport(text)
	if err != nil {
		return report, fmt.Errorf("%s: %w", r.options.Device, err)
	}
	return report, nil
}

func (r *remote) Measure(ctx context.Context, w Work, p *profiles.Profile, record Record, progress Progress) error {
	q := wire.Request{Format: wire.Format, Seed: r.targets.seed, Threads: r.options.InferThreads,
		Rounds: cmp.Or(w.Rounds, r.options.Rounds), MaxCelsius: r.options.MaxTemp, Cluster: r.options.Cluster,
		Mode: p.Protocol.Mode,
		Keys: []string{}, Networks: []arch.Architecture{}}
	for _, k := range w.Keys {
		q.Keys = append(q.Keys, k.String())
	}
	for _, n := range w.Networks {
		c, err := n.Space.Parse(n.Arch)
		if err != nil {
			return err
		}
		q.Networks = append(q.Networks, arch.Architecture{Space: n.Space, Choice: c})
	}
	digest, err := q.Digest()
	if err != nil {
		return err
	}
	if record == nil {
		record = func(entries []profiles.Entry, networks []profiles.Network) error {
			p.Merge(entries, networks)
			return nil
		}
	}
	var (
		reader  *wire.Reader
		session *wire.Session
		gained  bool
	)
	handle := func(m wire.Message) error {
		switch {
		case m.Progress != nil:
			progress(m.Progress.Latency())
		case m.Round != nil:
			gained = true
			return record(m.Round.Entries, m.Round.Networks)
		}
		session = m.Session
		return nil
	}
	command := func() (devices.Command, error) {
		gained, q.Measured = false, measured(p, w)
		reader = wire.NewReader(w.latency(), q.Rounds, q.Mode, handle)
		text, err := json.Marshal(q)
		return devices.Command{Args: []string{"stream", "profile-" + digest}, Stdin: bytes.NewReader(text), Stdout: reader,
			MaxOutput: maxStreamed}, err
	}
	if err := r.run(ctx, nil, command, func() bool { return gained }); err != nil {
		return err
	}
	if err := reader.End(); err != nil {
		return fmt.Errorf("%s: %w", r.options.Device, err)
	}
	if missing := p.Missing(q.Keys); missing != nil {
		return fmt.Errorf("%s: %w: it has left out %d operations", r.options.Device, wire.ErrUntrusted, len(missing))
	}
	session.Describe(p)
	return nil
}

// measured is what the profile has of the work.
func measured(p *profiles.Profile, w Work) wire.Round {
	asked := map[string]bool{}
	for _, k := range w.Keys {
		asked[k.String()] = true
	}
	for _, n := range w.Networks {
		asked[n.Arch] = true
	}
	var m wire.Round
	for _, e := range p.Entries {
		if asked[e.Key] {
			m.Entries = append(m.Entries, e)
		}
	}
	for _, n := range p.Networks {
		if asked[n.Arch] {
			m.Networks = append(m.Networks, n)
		}
	}
	return m
}

func (r *remote) Verify(ctx context.Context, path, mode string) (latency.Verification, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return latency.Verification{}, fault.New(fault.Data, err)
	}
	report, err := r.Report(ctx)
	if err != nil {
		return latency.Verification{}, err
	}
	args := []string{"verify", "-infer-threads", fmt.Sprint(r.options.InferThreads), "-mode", mode,
		"-seed", fmt.Sprint(r.targets.seed)}
	if r.options.Cluster != "" {
		args = append(args, "-cluster", r.options.Cluster)
	}
	text, err := r.answer(ctx, model, args...)
	if err != nil {
		return latency.Verification{}, err
	}
	v, err := wire.DecodeVerification(text)
	if err != nil {
		return v, fmt.Errorf("%s: %w", r.options.Device, err)
	}
	if v.Mode != mode {
		return v, fmt.Errorf("%s: %w: it has measured in mode %q, not %q", r.options.Device, wire.ErrUntrusted, v.Mode, mode)
	}
	before, after := v.Device.Before, v.Device.After
	v.Device = report.Device
	v.Device.Before, v.Device.After = before, after
	return v, nil
}

// Leave closes the device, which removes what was put there.
func (r *remote) Leave() error {
	if r.device == nil {
		return nil
	}
	d := r.device
	r.device = nil
	return d.Close()
}
