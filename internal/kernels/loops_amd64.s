// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// AVX2 + FMA. Go's operand order: sources first, destination last, so
// VFMADD231PS a, b, c is c += a·b, and VMAXPS v, m, d is d = max(m, v), which
// is v if either is NaN or both are zero. Each function's loop is described at
// its declaration in loops_vector.go.

// BROADCAST2 multiplies the weights Y12, Y13 by element AX of two pixels and
// adds to the four sums of these.
#define BROADCAST2(p, q, p0, p1, q0, q1) \
	VBROADCASTSS (p)(AX*4), Y14 \
	VBROADCASTSS (q)(AX*4), Y15 \
	VFMADD231PS  Y12, Y14, p0   \
	VFMADD231PS  Y13, Y14, p1   \
	VFMADD231PS  Y12, Y15, q0   \
	VFMADD231PS  Y13, Y15, q1

// ADDRESS turns the offset at (SI) into the address of a pixel.
#define ADDRESS(disp, p) \
	MOVQ disp(SI), p    \
	LEAQ (DX)(p*4), p

// MASK clears the sums of a pixel where the mask at AX is not above Y12 = 0.
#define MASK(p, p0, p1) \
	VCMPPS $0x11, (AX)(p*4), Y12, Y13   \ // 0 < mask, false for NaN
	VCMPPS $0x11, 32(AX)(p*4), Y12, Y14 \
	VANDPS Y13, p0, p0                  \
	VANDPS Y14, p1, p1

// RESIDUAL adds what is at AX to the sums of a pixel.
#define RESIDUAL(p, p0, p1) \
	VADDPS (AX)(p*4), p0, p0   \
	VADDPS 32(AX)(p*4), p1, p1

// STORE writes the sums of a pixel, at least Y12, to AX.
#define STORE(p, p0, p1) \
	VMAXPS  p0, Y12, p0     \
	VMAXPS  p1, Y12, p1     \
	VMOVUPS p0, (AX)(p*4)   \
	VMOVUPS p1, 32(AX)(p*4)

// func convVec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w, bias *float32, floor float32)
//
// Y0…Y11 are the sums of six pixels, R8…R13 the pixels' addresses, AX the
// element index, DI the weights.
TEXT ·convVec(SB), NOSPLIT, $16-100
	MOVQ x+32(FP), DX
	MOVQ xoff+40(FP), SI
	MOVQ yoff+24(FP), AX
	MOVQ AX, yoffs-8(SP)
	MOVQ tiles+48(FP), AX
	MOVQ AX, tiles-16(SP)

convTile:
	ADDRESS(0, R8)
	ADDRESS(8, R9)
	ADDRESS(16, R10)
	ADDRESS(24, R11)
	ADDRESS(32, R12)
	ADDRESS(40, R13)
	ADDQ    $48, SI
	MOVQ    bias+88(FP), AX
	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVAPS Y0, Y2
	VMOVAPS Y1, Y3
	VMOVAPS Y0, Y4
	VMOVAPS Y1, Y5
	VMOVAPS Y0, Y6
	VMOVAPS Y1, Y7
	VMOVAPS Y0, Y8
	VMOVAPS Y1, Y9
	VMOVAPS Y0, Y10
	VMOVAPS Y1, Y11
	MOVQ    w+80(FP), DI
	MOVQ    segs+56(FP), BX
	MOVQ    nsegs+64(FP), R14
	TESTQ   R14, R14
	JZ      convSums

convSegment:
	MOVQ (BX), AX           // first element
	MOVQ seglen+72(FP), CX
	ADDQ AX, CX             // end

convElement:
	VMOVUPS (DI), Y12
	VMOVUPS 32(DI), Y13
	BROADCAST2(R8, R9, Y0, Y1, Y2, Y3)
	BROADCAST2(R10, R11, Y4, Y5, Y6, Y7)
	BROADCAST2(R12, R13, Y8, Y9, Y10, Y11)
	ADDQ    $64, DI
	INCQ    AX
	CMPQ    AX, CX
	JLT     convElement
	ADDQ    $8, BX
	DECQ    R14
	JNZ     convSegment

