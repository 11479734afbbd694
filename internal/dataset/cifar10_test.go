// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// cifarRecords returns records with the given labels; the pixel at (row, column)
// of record i has the values i, row and column.
func cifarRecords(labels ...byte) (out []byte) {
	for i, label := range labels {
		out = append(out, label)
		for c := range 3 {
			for k := range cifarPlane {
				out = append(out, byte([]int{i, k / cifarSide, k % cifarSide}[c]))
			}
		}
	}
	return out
}

func cifarFiles() map[string][]byte {
	files := map[string][]byte{"test_batch.bin": cifarRecords(9, 0)}
	for i := range 5 {
		files[fmt.Sprintf("data_batch_%d.bin", i+1)] = cifarRecords(byte(i), byte(i+5))
	}
	return files
}

func TestCIFAR10(t *testing.T) {
	for _, meta := range []bool{false, true} {
		files := cifarFiles()
		first := "airplane"
		if meta {
			files["batches.meta.txt"] = []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n")
			first = "a"
		}
		s, err := Open("cifar10:"+writeFiles(t, files), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.C != 3 || s.H != 32 || s.W != 32 || len(s.Classes) != 10 || s.Classes[0] != first || !s.Augment.Flip {
			t.Errorf("shape %d×%d×%d, classes %q, augment %+v", s.C, s.H, s.W, s.Classes, s.Augment)
		}
		if !slices.Equal(s.Train.Labels, []int32{0, 5, 1, 6, 2, 7, 3, 8, 4, 9}) ||
			!slices.Equal(s.Test.Labels, []int32{9, 0}) {
			t.Errorf("labels %v and %v", s.Train.Labels, s.Test.Labels)
		}
		at := (1*cifarPlane + 5*cifarSide + 17) * 3
		if got := s.Test.Pixels[at : at+3]; !bytes.Equal(got, []byte{1, 5, 17}) {
			t.Errorf("pixel (5, 17) of image 1 is %v", got)
		}
	}
}

func TestCIFAR10Broken(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"missing", "data_batch_3.bin", nil, "no such file or directory"},
		{"empty", "data_batch_3.bin", []byte{}, "empty file"},
		{"truncated", "test_batch.bin", cifarRecords(1, 2)[:4000], "truncated: 1 records of 3073 bytes and 927 bytes more"},
		{"label", "data_batch_5.bin", cifarRecords(1, 10), "label 10 of image 1 is out of range 0…9"},
		{"names", "batches.meta.txt", []byte("cat\ndog\n"), "2 class names, want 10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := cifarFiles()
			files[tc.file] = tc.data
			dir := writeFiles(t, files)
			_, err := Open("cifar10:"+dir, Options{})
			wantDataError(t, err, filepath.Join(dir, tc.file), tc.want)
		})
	}
}

func FuzzCIFAR10(f *testing.F) {
	f.Add(cifarRecords(3))
	f.Add(cifarRecords(10))
	f.Add(cifarRecords(0, 1)[:5000])
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Part
		if parseCIFAR10(bytes.NewReader(data), &p) != nil {
			return
		}
		if p.Len()*cifarRecord != len(data) || len(p.Pixels) != p.Len()*3*cifarPlane {
			t.Errorf("%d labels and %d pixels from %d bytes", p.Len(), len(p.Pixels), len(data))
		}
	})
}
