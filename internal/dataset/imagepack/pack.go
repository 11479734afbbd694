// SPDX-License-Identifier: Apache-2.0

package imagepack

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Pack compresses grey images of width×height pixels that follow one another.
// The same pixels give the same bytes on every machine. It is an error if
// pixels are no whole number of images, none, or more than MaxPixels.
func Pack(pixels []byte, width, height int) ([]byte, error) {
	if width < 1 || width > maxSide || height < 1 || height > maxSide || len(pixels) == 0 || len(pixels) > MaxPixels || len(pixels)%(width*height) != 0 {
		return nil, fmt.Errorf("imagepack: %d pixels are not 1 or more images of %d×%d (at most %d pixels)", len(pixels), width, height, MaxPixels)
	}
	size := width * height
	marks := make([]mark, len(pixels))
	counts := make([][256]uint64, contexts)
	c := newCanvas(width, height)
	for at := 0; at < len(pixels); at += size {
		c.mark(marks[at:at+size], pixels[at:at+size])
	}
	for _, m := range marks {
		counts[m.context][m.symbol]++
	}

	out := []byte(magic)
	for _, v := range []int{width, height, len(pixels) / size} {
		out = binary.AppendUvarint(out, uint64(v))
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(pixels))
	tables := make([]table, contexts)
	for k := range tables {
		tables[k] = quantise(&counts[k])
		out = tables[k].append(out)
	}
	var streams []byte
	for at := 0; at < len(marks); at += perStream * size {
		s := encode(marks[at:min(at+perStream*size, len(marks))], tables)
		out = binary.AppendUvarint(out, uint64(len(s)))
		streams = append(streams, s...)
	}
	return append(out, streams...), nil
}

// A mark is a pixel as it is coded.
type mark struct {
	context uint16
	symbol  byte
}

// mark fills dst with the marks of one image.
func (c *canvas) mark(dst []mark, image []byte) {
	for y := 0; y*c.width < len(image); y++ {
		row := c.row(y)
		for x, v := range image[y*c.width : (y+1)*c.width] {
			expected, context := c.predict(row+x, x)
			dst[y*c.width+x] = mark{uint16(context), symbol(v, expected)}
			c.pix[row+x] = v
		}
	}
}

// A table holds the frequency of each symbol; they sum to probSum, or to 0 in a
// table that no pixel uses.
type table [256]uint64

// quantise scales counts to frequencies: at least 1 for each symbol that
// occurs, then one by one where a step gains or costs the fewest bits. It
// compares whole numbers only.
func quantise(counts *[256]uint64) (t table) {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return t
	}
	sum := uint64(0)
	for s, n := range counts {
		if n > 0 {
			t[s] = max(1, n*probSum/total)
			sum += t[s]
		}
	}
	for ; sum < probSum; sum++ { // the largest counts[s] / (t[s]+½)
		best := -1
		for s, n := range counts {
			if n > 0 && (best < 0 || n*(2*t[best]+1) > counts[best]*(2*t[s]+1)) {
				best = s
			}
		}
		t[best]++
	}
	for ; sum > probSum; sum-- { // the smallest counts[s] / (t[s]-½)
		best := -1
		for s, n := range counts {
			if t[s] > 1 && (best < 0 || n*(2*t[best]-1) < counts[best]*(2*t[s]-1)) {
				best = s
			}
		}
		t[best]--
	}
	return t
}

// append writes the table as the format says.
func (t *table) append(out []byte) []byte {
	zeros := 0
	for _, f := range t {
		if f == 0 {
			zeros++
			continue
		}
		out = binary.AppendUvarint(out, uint64(zeros))
		out = binary.AppendUvarint(out, f)
		zeros = 0
	}
	if zeros == len(t) {
		out = binary.AppendUvarint(out, uint64(zeros))
	}
	return out
}

// encode codes marks backwards, as rANS needs, and returns them in the order
// that the decoder reads.
func encode(marks []mark, tables []table) []byte {
	starts := make([]table, len(tables))
	for k := range tables {
		sum := uint64(0)
		for s, f := range tables[k] {
			starts[k][s] = sum
			sum += f
		}
	}
	var words []uint16
	state := uint64(lowState)
	for i := len(marks) - 1; i >= 0; i-- {
		m := marks[i]
		f := tables[m.context][m.symbol]
		if state >= f<<(32-probBits) {
			words = append(words, uint16(state))
			state >>= 16
		}
		state = state/f<<probBits + state%f + starts[m.context][m.symbol]
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(state))
	for i := len(words) - 1; i >= 0; i-- {
		out = binary.LittleEndian.AppendUint16(out, words[i])
	}
	return out
}