convSums:
	MOVQ  yoffs-8(SP), AX
	MOVQ  0(AX), R8
	MOVQ  8(AX), R9
	MOVQ  16(AX), R10
	MOVQ  24(AX), R11
	MOVQ  32(AX), R12
	MOVQ  40(AX), R13
	ADDQ  $48, AX
	MOVQ  AX, yoffs-8(SP)
	MOVQ  mask+8(FP), AX
	TESTQ AX, AX
	JZ    convResidual
	VXORPS Y12, Y12, Y12
	MASK(R8, Y0, Y1)
	MASK(R9, Y2, Y3)
	MASK(R10, Y4, Y5)
	MASK(R11, Y6, Y7)
	MASK(R12, Y8, Y9)
	MASK(R13, Y10, Y11)

convResidual:
	MOVQ  residual+16(FP), AX
	TESTQ AX, AX
	JZ    convStore
	RESIDUAL(R8, Y0, Y1)
	RESIDUAL(R9, Y2, Y3)
	RESIDUAL(R10, Y4, Y5)
	RESIDUAL(R11, Y6, Y7)
	RESIDUAL(R12, Y8, Y9)
	RESIDUAL(R13, Y10, Y11)

convStore:
	MOVQ         y+0(FP), AX
	VBROADCASTSS floor+96(FP), Y12
	STORE(R8, Y0, Y1)
	STORE(R9, Y2, Y3)
	STORE(R10, Y4, Y5)
	STORE(R11, Y6, Y7)
	STORE(R12, Y8, Y9)
	STORE(R13, Y10, Y11)
	DECQ         tiles-16(SP)
	JNZ          convTile
	VZEROUPPER
	RET

// OUTER multiplies DY's Y12, Y13 by an element of the input.
#define OUTER(disp, t, p0, p1) \
	VBROADCASTSS disp(SI), t  \
	VFMADD231PS  Y12, t, p0   \
	VFMADD231PS  Y13, t, p1

// LOADROWS and STOREROWS move a 6 × 16 tile of sums.
#define LOADROWS(p) \
	VMOVUPS 0(p), Y0    \
	VMOVUPS 32(p), Y1   \
	VMOVUPS 64(p), Y2   \
	VMOVUPS 96(p), Y3   \
	VMOVUPS 128(p), Y4  \
	VMOVUPS 160(p), Y5  \
	VMOVUPS 192(p), Y6  \
	VMOVUPS 224(p), Y7  \
	VMOVUPS 256(p), Y8  \
	VMOVUPS 288(p), Y9  \
	VMOVUPS 320(p), Y10 \
	VMOVUPS 352(p), Y11

#define STOREROWS(p) \
	VMOVUPS Y0, 0(p)    \
	VMOVUPS Y1, 32(p)   \
	VMOVUPS Y2, 64(p)   \
	VMOVUPS Y3, 96(p)   \
	VMOVUPS Y4, 128(p)  \
	VMOVUPS Y5, 160(p)  \
	VMOVUPS Y6, 192(p)  \
	VMOVUPS Y7, 224(p)  \
	VMOVUPS Y8, 256(p)  \
	VMOVUPS Y9, 288(p)  \
	VMOVUPS Y10, 320(p) \
	VMOVUPS Y11, 352(p)

// func outerVec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)
TEXT ·outerVec(SB), NOSPLIT, $0-80
	MOVQ dw+0(FP), DI
	MOVQ n+8(FP), AX
	MOVQ x+16(FP), BX      // the tile's first element of the first pixel
	MOVQ xCol+56(FP), R8
	MOVQ dyCol+72(FP), R9
	SHLQ $2, R8            // bytes
	SHLQ $2, R9

outerTile:
	LOADROWS(DI)
	MOVQ BX, R10           // this row of pixels
	MOVQ dy+24(FP), R11
	MOVQ rows+32(FP), R12

outerRow:
	MOVQ R10, SI
	MOVQ R11, DX
	MOVQ cols+40(FP), CX

