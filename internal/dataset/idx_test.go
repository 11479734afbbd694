// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// idxFile returns an IDX file of unsigned bytes.
func idxFile(data []byte, dims ...int) []byte {
	out := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, data...)
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

// ramp returns n different-looking bytes.
func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// writeFiles writes files into a new folder; a nil value leaves a file out.
func writeFiles(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if data == nil {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	trainImages = "train-images-idx3-ubyte"
	trainLabels = "train-labels-idx1-ubyte"
	testImages  = "t10k-images-idx3-ubyte"
	testLabels  = "t10k-labels-idx1-ubyte"
)

// idxFiles is a good data set of 4 + 2 images of 3 rows and 2 columns.
func idxFiles() map[string][]byte {
	return map[string][]byte{
		trainImages: idxFile(ramp(24), 4, 3, 2),
		trainLabels: idxFile([]byte{0, 1, 2, 1}, 4),
		testImages:  idxFile(ramp(12), 2, 3, 2),
		testLabels:  idxFile([]byte{2, 0}, 2),
	}
}

func TestIDX(t *testing.T) {
	plain := idxFiles()
	compressed, dotted := map[string][]byte{}, map[string][]byte{}
	for name, data := range plain {
		compressed[name+".gz"] = gzipped(data)
	}
	for from, to := range map[string]string{
		trainImages: "train-images.idx3-ubyte",
		trainLabels: "train-labels.idx1-ubyte.gz",
		testImages:  "t10k-images.idx3-ubyte.gz",
		testLabels:  "t10k-labels.idx1-ubyte",
	} {
		dotted[to] = plain[from] // whatever the name says, these are not compressed
	}
	for name, files := range map[string]map[string][]byte{"plain": plain, "gzip": compressed, "dotted": dotted} {
		t.Run(name, func(t *testing.T) {
			s, err := Open("idx:"+writeFiles(t, files), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if s.C != 1 || s.H != 3 || s.W != 2 || !slices.Equal(s.Classes, []string{"0", "1", "2"}) {
				t.Errorf("shape %d×%d×%d, classes %q", s.C, s.H, s.W, s.Classes)
			}
			if !bytes.Equal(s.Train.Pixels, ramp(24)) || !slices.Equal(s.Train.Labels, []int32{0, 1, 2, 1}) {
				t.Errorf("training part %v", s.Train)
			}
			if !bytes.Equal(s.Test.Pixels, ramp(12)) || !slices.Equal(s.Test.Labels, []int32{2, 0}) {
				t.Errorf("test part %v", s.Test)
			}
			if s.Augment.Flip {
				t.Error("digits would be mirrored")
			}
		})
	}
}

func TestIDXBroken(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"missing", testLabels, nil, "no such file, nor with .idx or .gz"},
		{"empty", trainImages, []byte{}, "truncated: 0 bytes, should be 16 (header)"},
		{"half a header", trainImages, idxFile(nil, 4, 3, 2)[:9], "truncated: 9 bytes, should be 16 (header)"},
		{"truncated images", trainImages, idxFile(ramp(23), 4, 3, 2),
			"truncated: 39 bytes, should be 40 (16 of header and 4×3×2)"},
		{"truncated labels", trainLabels, idxFile([]byte{0, 1}, 4), "truncated: 10 bytes, should be 12 (8 of header and 4)"},
		{"truncated in gzip", trainImages, gzipped(idxFile(ramp(5), 4, 3, 2)), "truncated: 21 bytes, should be 40"},
		{"truncated gzip", trainImages, gzipped(idxFile(ramp(24), 4, 3, 2))[:30], "truncated: "},
		{"gzip without its checksum", trainImages,
			gzipped(idxFile(ramp(24), 4, 3, 2))[:len(gzipped(idxFile(ramp(24), 4, 3, 2)))-4], "unexpected EOF"},
		{"broken gzip header", trainImages, []byte("\x1f\x8b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
			"gzip: invalid header"},
		{"too long", trainImages, idxFile(ramp(25), 4, 3, 2), "more than the 40 bytes that the header announces"},
		{"labels as images", trainImages, idxFile([]byte{0, 1, 2, 1}, 4, 1)[:12], "truncated: 12 bytes"},
		{"images as labels", trainLabels, idxFile(ramp(24), 4, 3, 2),
			"magic number 0x00000803, want 0x00000801 (unsigned bytes, 1 dimensions)"},
		{"floats", trainLabels, []byte{0, 0, 0x0d, 1, 0, 0, 0, 4, 0, 0, 0, 0}, "magic number 0x00000d01"},
		{"text", trainLabels, []byte("<html><body>404</body></html>"), "magic number 0x3c68746d"},
		{"no images", trainImages, idxFile(nil, 0, 3, 2), "dimension 0 is 0"},
		{"no rows", trainImages, idxFile(nil, 4, 0, 2), "dimension 1 is 0, want 1…1024"},
		{"too many columns", trainImages, idxFile(nil, 4, 3, 1025), "dimension 2 is 1025, want 1…1024"},
		{"too large", trainImages, idxFile(nil, 2048, 1024, 1024), "more than 2147483647 bytes of pixels"},
		{"far too large", trainLabels, []byte{0, 0, 8, 1, 255, 255, 255, 255}, "more than 2147483647 bytes of pixels"},
		{"claims much", trainImages, idxFile(ramp(9), 1<<20, 32, 32), "truncated: 25 bytes, should be 1073741840"},
		{"labels missing", trainLabels, idxFile([]byte{0, 1, 2}, 3), "3 labels for 4 images"},
		{"label out of range", testLabels, idxFile([]byte{0, 3}, 2),
			"label 3 of image 1 is out of range: training labels go up to 2"},
		{"test images of another size", testImages, idxFile(ramp(12), 2, 2, 3),
			"images are 3×2, those of the training part 2×3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := idxFiles()
			files[tc.file] = tc.data
			dir := writeFiles(t, files)
			_, err := Open("idx:"+dir, Options{})
			wantDataError(t, err, filepath.Join(dir, tc.file), tc.want)
		})
	}
}

func TestIDXOneClass(t *testing.T) {
	files := idxFiles()
	files[trainLabels] = idxFile([]byte{0, 0, 0, 0}, 4)
	files[testLabels] = idxFile([]byte{0, 0}, 2)
	spec := "idx:" + writeFiles(t, files)
	_, err := Open(spec, Options{})
	wantDataError(t, err, spec, "1 class, want at least 2")
}

func FuzzIDX(f *testing.F) {
	for _, data := range idxFiles() {
		f.Add(data, true)
		f.Add(data, false)
	}
	f.Add(idxFile(ramp(9), 1<<20, 32, 32), true)
	f.Fuzz(func(t *testing.T, data []byte, images bool) {
		rank := 1
		if images {
			rank = 3
		}
		dims, got, err := parseIDX(bytes.NewReader(data), rank)
		if err != nil {
			return
		}
		if want := idxFile(got, dims...); !bytes.Equal(want, data) {
			t.Errorf("read %v and %d bytes, which is not what the file holds", dims, len(got))
		}
	})
}
