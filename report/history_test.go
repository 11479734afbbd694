// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadHistory(t *testing.T) {
	for _, c := range []struct {
		name, text string
		points     int
		bad        string // part of the error
	}{
		{"empty", "", 0, ""},
		{"one", `{"phase":"search","epoch":3,"loss_val":0.5}` + "\n", 1, ""},
		{"unknown and null fields", `{"future":[1],"loss_val":null}` + "\n", 1, ""},
		{"blank lines", "\n{}\n\r\n{}\n", 2, ""},
		{"last line whole but for its newline", "{}\n{\"epoch\":1}", 2, ""},
		{"last line torn", "{}\n{\"epoch\":1", 1, ""},
		{"torn in the middle", "{}\n{\"epoch\":1\n{}\n", 0, "line 2"},
		{"wrong type", `{"epoch":"one"}` + "\n", 0, "line 1"},
		{"epoch beyond reason", `{"epoch":9000000000}` + "\n", 0, "epoch 9000000000"},
		{"line too long", "{}\n{" + strings.Repeat(" ", maxLineBytes) + "}\n", 0, "line 2: more than"},
	} {
		points, err := ReadHistory(strings.NewReader(c.text))
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: error %v, want %q in it", c.name, err, c.bad)
			}
			continue
		}
		if err != nil || len(points) != c.points {
			t.Errorf("%s: %d points, error %v; want %d", c.name, len(points), err, c.points)
		}
	}
	if _, err := ReadHistory(endless{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an endless file: error %v", err)
	}
}

// endless is a file of long blank lines without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	p[len(p)-1] = '\n'
	return len(p), nil
}

// FuzzReadHistory: whatever a history says, it is refused or it is drawn.
func FuzzReadHistory(f *testing.F) {
	whole, err := os.ReadFile(filepath.Join(fixtureDir, "history.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	f.Add(bytes.Join(lines[:2], nil))
	f.Add(lines[len(lines)-2])
	f.Add([]byte(`{"alpha":[[[1e308,-1e308,0],[5e-324]],[]],"loss_val":1e99,"epoch":1000000}` + "\n" + `{"alpha":[[[]]],"derived_latency_s":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := ReadHistory(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(points) > bytes.Count(data, []byte("\n"))+1 {
			t.Errorf("%d points in %d bytes", len(points), len(data))
		}
		var b bytes.Buffer
		if err := Write(&b, Run{Result: Result{Space: "nb201"}, History: points}); err != nil {
			t.Fatal(err)
		}
		page, _ := withoutDownloads(b.String())
		for _, bad := range []string{"NaN", "Inf", "ZgotmplZ"} {
			if i := strings.Index(page, bad); i >= 0 && !bytes.Contains(data, []byte(bad)) {
				t.Errorf("the page has %s: …%s…", bad, page[max(0, i-60):i+10])
			}
		}
		if err := HistoryCSV(io.Discard, points); err != nil {
			t.Error(err)
		}
	})
}