outerPixel:
	VMOVUPS (DX), Y12
	VMOVUPS 32(DX), Y13
	OUTER(0, Y14, Y0, Y1)
	OUTER(4, Y15, Y2, Y3)
	OUTER(8, Y14, Y4, Y5)
	OUTER(12, Y15, Y6, Y7)
	OUTER(16, Y14, Y8, Y9)
	OUTER(20, Y15, Y10, Y11)
	ADDQ    R8, SI
	ADDQ    R9, DX
	DECQ    CX
	JNZ     outerPixel
	MOVQ    xRow+48(FP), R13
	LEAQ    (R10)(R13*4), R10
	MOVQ    dyRow+64(FP), R13
	LEAQ    (R11)(R13*4), R11
	DECQ    R12
	JNZ     outerRow
	STOREROWS(DI)
	ADDQ    $384, DI       // six rows of 16
	ADDQ    $24, BX        // six elements
	SUBQ    $6, AX
	JNZ     outerTile
	VZEROUPPER
	RET

// REDUCE adds a row to a pair of sums; Y10 = floor.
#define REDUCE(u, v, ku, kv, s, d, t0, t1) \
	VMOVUPS     u, t0       \
	VMOVUPS     v, t1       \
	VSUBPS      ku, t0, t0  \
	VMAXPS      t1, Y10, t1 \
	VSUBPS      kv, t1, t1  \
	VADDPS      t0, s, s    \
	VFMADD231PS t0, t1, d

// REDUCEEIGHT does so for eight channels, Y8 = ku, Y9 = kv, REDUCELINE for
// sixteen, a cache line: Y8, Y9 = ku, Y11, Y12 = kv.
#define REDUCEEIGHT(u, v, s, d, t0, t1) \
	REDUCE(u, v, Y8, Y9, s, d, t0, t1)

#define REDUCELINE(u, u8, v, v8, s, s8, d, d8) \
	REDUCE(u, v, Y8, Y11, s, d, Y13, Y14)     \
	REDUCE(u8, v8, Y9, Y12, s8, d8, Y13, Y15)

// REDUCETAIL is REDUCEEIGHT for fewer channels, whose mask is Y15.
#define REDUCETAIL(u, v, s, d, t0, t1) \
	VMASKMOVPS  u, Y15, t0   \
	VMASKMOVPS  v, Y15, t1   \
	VSUBPS      Y8, t0, t0   \
	VMAXPS      t1, Y10, t1  \
	VSUBPS      Y9, t1, t1   \
	VADDPS      t0, s, s     \
	VFMADD231PS t0, t1, d

// REDUCEROWS adds R14 rows with ROW, the even ones to Y0 and Y4, the odd ones to
// Y1 and Y5, and leaves the totals in Y0 and Y4. The other arguments are labels.
#define REDUCEROWS(ROW, two, last, total) \
	VXORPS Y0, Y0, Y0                                \
	VXORPS Y1, Y1, Y1                                \
	VXORPS Y4, Y4, Y4                                \
	VXORPS Y5, Y5, Y5                                \
	LEAQ   (R12)(AX*4), SI                           \
	LEAQ   (R13)(AX*4), DI                           \
	MOVQ   R14, CX                                   \
	SUBQ   $2, CX                                    \
	JLT    last                                      \
two:                                                 \
	ROW((SI), (DI), Y0, Y4, Y11, Y12)                \
	ROW((SI)(R8*1), (DI)(R9*1), Y1, Y5, Y13, Y14)    \
	LEAQ   (SI)(R8*2), SI                            \
	LEAQ   (DI)(R9*2), DI                            \
	SUBQ   $2, CX                                    \
	JGE    two                                       \
last:                                                \
	ADDQ   $2, CX                                    \ // rows left
	JZ     total                                     \
	ROW((SI), (DI), Y0, Y4, Y11, Y12)                \
total:                                               \
	VADDPS Y1, Y0, Y0                                \
	VADDPS Y5, Y4, Y4

