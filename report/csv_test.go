// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"testing"

	"github.com/edgenas/edgenas/profiles"
)

func TestHistoryCSV(t *testing.T) {
	loss, lr := 0.53, 0.03
	history := []point{
		{Phase: "search", Epoch: 0, LossTrain: &loss, Alpha: [][][]float64{{{0.25, 0.75}}, {{1}}}, Derived: "|a,b|"},
		{Phase: "search", Epoch: 1, Alpha: [][][]float64{{{0.5}}}},
		{Phase: "train", Epoch: 0, LR: &lr},
	}
	const want = `phase,epoch,loss_train,loss_val,accuracy_train,accuracy_val,lr,alpha_entropy,skip_share,lambda,` +
		`temperature,expected_latency_s,derived_latency_s,derived,p[0][0][0],p[0][0][1],p[1][0][0]
search,0,0.53,,,,,,,,,,,"|a,b|",0.25,0.75,1
search,1,,,,,,,,,,,,,0.5,,
train,0,,,,,0.03,,,,,,,,,,
`
	var b bytes.Buffer
	if err := historyCSV(&b, history); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("have\n%swant\n%s", b.String(), want)
	}
}

func TestEntriesCSV(t *testing.T) {
	e := profiles.Entry{Key: "a", Timing: ok(2e-5, 1.9e-5, 2.1e-5)}
	e.Warnings = []string{"one", "two"}
	p := &profiles.Profile{Entries: []profiles.Entry{e,
		{Key: "b", Timing: profiles.Timing{Status: profiles.Failed, Reason: "crashed"}}}}
	const want = `key,status,reason,n,median_s,lo_s,hi_s,min_s,p90_s,p95_s,p99_s,warnings
a,ok,,10,2e-05,1.9e-05,2.1e-05,,,,one; two
b,failed,crashed,,,,,,,,
`
	var b bytes.Buffer
	if err := EntriesCSV(&b, p); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("have\n%swant\n%s", b.String(), want)
	}
}
