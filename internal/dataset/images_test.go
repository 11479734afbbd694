// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func pngFile(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegFile(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// grey returns a w×h image whose first pixel is v and whose others differ.
func grey(w, h int, v uint8) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = v + uint8(3*i)
	}
	return m
}

// filled sets every pixel of m to c.
func filled[M interface {
	image.Image
	Set(x, y int, c color.Color)
}](m M, c color.Color) M {
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			m.Set(x, y, c)
		}
	}
	return m
}

func TestImagesTrainTest(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{
		"train/dog/b.png":    pngFile(t, grey(3, 2, 20)),
		"train/dog/a.PNG":    pngFile(t, grey(3, 2, 10)),
		"train/cat/x.png":    pngFile(t, grey(3, 2, 30)),
		"test/cat/x.png":     pngFile(t, grey(3, 2, 40)),
		"test/dog/x.png":     pngFile(t, grey(3, 2, 50)),
		"test/dog/.DS_Store": []byte("passed over"),
		"train/.git/x":       []byte("passed over"),
		"train/README":       []byte("no class"),
		"LICENSE":            []byte("no class"),
	})
	s, err := Open("images:"+dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.C != 1 || s.H != 2 || s.W != 3 || !slices.Equal(s.Classes, []string{"cat", "dog"}) {
		t.Errorf("shape %d×%d×%d, classes %q", s.C, s.H, s.W, s.Classes)
	}
	want := slices.Concat(grey(3, 2, 30).Pix, grey(3, 2, 10).Pix, grey(3, 2, 20).Pix)
	if !bytes.Equal(s.Train.Pixels, want) || !slices.Equal(s.Train.Labels, []int32{0, 1, 1}) {
		t.Errorf("training part %v, want pixels %v", s.Train, want)
	}
	want = slices.Concat(grey(3, 2, 40).Pix, grey(3, 2, 50).Pix)
	if !bytes.Equal(s.Test.Pixels, want) || !slices.Equal(s.Test.Labels, []int32{0, 1}) {
		t.Errorf("test part %v, want pixels %v", s.Test, want)
	}
}