// func reduceVec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)
//
// Sixteen channels at a time, then eight, then the rest. Of the sixteen, what is
// eight rows on is fetched: a processor alone does not get as much from memory.
TEXT ·reduceVec(SB), NOSPLIT, $0-88
	MOVQ         uRow+72(FP), R8
	MOVQ         vRow+80(FP), R9
	SHLQ         $2, R8              // bytes
	SHLQ         $2, R9
	MOVQ         u+16(FP), R12
	MOVQ         v+32(FP), R13
	MOVQ         c+64(FP), BX
	MOVQ         rows+56(FP), R14
	XORQ         AX, AX              // channel
	VBROADCASTSS floor+48(FP), Y10

reduceLines:
	SUBQ    $16, BX
	JLT     reduceEight
	MOVQ    ku+24(FP), DX
	VMOVUPS (DX)(AX*4), Y8
	VMOVUPS 32(DX)(AX*4), Y9
	MOVQ    kv+40(FP), DX
	VMOVUPS (DX)(AX*4), Y11
	VMOVUPS 32(DX)(AX*4), Y12
	VXORPS  Y0, Y0, Y0              // even rows
	VXORPS  Y1, Y1, Y1
	VXORPS  Y2, Y2, Y2              // odd rows
	VXORPS  Y3, Y3, Y3
	VXORPS  Y4, Y4, Y4
	VXORPS  Y5, Y5, Y5
	VXORPS  Y6, Y6, Y6
	VXORPS  Y7, Y7, Y7
	LEAQ    (R12)(AX*4), SI
	LEAQ    (R13)(AX*4), DI
	MOVQ    R14, CX
	SUBQ    $2, CX
	JLT     reduceLinesOne

reduceLinesTwo:
	LEAQ       (SI)(R8*1), DX
	PREFETCHT0 (SI)(R8*8)
	PREFETCHT0 (DX)(R8*8)
	LEAQ       (DI)(R9*1), DX
	PREFETCHT0 (DI)(R9*8)
	PREFETCHT0 (DX)(R9*8)
	REDUCELINE((SI), 32(SI), (DI), 32(DI), Y0, Y1, Y4, Y5)
	REDUCELINE((SI)(R8*1), 32(SI)(R8*1), (DI)(R9*1), 32(DI)(R9*1), Y2, Y3, Y6, Y7)
	LEAQ (SI)(R8*2), SI
	LEAQ (DI)(R9*2), DI
	SUBQ $2, CX
	JGE  reduceLinesTwo

reduceLinesOne:
	ADDQ $2, CX                     // rows left
	JZ   reduceLinesTotal
	REDUCELINE((SI), 32(SI), (DI), 32(DI), Y0, Y1, Y4, Y5)

reduceLinesTotal:
	VADDPS  Y2, Y0, Y0
	VADDPS  Y3, Y1, Y1
	VADDPS  Y6, Y4, Y4
	VADDPS  Y7, Y5, Y5
	MOVQ    sum+0(FP), DX
	VADDPS  (DX)(AX*4), Y0, Y0
	VADDPS  32(DX)(AX*4), Y1, Y1
	VMOVUPS Y0, (DX)(AX*4)
	VMOVUPS Y1, 32(DX)(AX*4)
	MOVQ    dot+8(FP), DX
	VADDPS  (DX)(AX*4), Y4, Y4
	VADDPS  32(DX)(AX*4), Y5, Y5
	VMOVUPS Y4, (DX)(AX*4)
	VMOVUPS Y5, 32(DX)(AX*4)
	ADDQ    $16, AX
	JMP     reduceLines

reduceEight:
	ADDQ    $16, BX                 // channels left
	CMPQ    BX, $8
	JLT     reduceTail
	MOVQ    ku+24(FP), DX
	VMOVUPS (DX)(AX*4), Y8
	MOVQ    kv+40(FP), DX
	VMOVUPS (DX)(AX*4), Y9
	REDUCEROWS(REDUCEEIGHT, reduceTwo, reduceLast, reduceTotal)
	MOVQ    sum+0(FP), DX
	VADDPS  (DX)(AX*4), Y0, Y0
	VMOVUPS Y0, (DX)(AX*4)
	MOVQ    dot+8(FP), DX
	VADDPS  (DX)(AX*4), Y4, Y4
	VMOVUPS Y4, (DX)(AX*4)
	ADDQ    $8, AX
	SUBQ    $8, BX

