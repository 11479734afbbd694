// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tinySet returns a finished set of random h×w images of c channels, whose
// labels go round. The first two pixel values of an image tell its index.
func tinySet(t testing.TB, train, test, h, w, c int) *Set {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	part := func(n int) Part {
		p := Part{make([]uint8, n*h*w*c), make([]int32, n)}
		for i := range p.Pixels {
			p.Pixels[i] = uint8(1 + rng.IntN(255))
		}
		for i := range p.Labels {
			p.Labels[i] = int32(i % 3)
			p.Pixels[i*h*w*c], p.Pixels[i*h*w*c+1] = uint8(i), uint8(i>>8)
		}
		return p
	}
	s := &Set{Classes: []string{"a", "b", "c"}, C: c, H: h, W: w, Train: part(train), Test: part(test)}
	if err := s.finish(Options{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenSpec(t *testing.T) {
	for _, tc := range []struct{ spec, want string }{
		{"", `unknown kind ""`},
		{"mnist", `unknown kind "mnist", want embedded, idx:DIR, cifar10:DIR, images:DIR`},
		{"foo:/data", `unknown kind "foo"`},
		{"idx", "want idx:DIR"},
		{"idx:", "want idx:DIR"},
		{"embedded:x", "want embedded"},
		{"IDX:x", `unknown kind "IDX"`},
	} {
		_, err := Open(tc.spec, Options{})
		var spec *SpecError
		if !errors.As(err, &spec) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error %v, want a SpecError with %q", tc.spec, err, tc.want)
		}
	}
}

func TestOpenMissingFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nothing")
	for _, k := range Kinds() {
		if k.Argument == "" {
			continue
		}
		_, err := Open(k.Name+":"+dir, Options{})
		wantDataError(t, err, dir, "no such file or directory")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is not fs.ErrNotExist", k.Name, err)
		}
	}
}

// wantDataError checks that err is a DataError of path whose text holds what.
func wantDataError(t *testing.T, err error, path, what string) {
	t.Helper()
	var data *DataError
	if !errors.As(err, &data) {
		t.Fatalf("error %v, want a DataError", err)
	}
	if data.Path != path || !strings.Contains(err.Error(), what) {
		t.Errorf("error %q, want one of %s with %q", err, path, what)
	}
}

func TestKindsOrder(t *testing.T) {
	var specs []string
	for _, k := range Kinds() {
		specs = append(specs, k.Spec())
		if k.Summary == "" {
			t.Errorf("%s has no summary", k.Name)
		}
	}
	if want := []string{"embedded", "idx:DIR", "cifar10:DIR", "images:DIR"}; !slices.Equal(specs, want) {
		t.Errorf("kinds %v, want %v", specs, want)
	}
}

func TestFinishRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Set)
		want   string
	}{
		{"one class", func(s *Set) { s.Classes = s.Classes[:1] }, "1 class, want at least 2"},
		{"no test images", func(s *Set) { s.Test = Part{} }, "a part without images"},
		{"no training images", func(s *Set) { s.Train = Part{} }, "a part without images"},
		{"constant channel", func(s *Set) {
			for i := 1; i < len(s.Train.Pixels); i += 3 {
				s.Train.Pixels[i] = 9
			}
		}, "channel 1 has the same value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tinySet(t, 6, 3, 4, 4, 3)
			tc.change(s)
			if err := s.finish(Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	err := tinySet(t, 6, 3, 4, 4, 3).finish(Options{Image: 8})
	if err == nil || !strings.Contains(err.Error(), "images are 4×4, want 8×8") {
		t.Errorf("another size: error %v", err)
	}
}

func TestMeanStd(t *testing.T) {
	s := tinySet(t, 50, 3, 5, 6, 3)
	for c := range s.C {
		var xs []float64
		for i := c; i < len(s.Train.Pixels); i += s.C {
			xs = append(xs, float64(s.Train.Pixels[i])/255)
		}
		mean, squares := 0.0, 0.0
		for _, x := range xs {
			mean += x / float64(len(xs))
		}
		for _, x := range xs {
			squares += (x - mean) * (x - mean)
		}
		std := math.Sqrt(squares / float64(len(xs)))
		if math.Abs(float64(s.Mean[c])-mean) > 1e-6 || math.Abs(float64(s.Std[c])-std) > 1e-6 {
			t.Errorf("channel %d: %g ± %g, want %g ± %g", c, s.Mean[c], s.Std[c], mean, std)
		}
	}
}

func TestDigestSeesEverything(t *testing.T) {
	seen := map[string]string{}
	for _, tc := range []struct {
		name   string
		change func(*Set)
	}{
		{"nothing", func(*Set) {}},
		{"training pixel", func(s *Set) { s.Train.Pixels[40]++ }},
		{"test pixel", func(s *Set) { s.Test.Pixels[40]++ }},
		{"training label", func(s *Set) { s.Train.Labels[1] = 0 }},
		{"test label", func(s *Set) { s.Test.Labels[1] = 0 }},
		{"class name", func(s *Set) { s.Classes[2] = "d" }},
		{"border of class names", func(s *Set) { s.Classes = []string{"ab", "", "c"} }},
		{"shape", func(s *Set) { s.H, s.W = s.W, s.H }},
		{"border of the parts", func(s *Set) {
			cut := s.ImageLen()
			s.Test.Pixels = append(s.Train.Pixels[len(s.Train.Pixels)-cut:], s.Test.Pixels...)
			s.Test.Labels = append(s.Train.Labels[5:], s.Test.Labels...)
			s.Train.Pixels, s.Train.Labels = s.Train.Pixels[:len(s.Train.Pixels)-cut], s.Train.Labels[:5]
		}},
	} {
		s := tinySet(t, 6, 3, 4, 5, 3)
		tc.change(s)
		d := s.digest()
		if other, twice := seen[d]; twice {
			t.Errorf("%q and %q have the same digest", tc.name, other)
		}
		seen[d] = tc.name
	}
	if a, b := tinySet(t, 6, 3, 4, 5, 3), tinySet(t, 6, 3, 4, 5, 3); a.Digest != b.Digest || len(a.Digest) != 64 {
		t.Errorf("digests %s and %s of the same images", a.Digest, b.Digest)
	}
}

func TestInfoJSON(t *testing.T) {
	s := tinySet(t, 7, 4, 4, 5, 3)
	s.Name, s.Augment = "test", Augment{Flip: true, Pad: 4}
	s.Mean, s.Std, s.Digest = []float32{0.5, 0.25, 0}, []float32{1, 2, 0.5}, "00ff"
	got, err := json.Marshal(s.Info())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"test","classes":[{"name":"a","train":3,"test":2},{"name":"b","train":2,"test":1},` +
		`{"name":"c","train":2,"test":1}],` +
		`"channels":3,"height":4,"width":5,"train":7,"test":4,"mean":[0.5,0.25,0],"std":[1,2,0.5],` +
		`"augment":{"flip":true,"pad":4,"cutout":0},"digest":"00ff"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
