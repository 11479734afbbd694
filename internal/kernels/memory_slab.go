// SPDX-License-Identifier: Apache-2.0

package kernels

import "unsafe"

// Slab hands out memory that is never given back, side by side on large pages.
// How long a network takes then depends little on where its weights and maps
// happen to lie: scattered over small pages, the same network has taken a tenth
// more or less time from one process to the next. The zero value is empty.
type Slab[T Float] struct{ free []T }

const (
	slabBytes = 2 << 20 // a large page, and the least that a slab grows by
	lineBytes = 64      // every piece begins at a cache line
)

// Make returns n elements, all 0.
func (s *Slab[T]) Make(n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	line := lineBytes / size
	if n > len(s.free) {
		page := slabBytes / size
		whole := (n + page - 1) / page * page
		s.free = make([]T, whole+page)
		skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(s.free)))%slabBytes) / size
		s.free = s.free[skip:][:whole]
		LargePages(s.free)
	}
	piece := s.free[:n:n]
	s.free = s.free[min(len(s.free), (n+line-1)/line*line):]
	return piece
}