reduceTail:
	TESTQ      BX, BX
	JZ         reduceEnd
	MOVQ       AX, DX
	TAILMASK(BX, Y15)
	MOVQ       DX, AX
	MOVQ       ku+24(FP), DX
	VMASKMOVPS (DX)(AX*4), Y15, Y8
	MOVQ       kv+40(FP), DX
	VMASKMOVPS (DX)(AX*4), Y15, Y9
	REDUCEROWS(REDUCETAIL, reduceTailTwo, reduceTailLast, reduceTailTotal)
	MOVQ       sum+0(FP), DX
	VMASKMOVPS (DX)(AX*4), Y15, Y1
	VADDPS     Y1, Y0, Y0
	VMASKMOVPS Y0, Y15, (DX)(AX*4)
	MOVQ       dot+8(FP), DX
	VMASKMOVPS (DX)(AX*4), Y15, Y1
	VADDPS     Y1, Y4, Y4
	VMASKMOVPS Y4, Y15, (DX)(AX*4)

reduceEnd:
	VZEROUPPER
	RET

// func reluVec(y, x *float32, n int)
TEXT ·reluVec(SB), NOSPLIT, $0-24
	MOVQ   y+0(FP), DI
	MOVQ   x+8(FP), SI
	MOVQ   n+16(FP), CX
	XORQ   AX, AX
	VXORPS Y1, Y1, Y1

reluLoop:
	VMOVUPS (SI)(AX*4), Y0
	VMAXPS  Y0, Y1, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     reluLoop
	VZEROUPPER
	RET

// func reluGradVec(dx, x, dy *float32, n int, add bool)
TEXT ·reluGradVec(SB), NOSPLIT, $0-33
	MOVQ   dx+0(FP), DI
	MOVQ   x+8(FP), SI
	MOVQ   dy+16(FP), DX
	MOVQ   n+24(FP), CX
	XORQ   AX, AX
	VXORPS Y1, Y1, Y1
	CMPB   add+32(FP), $0
	JNE    reluGradAdd

reluGradLoop:
	VCMPPS  $0x11, (SI)(AX*4), Y1, Y0 // 0 < x, false for NaN
	VANDPS  (DX)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     reluGradLoop
	VZEROUPPER
	RET

reluGradAdd:
	VCMPPS  $0x11, (SI)(AX*4), Y1, Y0
	VANDPS  (DX)(AX*4), Y0, Y0
	VADDPS  (DI)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     reluGradAdd
	VZEROUPPER
	RET

// func addVec(y, a, b *float32, floor float32, n int)
TEXT ·addVec(SB), NOSPLIT, $0-40
	MOVQ         y+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	VBROADCASTSS floor+24(FP), Y1
	MOVQ         n+32(FP), CX
	XORQ         AX, AX

addLoop:
	VMOVUPS (SI)(AX*4), Y0
	VADDPS  (DX)(AX*4), Y0, Y0
	VMAXPS  Y0, Y1, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     addLoop
	VZEROUPPER
	RET

// WHOLE and PART are what BOX does for eight channels, and for fewer, whose mask
// is Y6: VALUE is the weighted sum of the three rows at byte R9, BEFORE what y
// has there, or 0, for Y8 is a mask of all bits or none.
#define WHOLEVALUE(d, v) \
	VMULPS      d(SI)(R9*1), Y10, v \
	VFMADD231PS d(DX)(R9*1), Y11, v \
	VFMADD231PS d(BX)(R9*1), Y12, v

#define WHOLEBEFORE(d, at, v) VANDPS d(DI)(at*1), Y8, v
#define WHOLESAVE(v, d, at)   VMOVUPS v, d(DI)(at*1)

#define PARTVALUE(d, v) \
	VMASKMOVPS  d(SI)(R9*1), Y6, v  \
	VMULPS      v, Y10, v           \
	VMASKMOVPS  d(DX)(R9*1), Y6, Y7 \
	VFMADD231PS Y7, Y11, v          \
	VMASKMOVPS  d(BX)(R9*1), Y6, Y7 \
	VFMADD231PS Y7, Y12, v

