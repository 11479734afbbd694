// SPDX-License-Identifier: Apache-2.0

package imagepack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrCorrupt means that the bytes are not what Pack wrote.
var ErrCorrupt = errors.New("imagepack: corrupt data")

// Unpack returns the pixels of all images, one image after the other, and their
// size. The streams are decoded side by side. It allocates no more than the
// shape in the header says, at most MaxPixels and at most 1024 images a stream
// that is there. Errors wrap ErrCorrupt.
func Unpack(data []byte) (pixels []byte, width, height int, err error) {
	r := reader{data: data}
	if string(r.take(len(magic))) != magic {
		return nil, 0, 0, fmt.Errorf("%w: no %q at the start", ErrCorrupt, magic)
	}
	width, height = r.number(maxSide), r.number(maxSide)
	images := r.number(MaxPixels)
	sum := r.take(4)
	if r.failed || width < 1 || height < 1 || images < 1 || width*height > MaxPixels/images {
		return nil, 0, 0, fmt.Errorf("%w: header", ErrCorrupt)
	}
	slots := make([]slot, contexts*probSum)
	for k := range contexts {
		r.table(slots[k*probSum : (k+1)*probSum])
	}
	streams := make([][]byte, (images+perStream-1)/perStream)
	if r.failed || len(streams) > len(r.data) {
		return nil, 0, 0, fmt.Errorf("%w: tables", ErrCorrupt)
	}
	sizes := make([]int, len(streams))
	for i := range sizes {
		sizes[i] = r.number(len(data))
	}
	for i, n := range sizes {
		streams[i] = r.take(n)
	}
	if r.failed || len(r.data) != 0 {
		return nil, 0, 0, fmt.Errorf("%w: streams", ErrCorrupt)
	}

	size := width * height
	pixels = make([]byte, images*size)
	var next, bad atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(streams)) {
		wait.Go(func() {
			c := newCanvas(width, height)
			for i := int(next.Add(1)) - 1; i < len(streams); i = int(next.Add(1)) - 1 {
				at := i * perStream * size
				if !c.decode(pixels[at:min(at+perStream*size, len(pixels))], streams[i], slots) {
					bad.Store(1)
				}
			}
		})
	}
	wait.Wait()
	if bad.Load() != 0 || crc32.ChecksumIEEE(pixels) != binary.LittleEndian.Uint32(sum) {
		return nil, 0, 0, fmt.Errorf("%w: pixels", ErrCorrupt)
	}
	return pixels, width, height, nil
}

// A slot is what the low bits of a state stand for: the symbol (8 bits), its
// frequency less 1 (12 bits) and the distance from its first slot (12 bits).
type slot uint32

// decode fills pixels, whole images, from one stream.
func (c *canvas) decode(pixels, stream []byte, slots []slot) bool {
	if len(stream) < 4 {
		return false
	}
	state := binary.LittleEndian.Uint32(stream)
	stream = stream[4:]
	for at, y := 0, 0; at < len(pixels); at += c.width {
		row := c.row(y)
		for x := range c.width {
			expected, context := c.predict(row+x, x)
			s := slots[context<<probBits|int(state&(probSum-1))]
			state = (uint32(s>>probBits)&(probSum-1)+1)*(state>>probBits) + uint32(s)&(probSum-1)
			if state < lowState {
				if len(stream) < 2 {
					return false
				}
				state = state<<16 | uint32(binary.LittleEndian.Uint16(stream))
				stream = stream[2:]
			}
			c.pix[row+x] = value(int(s>>(2*probBits)), expected)
		}
		copy(pixels[at:], c.pix[row:row+c.width])
		if y++; c.row(y) >= len(c.pix) {
			y = 0
		}
	}
	return state == lowState && len(stream) == 0
}

// A reader takes bytes from the front of data. It remembers a failure.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.data) {
		r.failed = true
		return nil
	}
	head := r.data[:n]
	r.data = r.data[n:]
	return head
}

// number reads a number of at most limit.
func (r *reader) number(limit int) int {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > uint64(limit) {
		r.failed = true
		return 0
	}
	r.data = r.data[n:]
	return int(v)
}

// table reads one table into its probSum slots.
func (r *reader) table(slots []slot) {
	for sum, s := 0, 0; sum < probSum; s++ {
		s += r.number(256)
		if s == 256 && sum == 0 {
			return
		}
		f := r.number(probSum - sum)
		if r.failed || s > 255 || f == 0 {
			r.failed = true
			return
		}
		for i := range f {
			slots[sum+i] = slot(s<<(2*probBits) | (f-1)<<probBits | i)
		}
		sum += f
	}
}
