// SPDX-License-Identifier: Apache-2.0

package hostprofile

import (
	"testing"

	"github.com/edgenas/edgenas/internal/hostinfo"
)

// The processor stands for a chip that nothing names, and a temperature that
// nothing tells is left out.
func TestDeviceAndState(t *testing.T) {
	h := hostinfo.Host{Model: "board", CPU: "Cortex-A72", Cores: 4, MemoryBytes: 1 << 30, Emulation: hostinfo.NotEmulated}
	s := hostinfo.State{Governor: "performance", FreqHz: 1.5e9, MaxFreqHz: 1.8e9}
	d := Device(h, s)
	if d.Model != "board" || d.SoC != "Cortex-A72" || d.Cores != 4 || d.Governor != "performance" ||
		d.Emulation != "none" {
		t.Errorf("%+v", d)
	}
	if h.SoC = "BCM2711"; Device(h, s).SoC != "BCM2711" {
		t.Errorf("%+v", Device(h, s))
	}
	if p := State(s); p.FrequencyHz != 1.5e9 || p.MaxFrequencyHz != 1.8e9 || p.TemperatureCelsius != nil {
		t.Errorf("%+v", p)
	}
	s.Zones = []hostinfo.Zone{{Name: "cpu-thermal", Celsius: 61}}
	if p := State(s); p.TemperatureCelsius == nil || *p.TemperatureCelsius != 61 {
		t.Errorf("%+v", p)
	}
}