#define PARTBEFORE(d, at, v) \
	VMASKMOVPS d(DI)(at*1), Y6, v \
	VANDPS     Y8, v, v

#define PARTSAVE(v, d, at) VMASKMOVPS v, Y6, d(DI)(at*1)

// LINE, EIGHT and REST apply f to a cache line of channels, to eight, or fewer:
// to the distance from the first in bytes and to registers for v(i−1), v(i), v(i+1).
#define LINE(f) \
	f(WHOLEVALUE, WHOLEBEFORE, WHOLESAVE, 0, Y0, Y1, Y2) \
	f(WHOLEVALUE, WHOLEBEFORE, WHOLESAVE, 32, Y5, Y6, Y7)

#define EIGHT(f) f(WHOLEVALUE, WHOLEBEFORE, WHOLESAVE, 0, Y0, Y1, Y2)
#define REST(f)  f(PARTVALUE, PARTBEFORE, PARTSAVE, 0, Y0, Y1, Y2)

#define BOXFIRST(VALUE, BEFORE, SAVE, d, left, here, right) \
	VXORPS left, left, left \
	VALUE(d, here)          \
	VMULPS Y13, here, here

#define BOXNEXT(VALUE, BEFORE, SAVE, d, left, here, right) \
	VALUE(d, right)            \
	VADDPS      here, left, Y3 \
	VADDPS      right, Y3, Y3  \
	BEFORE(d, R10, Y4)         \
	VFMADD231PS Y15, Y3, Y4    \
	SAVE(Y4, d, R10)           \
	VMOVAPS     here, left     \
	VMOVAPS     right, here

#define BOXLAST(VALUE, BEFORE, SAVE, d, left, here, right) \
	VALUE(d, right)               \
	VMULPS      Y13, right, right \
	VADDPS      here, left, Y3    \
	VADDPS      right, Y3, Y3     \
	BEFORE(d, R10, Y4)            \
	VFMADD231PS Y15, Y3, Y4       \
	SAVE(Y4, d, R10)              \
	VADDPS      right, here, Y3   \
	BEFORE(d, R9, Y4)             \
	VFMADD231PS Y14, Y3, Y4       \
	SAVE(Y4, d, R9)

// BOX is a row of R13 pixels for CHANNELS, each v computed once. Y15 is post for
// the first pixel and 1 after it. R15 is the distance of rows in bytes, R14 is
// changed. The last arguments are labels.
#define BOX(CHANNELS, pixel, lastbutone) \
	XORQ        R9, R9            \ // bytes to the right pixel
	XORQ        R10, R10          \ // bytes to the output
	CHANNELS(BOXFIRST)            \
	VMOVAPS     Y14, Y15          \
	MOVQ        R13, CX           \
	SUBQ        $2, CX            \ // outputs whose right pixel is no edge
	JZ          lastbutone        \
pixel:                            \
	ADDQ        R8, R9            \
	LEAQ        (R10)(R15*1), R14 \ // what the next row needs
	PREFETCHT0  (BX)(R14*1)       \
	PREFETCHT0  (DI)(R14*1)       \
	CHANNELS(BOXNEXT)             \
	ADDQ        R8, R10           \
	VMOVAPS     Y9, Y15           \
	DECQ        CX                \
	JNZ         pixel             \
lastbutone:                       \
	ADDQ        R8, R9            \
	CHANNELS(BOXLAST)

