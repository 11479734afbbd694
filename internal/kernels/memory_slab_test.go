// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"testing"
	"unsafe"
)

// TestSlab: pieces are empty, of the size asked for, apart, and begin at a cache
// line; the first of each growth begins at a large page.
func TestSlab(t *testing.T) {
	var s Slab[float32]
	at := func(p []float32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }
	var pieces [][]float32
	for i, n := range []int{1, 16, 17, 0, 1000, slabBytes/4 - 2000, 3 * slabBytes / 4, 5} {
		p := s.Make(n)
		if len(p) != n || cap(p) != n {
			t.Fatalf("piece %d: %d elements, capacity %d: want %d", i, len(p), cap(p), n)
		}
		if n > 0 && at(p)%lineBytes != 0 {
			t.Errorf("piece %d begins at %#x", i, at(p))
		}
		for j := range p {
			if p[j] != 0 {
				t.Fatalf("piece %d: element %d is %v", i, j, p[j])
			}
			p[j] = float32(i + 1)
		}
		pieces = append(pieces, p)
	}
	for i, p := range pieces {
		for j, v := range p {
			if v != float32(i+1) {
				t.Fatalf("piece %d: element %d was overwritten with %v", i, j, v)
			}
		}
	}
	if at(pieces[0])%slabBytes != 0 || at(pieces[6])%slabBytes != 0 {
		t.Errorf("growths begin at %#x and %#x: want large pages", at(pieces[0]), at(pieces[6]))
	}
}