func TestImagesSplit(t *testing.T) {
	files := map[string][]byte{}
	sizes := map[string]int{"cat": 10, "dog": 11, "owl": 2}
	for class, n := range sizes {
		for i := range n {
			files[fmt.Sprintf("%s/%02d.png", class, i)] = pngFile(t, grey(2, 2, uint8(len(files))))
		}
	}
	dir := writeFiles(t, files)
	open := func(seed uint64) *Set {
		s, err := Open("images:"+dir, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(1)
	var got [][2]int
	for _, c := range s.Info().Classes {
		got = append(got, [2]int{c.Train, c.Test})
	}
	if want := [][2]int{{8, 2}, {8, 3}, {1, 1}}; !slices.Equal(got, want) {
		t.Errorf("images of each class in training and test %v, want %v", got, want)
	}
	seen := map[uint8]bool{} // the first pixel tells the image
	for _, p := range []*Part{&s.Train, &s.Test} {
		for i := range p.Labels {
			seen[p.Pixels[4*i]] = true
		}
	}
	if len(seen) != 23 {
		t.Errorf("%d different images in both parts, want 23", len(seen))
	}
	if open(1).Digest != s.Digest {
		t.Error("the same seed splits differently")
	}
	if open(2).Digest == s.Digest {
		t.Error("another seed splits the same way")
	}
}

func TestImagesPixels(t *testing.T) {
	rect := image.Rect(0, 0, 8, 8)
	for _, tc := range []struct {
		name string
		file string
		data []byte
		want []uint8 // of a pixel
	}{
		{"grey", "a.png", pngFile(t, filled(image.NewGray(rect), color.Gray{77})), []uint8{77}},
		{"grey, 16 bits", "a.png", pngFile(t, filled(image.NewGray16(rect), color.Gray16{0x12fe})), []uint8{0x12}},
		{"grey JPEG", "a.jpg", jpegFile(t, filled(image.NewGray(rect), color.Gray{77})), []uint8{77}},
		{"colour", "a.png", pngFile(t, filled(image.NewRGBA(rect), color.RGBA{1, 2, 3, 255})), []uint8{1, 2, 3}},
		{"colour, 16 bits", "a.png", pngFile(t, filled(image.NewRGBA64(rect), color.RGBA64{0x01ff, 0x02ff, 0x03ff, 0xffff})),
			[]uint8{1, 2, 3}},
		{"palette", "a.png",
			pngFile(t, filled(image.NewPaletted(rect, color.Palette{color.RGBA{9, 8, 7, 255}}), color.RGBA{9, 8, 7, 255})),
			[]uint8{9, 8, 7}},
		{"half transparent black", "a.png", pngFile(t, filled(image.NewNRGBA(rect), color.NRGBA{0, 0, 0, 128})),
			[]uint8{127, 127, 127}},
		{"transparent", "a.png", pngFile(t, filled(image.NewNRGBA(rect), color.NRGBA{10, 20, 30, 0})),
			[]uint8{255, 255, 255}},
		{"JPEG named .png", "a.png", jpegFile(t, filled(image.NewGray(rect), color.Gray{200})), []uint8{200}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other := pngFile(t, grey(8, 8, 1))
			s, err := Open("images:"+writeFiles(t, map[string][]byte{
				"train/a/" + tc.file: tc.data, "train/b/b.png": other, "test/a/a.png": other, "test/b/b.png": other,
			}), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if s.C != len(tc.want) {
				t.Fatalf("%d channels, want %d", s.C, len(tc.want))
			}
			for i := 0; i < 8*8*s.C; i += s.C {
				if got := s.Train.Pixels[i : i+s.C]; !bytes.Equal(got, tc.want) {
					t.Fatalf("pixel %d is %v, want %v", i/s.C, got, tc.want)
				}
			}
			if got := s.Test.Pixels[s.C : 2*s.C]; !bytes.Equal(got, bytes.Repeat([]byte{4}, s.C)) {
				t.Errorf("pixel 1 of the grey image is %v, want %d times 4", got, s.C)
			}
		})
	}
}

func TestImagesFlip(t *testing.T) {
	for _, tc := range []struct {
		classes string
		want    bool
	}{
		{"cat dog", true}, {"0 1 2 10", false}, {"00012 00013", false}, {"a b ß", false}, {"0 1 plus", true},
	} {
		if got := !allSymbols(strings.Fields(tc.classes)); got != tc.want {
			t.Errorf("classes %s: mirrored %v, want %v", tc.classes, got, tc.want)
		}
	}
}

func TestImagesBroken(t *testing.T) {
	good := func() map[string][]byte {
		files := map[string][]byte{}
		for _, name := range []string{"cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png"} {
			files[name] = pngFile(t, grey(4, 4, 1))
		}
		return files
	}
	png4 := pngFile(t, grey(4, 4, 1))
	broken := bytes.Clone(png4) // another width than the checksum is for
	broken[17] = 1
	for _, tc := range []struct {
		name   string
		change map[string][]byte
		side   int
		path   string
		want   string
	}{
		{"another size", map[string][]byte{"dog/b.png": pngFile(t, grey(5, 4, 1))}, 0, "dog/b.png", "5×4 pixels, want 4×4"},
		{"not the size wanted", nil, 28, "cat/a.png", "4×4 pixels, want 28×28"},
		{"too large", map[string][]byte{"cat/a.png": pngFile(t, grey(1025, 1, 1))}, 0, "cat/a.png",
			"1025×1 pixels, at most 1024×1024"},
		{"broken header", map[string][]byte{"dog/a.png": broken}, 0, "dog/a.png", "invalid checksum"},
		{"empty file", map[string][]byte{"dog/a.png": {}}, 0, "dog/a.png", "neither PNG nor JPEG"},
		{"another format", map[string][]byte{"dog/a.png": []byte("GIF89a nothing else")}, 0, "dog/a.png",
			"neither PNG nor JPEG"},
		{"truncated", map[string][]byte{"dog/a.png": png4[:len(png4)-20]}, 0, "dog/a.png", "unexpected EOF"},
		{"another extension", map[string][]byte{"dog/c.webp": {1}}, 0, "dog/c.webp", "not a .png, .jpg or .jpeg file"},
		{"a folder in a class", map[string][]byte{"dog/more/c.png": png4}, 0, "dog/more", "not a .png, .jpg or .jpeg file"},
		{"an empty class", map[string][]byte{"owl/.keep": {}}, 0, "owl", "a class without images"},
		{"one class", map[string][]byte{"dog/a.png": nil, "dog/b.png": nil}, 0, ".", "1 class folders, want at least 2"},
		{"one image in a class", map[string][]byte{"dog/b.png": nil}, 0, "dog",
			"1 image, want one for training and one for the test"},
		{"class in train only", map[string][]byte{
			"train/cat/a.png": png4, "train/dog/a.png": png4, "train/owl/a.png": png4,
			"test/cat/a.png": png4, "test/dog/a.png": png4,
		}, 0, ".", `class "owl" is not in both train and test`},
		{"class in test only", map[string][]byte{
			"train/cat/a.png": png4, "train/dog/a.png": png4, "test/owl/a.png": png4,
			"test/cat/a.png": png4, "test/dog/a.png": png4,
		}, 0, ".", `class "owl" is not in both train and test`},
		{"no classes in test", map[string][]byte{
			"train/cat/a.png": png4, "train/dog/a.png": png4, "test/x.png": png4,
		}, 0, "test", "0 class folders, want at least 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := good()
			for name, data := range tc.change {
				files[name] = data
			}
			dir := writeFiles(t, files)
			_, err := Open("images:"+dir, Options{Image: tc.side})
			wantDataError(t, err, filepath.Join(dir, filepath.FromSlash(tc.path)), tc.want)
		})
	}
}

func FuzzImageDecode(f *testing.F) {
	f.Add(pngFile(f, grey(4, 4, 1)))
	f.Add(pngFile(f, filled(image.NewNRGBA64(image.Rect(0, 0, 4, 4)), color.NRGBA64{1, 2, 3, 40000})))
	f.Add(jpegFile(f, grey(4, 4, 1)))
	f.Add(jpegFile(f, filled(image.NewRGBA(image.Rect(0, 0, 4, 4)), color.RGBA{9, 8, 7, 255})))
	s := &Set{C: 3, H: 4, W: 4}
	f.Fuzz(func(t *testing.T, data []byte) {
		const guard = 0xa5
		dst := bytes.Repeat([]byte{guard}, s.ImageLen()+1)
		if err := s.decode(dst[:s.ImageLen()], data); err != nil && bytes.Count(dst, []byte{guard}) != len(dst) {
			t.Errorf("pixels were written in spite of %v", err)
		}
		if dst[s.ImageLen()] != guard {
			t.Error("wrote behind the image")
		}
	})
}