// func boxVec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)
//
// Sixteen channels at a time, then eight, then the rest.
TEXT ·boxVec(SB), NOSPLIT, $0-81
	MOVQ         y+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         d+24(FP), BX
	VBROADCASTSS wa+32(FP), Y10
	VBROADCASTSS wb+36(FP), Y11
	VBROADCASTSS wd+40(FP), Y12
	VBROADCASTSS pre+44(FP), Y13
	VBROADCASTSS post+48(FP), Y14
	VPCMPEQD     Y9, Y9, Y9
	VPSRLD       $25, Y9, Y9
	VPSLLD       $23, Y9, Y9        // 1.0
	MOVQ         col+72(FP), R8
	SHLQ         $2, R8             // bytes
	MOVQ         cols+56(FP), R13
	MOVQ         R8, R15
	IMULQ        R13, R15
	MOVQ         c+64(FP), R12
	MOVBLZX      add+80(FP), R11
	NEGL         R11
	VMOVD        R11, X8
	VPBROADCASTD X8, Y8

boxLine:
	SUBQ $16, R12
	JLT  boxEight
	BOX(LINE, boxLinePixel, boxLineLastButOne)
	ADDQ $64, DI
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, BX
	JMP  boxLine

boxEight:
	ADDQ $16, R12                   // channels left
	CMPQ R12, $8
	JLT  boxRest
	BOX(EIGHT, boxPixel, boxLastButOne)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, BX
	SUBQ $8, R12

boxRest:
	TESTQ R12, R12
	JZ    boxEnd
	TAILMASK(R12, Y6)
	BOX(REST, boxRestPixel, boxRestLastButOne)

boxEnd:
	VZEROUPPER
	RET

// AVX-512: dense convolutions. A register holds a
// pixel's 16 sums, and the multiply-add broadcasts its element from memory.

// ADDRESS512 turns the offset at (AX) into the address of a pixel at CX.
#define ADDRESS512(disp, p) \
	MOVQ disp(AX), p    \
	LEAQ (CX)(p*4), p

#define ADDRESSES512(f) \
	f(0, R8)   \
	f(8, R9)   \
	f(16, R10) \
	f(24, R11) \
	f(32, R12) \
	f(40, R13) \
	f(48, R14) \
	f(56, R15) \
	f(64, BX)  \
	f(72, DX)  \
	f(80, SI)  \
	f(88, BP)

#define OFFSET512(disp, p) \
	MOVQ disp(AX), p

#define ROWS512(f) \
	f(R8, Z0)   \
	f(R9, Z1)   \
	f(R10, Z2)  \
	f(R11, Z3)  \
	f(R12, Z4)  \
	f(R13, Z5)  \
	f(R14, Z6)  \
	f(R15, Z7)  \
	f(BX, Z8)   \
	f(DX, Z9)   \
	f(SI, Z10)  \
	f(BP, Z11)

#define MULTIPLY512(p, z) \
	VFMADD231PS.BCST (p)(AX*4), Z12, z

#define MASK512(p, z) \
	VCMPPS    $0x11, (AX)(p*4), Z12, K1 \
	VMOVUPS.Z z, K1, z

#define RESIDUAL512(p, z) \
	VADDPS (AX)(p*4), z, z

#define STORE512(p, z) \
	VMAXPS  z, Z12, z     \
	VMOVUPS z, (AX)(p*4)

// func conv512Vec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w, bias *float32, floor float32)
//
// Z0…Z11 are the sums of twelve pixels, R8…R15, BX, DX, SI, BP their
// addresses, AX the element index, DI the weights.
TEXT ·conv512Vec(SB), NOSPLIT, $40-100
	MOVQ xoff+40(FP), AX
	MOVQ AX, xoffs-8(SP)
	MOVQ yoff+24(FP), AX
	MOVQ AX, yoffs-16(SP)
	MOVQ tiles+48(FP), AX
	MOVQ AX, tiles-24(SP)

conv512Tile:
	MOVQ      xoffs-8(SP), AX
	MOVQ      x+32(FP), CX
	ADDRESSES512(ADDRESS512)
	ADDQ      $96, AX
	MOVQ      AX, xoffs-8(SP)
	MOVQ      bias+88(FP), AX
	VMOVUPS   (AX), Z0
	VMOVAPS   Z0, Z1
	VMOVAPS   Z0, Z2
	VMOVAPS   Z0, Z3
	VMOVAPS   Z0, Z4
	VMOVAPS   Z0, Z5
	VMOVAPS   Z0, Z6
	VMOVAPS   Z0, Z7
	VMOVAPS   Z0, Z8
	VMOVAPS   Z0, Z9
	VMOVAPS   Z0, Z10
	VMOVAPS   Z0, Z11
	MOVQ      w+80(FP), DI
	MOVQ      segs+56(FP), AX
	MOVQ      AX, segs-32(SP)
	MOVQ      nsegs+64(FP), CX
	MOVQ      CX, nsegs-40(SP)
	TESTQ     CX, CX
	JZ        conv512Sums

