// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ok(median float64) Timing {
	return Timing{Status: OK, N: 1, MedianS: median, LoS: median, HiS: median}
}

func fresh() *Profile {
	return &Profile{Device: Device{Model: "board", Cores: 4}, Runtime: Runtime{Name: "native", Threads: 1}}
}

// interrupted leaves a journal of two rounds and returns the profile's path.
func interrupted(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.json")
	j, err := OpenJournal(path, fresh())
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		entries := []Entry{{Key: "a", Timing: ok(float64(round + 1))},
			{Key: "b", Timing: Timing{Status: Failed, Reason: "no"}}}
		if err := j.Append(entries, []Network{{Arch: "net", Timing: ok(3)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJournal(t *testing.T) {
	path := interrupted(t)
	p := fresh()
	j, err := OpenJournal(path, p)
	if err != nil {
		t.Fatal(err)
	}
	if j.Resumed() != 2 || len(p.Entries) != 2 || len(p.Networks) != 1 {
		t.Fatalf("%d resumed, %d entries, %d networks", j.Resumed(), len(p.Entries), len(p.Networks))
	}
	if e, err := p.Lookup("a"); err != nil || e.MedianS != 2 {
		t.Errorf("the last line of a key does not win: %v, %v", e, err)
	}
	if err := j.Append([]Entry{{Key: "c", Timing: ok(1)}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".partial"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the journal outlives the profile")
	}
	if q, err := Load(path); err != nil || len(q.Entries) != 3 {
		t.Errorf("%v, %v", q, err)
	}
}

// However much of the journal an interruption tore off, the whole lines count
// and the next run can go on.
func TestJournalTorn(t *testing.T) {
	path := interrupted(t)
	whole, err := os.ReadFile(path + ".partial")
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size <= len(whole); size++ {
		if err := os.WriteFile(path+".partial", whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(whole[:size]), "\n")
		p := fresh()
		j, err := OpenJournal(path, p)
		if err != nil {
			t.Fatalf("after %d bytes: %v", size, err)
		}
		if want := min(max(lines-1, 0), 2); j.Resumed() != want {
			t.Fatalf("after %d bytes: %d entries, want %d", size, j.Resumed(), want)
		}
		j.Append([]Entry{{Key: "c", Timing: ok(1)}}, nil)
		j.Close()
		q := fresh()
		j, err = OpenJournal(path, q)
		if err != nil {
			t.Fatalf("after %d bytes and one entry more: %v", size, err)
		}
		j.Close()
		if len(q.Entries) != len(p.Entries) {
			t.Fatalf("after %d bytes and one entry more: %d entries, want %d", size, len(q.Entries), len(p.Entries))
		}
	}
}

func TestJournalRefuses(t *testing.T) {
	path := interrupted(t)
	other := fresh()
	other.Runtime.Threads = 4
	var mismatch *MismatchError
	if _, err := OpenJournal(path, other); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), path+".partial") {
		t.Errorf("another thread count: %v", err)
	}
	whole, _ := os.ReadFile(path + ".partial")
	for _, tc := range []struct{ old, new, want string }{
		{`{"entry":{"key":"b"`, `{"entry":{"kez":"b"`, "line 3"},
		{`{"network":`, `{"gossip":`, "line 4: unknown"},
		{`"median_s":2`, `"median_s":-2`, `line 5: median_s`},
		{"edgenas-profile/1", "edgenas-profile/9", "line 1: format"},
	} {
		changed := strings.Replace(string(whole), tc.old, tc.new, 1)
		if err := os.WriteFile(path+".partial", []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		var invalid *InvalidError
		if _, err := OpenJournal(path, fresh()); !errors.As(err, &invalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.new, err, tc.want)
		}
	}
	os.Remove(path + ".partial")
	j, err := OpenJournal(path, fresh())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Append([]Entry{{Key: "a", Timing: Timing{Status: OK}}}, nil); err == nil {
		t.Error("an entry without numbers is kept")
	}
}

// FuzzJournal: a journal of any bytes is resumed or refused.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"format":"edgenas-profile/1","device":{},"entries":[]}` + "\n" +
		`{"entry":{"key":"a","status":"failed","reason":"x"}}` + "\n" + `{"en`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "p.json")
		if err := os.WriteFile(path+".partial", data, 0o644); err != nil {
			t.Fatal(err)
		}
		p := fresh()
		j, err := OpenJournal(path, p)
		if err != nil {
			return
		}
		if err := j.Commit(); err != nil {
			t.Fatalf("resumed but not saved: %v", err)
		}
	})
}
