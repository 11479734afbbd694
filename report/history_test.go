// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/runfile"
)

// FuzzReadHistory: whatever a history says, it is refused or it is drawn.
func FuzzReadHistory(f *testing.F) {
	whole, err := os.ReadFile(filepath.Join(fixtureDir, "history.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	f.Add(bytes.Join(lines[:2], nil))
	f.Add(lines[len(lines)-2])
	f.Add([]byte(`{"alpha":[[[1e308,-1e308,0],[5e-324]],[]],"loss_val":1e99,"epoch":1000000}` + "\n" +
		`{"alpha":[[[]]],"derived_latency_s":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := runfile.ReadHistory(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(points) > bytes.Count(data, []byte("\n"))+1 {
			t.Errorf("%d points in %d bytes", len(points), len(data))
		}
		var b bytes.Buffer
		if err := Write(&b, Run{result: runfile.Summary{Space: "nb201"}, history: points}); err != nil {
			t.Fatal(err)
		}
		page, _ := withoutDownloads(b.String())
		for _, bad := range []string{"NaN", "Inf", "ZgotmplZ"} {
			if i := strings.Index(page, bad); i >= 0 && !bytes.Contains(data, []byte(bad)) {
				t.Errorf("the page has %s: …%s…", bad, page[max(0, i-60):i+10])
			}
		}
		if err := historyCSV(io.Discard, points); err != nil {
			t.Error(err)
		}
	})
}