conv512Segment:
	MOVQ segs-32(SP), CX
	MOVQ (CX), AX            // first element
	ADDQ $8, CX
	MOVQ CX, segs-32(SP)
	MOVQ seglen+72(FP), CX
	ADDQ AX, CX              // end

conv512Element:
	VMOVUPS (DI), Z12
	ROWS512(MULTIPLY512)
	ADDQ    $64, DI
	INCQ    AX
	CMPQ    AX, CX
	JLT     conv512Element
	DECQ    nsegs-40(SP)
	JNZ     conv512Segment

conv512Sums:
	MOVQ   yoffs-16(SP), AX
	ADDRESSES512(OFFSET512)
	ADDQ   $96, AX
	MOVQ   AX, yoffs-16(SP)
	MOVQ   mask+8(FP), AX
	TESTQ  AX, AX
	JZ     conv512Residual
	VPXORD Z12, Z12, Z12
	ROWS512(MASK512)

conv512Residual:
	MOVQ  residual+16(FP), AX
	TESTQ AX, AX
	JZ    conv512Store
	ROWS512(RESIDUAL512)

conv512Store:
	MOVQ         y+0(FP), AX
	VBROADCASTSS floor+96(FP), Z12
	ROWS512(STORE512)
	DECQ         tiles-24(SP)
	JNZ          conv512Tile
	VZEROUPPER
	RET

#define TILE512(f) \
	f(0, Z0)   \
	f(1, Z1)   \
	f(2, Z2)   \
	f(3, Z3)   \
	f(4, Z4)   \
	f(5, Z5)   \
	f(6, Z6)   \
	f(7, Z7)   \
	f(8, Z8)   \
	f(9, Z9)   \
	f(10, Z10) \
	f(11, Z11) \
	f(12, Z12) \
	f(13, Z13) \
	f(14, Z14) \
	f(15, Z15)

#define LOADROW512(i, z) \
	VMOVUPS (64*i)(DI), z

#define STOREROW512(i, z) \
	VMOVUPS z, (64*i)(DI)

#define OUTER512(i, z) \
	VFMADD231PS.BCST (4*i)(SI), Z16, z

// func outer512Vec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)
TEXT ·outer512Vec(SB), NOSPLIT, $0-80
	MOVQ dw+0(FP), DI
	MOVQ n+8(FP), AX
	MOVQ x+16(FP), BX      // the tile's first element of the first pixel
	MOVQ xCol+56(FP), R8
	MOVQ dyCol+72(FP), R9
	SHLQ $2, R8            // bytes
	SHLQ $2, R9

outer512Tile:
	TILE512(LOADROW512)
	MOVQ BX, R10           // this row of pixels
	MOVQ dy+24(FP), R11
	MOVQ rows+32(FP), R12

outer512Row:
	MOVQ R10, SI
	MOVQ R11, DX
	MOVQ cols+40(FP), CX

outer512Pixel:
	VMOVUPS (DX), Z16
	TILE512(OUTER512)
	ADDQ    R8, SI
	ADDQ    R9, DX
	DECQ    CX
	JNZ     outer512Pixel
	MOVQ    xRow+48(FP), R13
	LEAQ    (R10)(R13*4), R10
	MOVQ    dyRow+64(FP), R13
	LEAQ    (R11)(R13*4), R11
	DECQ    R12
	JNZ     outer512Row
	TILE512(STOREROW512)
	ADDQ    $1024, DI      // 16 rows of 16
	ADDQ    $64, BX        // 16 elements
	SUBQ    $16, AX
	JNZ     outer512Tile
	VZEROUPPER
	RET
