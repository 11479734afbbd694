// SPDX-License-Identifier: Apache-2.0

package imagepack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// blobs returns images of bright discs with noise on black, like real ones.
func blobs(rng *rand.Rand, images, w, h int) []byte {
	pix := make([]byte, 0, images*w*h)
	for range images {
		cx, cy, r := rng.IntN(w), rng.IntN(h), 1+rng.IntN(max(w, h))
		for y := range h {
			for x := range w {
				v := 0
				if (x-cx)*(x-cx)+(y-cy)*(y-cy) < r*r {
					v = 120 + 4*x + rng.IntN(30)
				}
				pix = append(pix, byte(min(v, 255)))
			}
		}
	}
	return pix
}

func noise(rng *rand.Rand, n int) []byte {
	pix := make([]byte, n)
	for i := range pix {
		pix[i] = byte(rng.Uint32())
	}
	return pix
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, tc := range []struct {
		name string
		w, h int
		pix  []byte
	}{
		{"one black pixel", 1, 1, []byte{0}},
		{"one white pixel", 1, 1, []byte{255}},
		{"row", 9, 1, noise(rng, 9)},
		{"column", 1, 9, noise(rng, 9)},
		{"odd width", 7, 5, blobs(rng, 20, 7, 5)},
		{"noise", 28, 28, noise(rng, 28*28*50)},
		{"all black", 8, 8, make([]byte, 8*8*3)},
		{"all white", 8, 8, bytes.Repeat([]byte{255}, 8*8*3)},
		{"a full stream", 4, 4, blobs(rng, perStream, 4, 4)},
		{"three streams", 6, 4, blobs(rng, 2*perStream+1, 6, 4)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			packed, err := Pack(tc.pix, tc.w, tc.h)
			if err != nil {
				t.Fatal(err)
			}
			got, w, h, err := Unpack(packed)
			if err != nil {
				t.Fatal(err)
			}
			if w != tc.w || h != tc.h || !bytes.Equal(got, tc.pix) {
				t.Errorf("got %d pixels of %d×%d images, want %d of %d×%d, or other values", len(got), w, h, len(tc.pix), tc.w, tc.h)
			}
			again, _ := Pack(tc.pix, tc.w, tc.h)
			if !bytes.Equal(again, packed) {
				t.Error("packing twice gives different bytes")
			}
		})
	}
}

func TestPackShrinks(t *testing.T) {
	pix := blobs(rand.New(rand.NewPCG(2, 1)), 2000, 28, 28)
	packed, err := Pack(pix, 28, 28)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > len(pix)*7/10 { // a lit pixel has log2(30) = 4.9 bits of noise
		t.Errorf("%d bytes for %d pixels", len(packed), len(pix))
	}
}

func TestPackRefuses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		n, w, h int
	}{
		{"nothing", 0, 2, 2},
		{"part of an image", 5, 2, 2},
		{"no width", 4, 0, 2},
		{"negative height", 4, 2, -2},
		{"too wide", 1 << 15, 1 << 15, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Pack(make([]byte, tc.n), tc.w, tc.h); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestUnpackFindsEveryChange(t *testing.T) {
	pix := blobs(rand.New(rand.NewPCG(3, 1)), 5, 6, 6)
	packed, err := Pack(pix, 6, 6)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		if _, _, _, err := Unpack(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", what, err)
		}
	}
	const stride = 7 // tables are built for each try
	for n := 0; n < len(packed); n += stride {
		check(fmt.Sprintf("cut at %d", n), packed[:n])
	}
	check("a byte more", append(packed[:len(packed):len(packed)], 0))
	onePixel, err := Pack([]byte{7}, 1, 1) // its stream is a state and no words: the size 4 and 4 bytes
	if err != nil {
		t.Fatal(err)
	}
	longer := append(bytes.Clone(onePixel), 0)
	longer[len(onePixel)-5]++
	check("a byte more in a stream", longer)
	for i := 0; i < len(packed); i += stride {
		changed := bytes.Clone(packed)
		changed[i] ^= 1
		got, w, h, err := Unpack(changed)
		if err == nil && (w != 6 || h != 6 || !bytes.Equal(got, pix)) {
			t.Errorf("byte %d: wrong pixels without an error", i)
		}
	}
}

func TestQuantise(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	for range 300 {
		var counts [256]uint64
		for range 1 + rng.IntN(300) {
			counts[rng.IntN(256)] += rng.Uint64N(1 << rng.IntN(20))
		}
		table := quantise(&counts)
		sum, total := uint64(0), uint64(0)
		for s, f := range table {
			if (f > 0) != (counts[s] > 0) {
				t.Fatalf("symbol %d: frequency %d for count %d", s, f, counts[s])
			}
			sum += f
			total += counts[s]
		}
		if total > 0 && sum != probSum {
			t.Fatalf("frequencies sum to %d, want %d", sum, probSum)
		}
	}
}

func TestSymbolIsInvertible(t *testing.T) {
	for expected := 1; expected <= 255; expected++ {
		for v := range 256 {
			if got := value(int(symbol(byte(v), expected)), expected); int(got) != v {
				t.Fatalf("value %d, expected %d: came back as %d", v, expected, got)
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, size := range []int{1, 3, 8} {
		packed, err := Pack(blobs(rng, 3, size, size), size, size)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader{data: data}
		r.take(len(magic))
		if r.number(16)*r.number(16)*r.number(1100) == 0 {
			return // allowed, but slow: black images take no bytes
		}
		pixels, w, h, err := Unpack(data)
		if err == nil && (w < 1 || h < 1 || len(pixels)%(w*h) != 0 || len(pixels) > MaxPixels) {
			t.Errorf("%d pixels of %d×%d images", len(pixels), w, h)
		}
	})
}

func BenchmarkUnpack(b *testing.B) {
	const images = 4 * perStream
	packed, err := Pack(blobs(rand.New(rand.NewPCG(6, 1)), images, 28, 28), 28, 28)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("images=%d/size=28x28", images), func(b *testing.B) {
		b.SetBytes(images * 28 * 28)
		for b.Loop() {
			Unpack(packed)
		}
	})
}
