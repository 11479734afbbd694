// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// Measured networks come back in another order than they were drawn in: each
// must be compared with its own prediction.
func TestValidationCasesPairByNetwork(t *testing.T) {
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	nets, err := inventory.New(space, 2)
	if err != nil {
		t.Fatal(err)
	}
	p := &profiles.Profile{}
	for i, k := range nets.Keys() { // each key takes another time
		s := 1e-6 * float64(i+1)
		p.Entries = append(p.Entries, profiles.Entry{Key: k.String(),
			Timing: profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: s, HiS: s}})
	}
	table := predict.NewTable(p)
	drawn, err := nets.Sample(30, rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var measured []profiles.Network
	for _, d := range drawn {
		e, err := table.Estimate(d.Graph)
		if err != nil {
			t.Fatal(err)
		}
		measured = append(measured, profiles.Network{Arch: d.Arch,
			Timing: profiles.Timing{Status: profiles.OK, MedianS: e.Seconds}})
	}
	slices.Reverse(measured)
	cases, err := validationCases(table, drawn, measured)
	if err != nil {
		t.Fatal(err)
	}
	v, err := predict.Validate(cases)
	if err != nil {
		t.Fatal(err)
	}
	if v.N != 30 || v.MAPE != 0 || *v.Spearman < 0.999999 {
		t.Errorf("%+v: want 30 networks without error", v)
	}
	measured[3].Status, measured[3].Reason = profiles.Failed, "crashed"
	if _, err := validationCases(table, drawn, measured); err == nil {
		t.Error("a failed measurement was counted")
	}
}
