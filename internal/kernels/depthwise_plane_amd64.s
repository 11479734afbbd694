// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// Depthwise convolution of images as they lie in memory, AVX2: micro.depthPlane,
// described in loops.go, for windows that slide. A block is eight pixels of a
// row, or the last, fewer, and eight channels, or four, in Y0…Y7. R14, R15, R13
// and R12 are one, three, five and seven pixels in bytes, SI and R8 one and
// three columns of weights. R11 is the block's first pixel under the first row
// of taps, BX that row's weights, AX and DI those of the row at hand, R9 the
// rows left; R10 is the block's distance from y.

// PIXELS applies f to the number of each pixel, its address and its sum, and the
// sum's lower half.
#define PIXELS(f) \
	f(0, (AX), Y0, X0)        \
	f(1, (AX)(R14*1), Y1, X1) \
	f(2, (AX)(R14*2), Y2, X2) \
	f(3, (AX)(R15*1), Y3, X3) \
	f(4, (AX)(R14*4), Y4, X4) \
	f(5, (AX)(R13*1), Y5, X5) \
	f(6, (AX)(R15*2), Y6, X6) \
	f(7, (AX)(R12*1), Y7, X7)

// WHOLE loads eight channels, HALF four, and zeros.
#define WHOLE(at, v, half) VMOVUPS at, v
#define HALF(at, v, half)  VMOVUPS at, half

// A slide takes a row of the window: it loads each source pixel once, for all
// the taps that it is under, whose weights are in Y8…Y12. Source pixels are
// numbered from the first output's first tap on; those below CX, and from DX on,
// lie outside of the image.
#define WEIGHTS3(LOAD) \
	LEAQ (AX)(R14*8), BP     \
	LOAD((DI), Y8, X8)       \
	LOAD((DI)(SI*1), Y9, X9) \
	LOAD((DI)(SI*2), Y10, X10)

#define WEIGHTS5(LOAD) \
	WEIGHTS3(LOAD)             \
	LOAD((DI)(R8*1), Y11, X11) \
	LOAD((DI)(SI*4), Y12, X12)

// BEGIN jumps n−1 instructions on if a pixel lies before the image's row, END
// goes to next if it lies behind; in the inside of the image none does.
#define BEGIN(pixel, n)  CMPQ CX, $pixel; JGT n(PC);
#define END(pixel, next) CMPQ DX, $pixel; JLE next;
#define ANY(pixel, n)

#define PIXEL(LOAD, at) LOAD(at, Y13, X13);
#define TAP0(v)         VFMADD231PS Y13, Y8, v;
#define TAP1(v)         VFMADD231PS Y13, Y9, v;
#define TAP2(v)         VFMADD231PS Y13, Y10, v;
#define TAP3(v)         VFMADD231PS Y13, Y11, v;
#define TAP4(v)         VFMADD231PS Y13, Y12, v;

#define THREE(LOAD, at, a, b, d)      PIXEL(LOAD, at) TAP0(a) TAP1(b) TAP2(d)
#define FIVE(LOAD, at, a, b, d, e, f) THREE(LOAD, at, a, b, d) TAP3(e) TAP4(f)

// 3 taps, one after another.
#define SLIDE3BY1(LOAD, BEGIN, END, next) \
	END(0, next) BEGIN(0, 3) PIXEL(LOAD, (AX)) TAP0(Y0) \
	END(1, next) BEGIN(1, 4) PIXEL(LOAD, (AX)(R14*1)) TAP0(Y1) TAP1(Y0) \
	END(2, next) THREE(LOAD, (AX)(R14*2), Y2, Y1, Y0) \
	END(3, next) THREE(LOAD, (AX)(R15*1), Y3, Y2, Y1) \
	END(4, next) THREE(LOAD, (AX)(R14*4), Y4, Y3, Y2) \
	END(5, next) THREE(LOAD, (AX)(R13*1), Y5, Y4, Y3) \
	END(6, next) THREE(LOAD, (AX)(R15*2), Y6, Y5, Y4) \
	END(7, next) THREE(LOAD, (AX)(R12*1), Y7, Y6, Y5) \
	END(8, next) PIXEL(LOAD, (BP)) TAP1(Y7) TAP2(Y6) \
	END(9, next) PIXEL(LOAD, (BP)(R14*1)) TAP2(Y7)

// 5 taps, one after another.
#define SLIDE5BY1(LOAD, BEGIN, END, next) \
	END(0, next) BEGIN(0, 3) PIXEL(LOAD, (AX)) TAP0(Y0) \
	END(1, next) BEGIN(1, 4) PIXEL(LOAD, (AX)(R14*1)) TAP0(Y1) TAP1(Y0) \
	END(2, next) BEGIN(2, 5) PIXEL(LOAD, (AX)(R14*2)) TAP0(Y2) TAP1(Y1) TAP2(Y0) \
	END(3, next) BEGIN(3, 6) PIXEL(LOAD, (AX)(R15*1)) TAP0(Y3) TAP1(Y2) TAP2(Y1) TAP3(Y0) \
	END(4, next) FIVE(LOAD, (AX)(R14*4), Y4, Y3, Y2, Y1, Y0) \
	END(5, next) FIVE(LOAD, (AX)(R13*1), Y5, Y4, Y3, Y2, Y1) \
	END(6, next) FIVE(LOAD, (AX)(R15*2), Y6, Y5, Y4, Y3, Y2) \
	END(7, next) FIVE(LOAD, (AX)(R12*1), Y7, Y6, Y5, Y4, Y3) \
	END(8, next) PIXEL(LOAD, (BP)) TAP1(Y7) TAP2(Y6) TAP3(Y5) TAP4(Y4) \
	END(9, next) PIXEL(LOAD, (BP)(R14*1)) TAP2(Y7) TAP3(Y6) TAP4(Y5) \
	END(10, next) PIXEL(LOAD, (BP)(R14*2)) TAP3(Y7) TAP4(Y6) \
	END(11, next) PIXEL(LOAD, (BP)(R15*1)) TAP4(Y7)

// 3 taps, two apart.
#define SLIDE3BY2(LOAD, BEGIN, END, next) \
	END(0, next) BEGIN(0, 3) PIXEL(LOAD, (AX)) TAP0(Y0) \
	END(1, next) BEGIN(1, 3) PIXEL(LOAD, (AX)(R14*1)) TAP0(Y1) \
	END(2, next) BEGIN(2, 4) PIXEL(LOAD, (AX)(R14*2)) TAP0(Y2) TAP1(Y0) \
	END(3, next) BEGIN(3, 4) PIXEL(LOAD, (AX)(R15*1)) TAP0(Y3) TAP1(Y1) \
	END(4, next) THREE(LOAD, (AX)(R14*4), Y4, Y2, Y0) \
	END(5, next) THREE(LOAD, (AX)(R13*1), Y5, Y3, Y1) \
	END(6, next) THREE(LOAD, (AX)(R15*2), Y6, Y4, Y2) \
	END(7, next) THREE(LOAD, (AX)(R12*1), Y7, Y5, Y3) \
	END(8, next) PIXEL(LOAD, (BP)) TAP1(Y6) TAP2(Y4) \
	END(9, next) PIXEL(LOAD, (BP)(R14*1)) TAP1(Y7) TAP2(Y5) \
	END(10, next) PIXEL(LOAD, (BP)(R14*2)) TAP2(Y6) \
	END(11, next) PIXEL(LOAD, (BP)(R15*1)) TAP2(Y7)

// 5 taps, two apart.
#define SLIDE5BY2(LOAD, BEGIN, END, next) \
	END(0, next) BEGIN(0, 3) PIXEL(LOAD, (AX)) TAP0(Y0) \
	END(1, next) BEGIN(1, 3) PIXEL(LOAD, (AX)(R14*1)) TAP0(Y1) \
	END(2, next) BEGIN(2, 4) PIXEL(LOAD, (AX)(R14*2)) TAP0(Y2) TAP1(Y0) \
	END(3, next) BEGIN(3, 4) PIXEL(LOAD, (AX)(R15*1)) TAP0(Y3) TAP1(Y1) \
	END(4, next) BEGIN(4, 5) PIXEL(LOAD, (AX)(R14*4)) TAP0(Y4) TAP1(Y2) TAP2(Y0) \
	END(5, next) BEGIN(5, 5) PIXEL(LOAD, (AX)(R13*1)) TAP0(Y5) TAP1(Y3) TAP2(Y1) \
	END(6, next) BEGIN(6, 6) PIXEL(LOAD, (AX)(R15*2)) TAP0(Y6) TAP1(Y4) TAP2(Y2) TAP3(Y0) \
	END(7, next) BEGIN(7, 6) PIXEL(LOAD, (AX)(R12*1)) TAP0(Y7) TAP1(Y5) TAP2(Y3) TAP3(Y1) \
	END(8, next) PIXEL(LOAD, (BP)) TAP1(Y6) TAP2(Y4) TAP3(Y2) TAP4(Y0) \
	END(9, next) PIXEL(LOAD, (BP)(R14*1)) TAP1(Y7) TAP2(Y5) TAP3(Y3) TAP4(Y1) \
	END(10, next) PIXEL(LOAD, (BP)(R14*2)) TAP2(Y6) TAP3(Y4) TAP4(Y2) \
	END(11, next) PIXEL(LOAD, (BP)(R15*1)) TAP2(Y7) TAP3(Y5) TAP4(Y3) \
	END(12, next) PIXEL(LOAD, (BP)(R14*4)) TAP3(Y6) TAP4(Y4) \
	END(13, next) PIXEL(LOAD, (BP)(R13*1)) TAP3(Y7) TAP4(Y5) \
	END(14, next) PIXEL(LOAD, (BP)(R15*2)) TAP4(Y6) \
	END(15, next) PIXEL(LOAD, (BP)(R12*1)) TAP4(Y7)

// ROWS applies a slide to all rows of taps of a block.
#define ROWS(WEIGHTS, SLIDE, LOAD, BEGIN, END, each, next) \
each:                                 \
	WEIGHTS(LOAD)                 \
	SLIDE(LOAD, BEGIN, END, next) \
next:                                 \
	ADDQ rowX-16(SP), AX          \
	ADDQ rowW-24(SP), DI          \
	DECQ R9                       \
	JNZ  each                     \
	JMP  planeSums

// MASK, RESIDUAL and STORE are for the pixels of a block that there are, R9.
#define IF(pixel, done) CMPQ R9, $pixel; JLE done;

#define START(pixel, at, v, half) VMOVAPS Y15, v;

#define MASK(LOAD, pixel, at, v) \
	IF(pixel, planeAdd)      \
	LOAD(at, Y9, X9)             \
	VCMPPS $0x11, Y9, Y8, Y9 \ // 0 < mask, false for NaN
	VANDPS Y9, v, v

#define RESIDUAL(LOAD, pixel, at, v) \
	IF(pixel, planeWrite) \
	LOAD(at, Y9, X9)      \
	VADDPS Y9, v, v

#define MASKWHOLE(pixel, at, v, half)     MASK(WHOLE, pixel, at, v)
#define MASKHALF(pixel, at, v, half)      MASK(HALF, pixel, at, v)
#define RESIDUALWHOLE(pixel, at, v, half) RESIDUAL(WHOLE, pixel, at, v)
#define RESIDUALHALF(pixel, at, v, half)  RESIDUAL(HALF, pixel, at, v)

#define STOREWHOLE(pixel, at, v, half) \
	IF(pixel, planeNext) \
	VMAXPS  v, Y12, v    \
	VMOVUPS v, at

#define STOREHALF(pixel, at, v, half) \
	IF(pixel, planeNext) \
	VMAXPS  v, Y12, v    \
	VMOVUPS half, at

// SETUP loads what stays the same for all rows.
#define SETUP \
	MOVQ  p+56(FP), CX                      \
	MOVQ  plane_c(CX), R14                  \
	SHLQ  $2, R14                           \
	LEAQ  (R14)(R14*2), R15                 \
	LEAQ  (R14)(R14*4), R13                 \
	LEAQ  (R15)(R14*4), R12                 \
	MOVQ  plane_colTaps(CX), AX             \
	MOVQ  tapSpan_w(AX), DX                 \
	MOVQ  (tapSpan__size+tapSpan_w)(AX), SI \
	SUBQ  DX, SI                            \
	SHLQ  $2, SI                            \
	LEAQ  (SI)(SI*2), R8                    \
	SHLQ  $2, DX                            \
	ADDQ  DX, w+32(FP)                      \
	MOVQ  tapSpan_x(AX), DX                 \
	SHLQ  $2, DX                            \
	ADDQ  DX, x+24(FP)                      \
	MOVQ  plane_xRow(CX), DX                \
	IMULQ first+64(FP), DX                  \
	SHLQ  $2, DX                            \
	ADDQ  DX, x+24(FP)                      \
	MOVQ  $0, rowAt-8(SP)                   \
	MOVQ  plane_rowTaps(CX), AX             \
	CMPQ  (plane_rowTaps+8)(CX), $2         \
	JLT   planeRow                          \
	MOVQ  (tapSpan__size+tapSpan_x)(AX), DX \
	SUBQ  tapSpan_x(AX), DX                 \
	SHLQ  $2, DX                            \
	MOVQ  DX, rowX-16(SP)                   \
	MOVQ  (tapSpan__size+tapSpan_w)(AX), DX \
	SUBQ  tapSpan_w(AX), DX                 \
	SHLQ  $2, DX                            \
	MOVQ  DX, rowW-24(SP)

// ROWTAPS finds the rows of taps that an output row has: how many, and the
// first one's distances in x and w.
#define ROWTAPS \
	MOVQ p+56(FP), CX              \
	MOVQ plane_rowTaps(CX), AX     \
	MOVQ (plane_rowTaps+8)(CX), DX \
	SHLQ $5, DX                    \
	ADDQ AX, DX                    \
	MOVQ first+64(FP), CX          \
	MOVQ $0, rowTaps-32(SP)        \
planeFind:                             \
	CMPQ AX, DX                    \
	JGE  planeFound                \
	CMPQ CX, tapSpan_first(AX)     \
	JLT  planeLacks                \
	CMPQ CX, tapSpan_end(AX)       \
	JGE  planeLacks                \
	INCQ rowTaps-32(SP)            \
	CMPQ rowTaps-32(SP), $1        \
	JNE  planeLacks                \
	MOVQ tapSpan_x(AX), R9         \
	SHLQ $2, R9                    \
	MOVQ R9, tapX-40(SP)           \
	MOVQ tapSpan_w(AX), R9         \
	SHLQ $2, R9                    \
	MOVQ R9, tapW-48(SP)           \
planeLacks:                            \
	ADDQ $tapSpan__size, AX        \
	JMP  planeFind                 \
planeFound:

// GROUP goes to the first block of the channels at R10 bytes.
#define GROUP \
	MOVQ x+24(FP), R11         \
	ADDQ tapX-40(SP), R11      \
	ADDQ R10, R11              \
	MOVQ w+32(FP), BX          \
	ADDQ tapW-48(SP), BX       \
	ADDQ R10, BX               \
	ADDQ rowAt-8(SP), R10      \
	MOVQ p+56(FP), AX          \
	MOVQ plane_inside(AX), DX  \
	MOVQ plane_cols(AX), CX    \
	MOVQ CX, left-56(SP)       \
	MOVQ plane_colTaps(AX), CX \
	MOVQ tapSpan_first(CX), CX

// BLOCKSTART is the sums' start; without rows of taps they are the block's.
#define BLOCKSTART \
	PIXELS(START)            \
	MOVQ  R11, AX            \
	MOVQ  BX, DI             \
	MOVQ  rowTaps-32(SP), R9 \
	TESTQ R9, R9             \
	JZ    planeSums          \
	MOVQ  p+56(FP), BP       \
	MOVQ  plane_slide(BP), BP

// FETCH asks for what the next row needs where this block is, a cache line for
// each pixel, once for the two groups of channels that share it. With pixels of
// a line or more nothing else reads ahead in time: a group at a time skips
// lines, and all of a row at once would wait for memory.
#define FETCHPIXEL(pixel, at, v, half) PREFETCHT0 at;

#define FETCH \
	CMPQ  R14, $64                 \
	JLT   planeFetched             \
	TESTQ $32, channel-64(SP)      \
	JNZ   planeFetched             \
	MOVQ  fetchX-72(SP), AX        \
	ADDQ  R10, AX                  \
	PIXELS(FETCHPIXEL)             \
	MOVQ  fetchY-80(SP), AX        \
	ADDQ  R10, AX                  \
	PIXELS(FETCHPIXEL)             \
planeFetched:

#define NOFETCH

// BLOCKEND writes the block and goes to the next one, as long as there is one.
#define BLOCKEND(MASK, RESIDUAL, FETCH, STORE) \
planeSums:                             \
	MOVQ   left-56(SP), R9         \
	MOVQ   mask+8(FP), AX          \
	TESTQ  AX, AX                  \
	JZ     planeAdd                \
	ADDQ   R10, AX                 \
	VXORPS Y8, Y8, Y8              \
	PIXELS(MASK)                   \
planeAdd:                              \
	MOVQ   residual+16(FP), AX     \
	TESTQ  AX, AX                  \
	JZ     planeWrite              \
	ADDQ   R10, AX                 \
	PIXELS(RESIDUAL)               \
planeWrite:                            \
	FETCH                          \
	MOVQ   y+0(FP), AX             \
	ADDQ   R10, AX                 \
	VBROADCASTSS floor+48(FP), Y12 \
	PIXELS(STORE)                  \
planeNext:                             \
	LEAQ   (R11)(R14*8), R11       \
	LEAQ   (R10)(R14*8), R10       \
	SUBQ   $8, CX                  \
	SUBQ   $8, DX                  \
	SUBQ   $8, left-56(SP)         \
	JGT    planeBlock

// NEXTROW goes to the next row of outputs.
#define NEXTROW \
	MOVQ  p+56(FP), AX       \
	MOVQ  plane_xRow(AX), CX \
	SHLQ  $2, CX             \
	ADDQ  CX, x+24(FP)       \
	MOVQ  plane_cols(AX), CX \
	IMULQ R14, CX            \
	ADDQ  CX, rowAt-8(SP)    \
	INCQ  first+64(FP)       \
	DECQ  rows+72(FP)        \
	JNZ   planeRow

// func depthPlaneVec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)
TEXT ·depthPlaneVec(SB), NOSPLIT, $80-80
	SETUP

planeRow:
	ROWTAPS

	// FETCH finds what the next row needs at these, plus R10: the source row that
	// it is the first to read, and its place in y.
	MOVQ  p+56(FP), CX
	MOVQ  (tapSpan_x-tapSpan__size)(AX), AX // x of the last row of taps
	ADDQ  plane_row(CX), AX
	MOVQ  plane_colTaps(CX), DX
	SUBQ  tapSpan_x(DX), AX                 // which x(FP) has
	SHLQ  $2, AX
	ADDQ  x+24(FP), AX
	SUBQ  rowAt-8(SP), AX
	MOVQ  AX, fetchX-72(SP)
	MOVQ  plane_cols(CX), AX
	IMULQ R14, AX
	ADDQ  y+0(FP), AX
	MOVQ  AX, fetchY-80(SP)
	MOVQ  $0, channel-64(SP) // bytes

planeChannels:
	MOVQ    channel-64(SP), R10
	VXORPS  Y15, Y15, Y15
	MOVQ    bias+40(FP), AX
	TESTQ   AX, AX
	JZ      planeColumns
	VMOVUPS (AX)(R10*1), Y15

planeColumns:
	GROUP

planeBlock:
	BLOCKSTART
	TESTQ CX, CX
	JGT   planeEdge
	CMPQ  BP, $2
	JLT   planeThree
	JEQ   planeFive
	CMPQ  BP, $4
	JLT   planeDilatedThree
	CMPQ  DX, $16
	JLT   planeEdge

	ROWS(WEIGHTS5, SLIDE5BY2, WHOLE, ANY, ANY, dilatedFiveRow, dilatedFiveNext)

planeThree:
	CMPQ DX, $10
	JLT  planeEdge
	ROWS(WEIGHTS3, SLIDE3BY1, WHOLE, ANY, ANY, threeRow, threeNext)

planeFive:
	CMPQ DX, $12
	JLT  planeEdge
	ROWS(WEIGHTS5, SLIDE5BY1, WHOLE, ANY, ANY, fiveRow, fiveNext)

planeDilatedThree:
	CMPQ DX, $12
	JLT  planeEdge
	ROWS(WEIGHTS3, SLIDE3BY2, WHOLE, ANY, ANY, dilatedThreeRow, dilatedThreeNext)

planeEdge:
	CMPQ BP, $2
	JLT  planeEdgeThree
	JEQ  planeEdgeFive
	CMPQ BP, $4
	JLT  planeEdgeDilatedThree
	ROWS(WEIGHTS5, SLIDE5BY2, WHOLE, BEGIN, END, edgeDilatedFiveRow, edgeDilatedFiveNext)

planeEdgeThree:
	ROWS(WEIGHTS3, SLIDE3BY1, WHOLE, BEGIN, END, edgeThreeRow, edgeThreeNext)

planeEdgeFive:
	ROWS(WEIGHTS5, SLIDE5BY1, WHOLE, BEGIN, END, edgeFiveRow, edgeFiveNext)

planeEdgeDilatedThree:
	ROWS(WEIGHTS3, SLIDE3BY2, WHOLE, BEGIN, END, edgeDilatedThreeRow, edgeDilatedThreeNext)

	BLOCKEND(MASKWHOLE, RESIDUALWHOLE, FETCH, STOREWHOLE)
	MOVQ channel-64(SP), AX
	ADDQ $32, AX
	MOVQ AX, channel-64(SP)
	ADDQ $32, AX
	CMPQ AX, R14
	JLE  planeChannels
	NEXTROW
	VZEROUPPER
	RET

// func depthPlaneHalfVec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)
TEXT ·depthPlaneHalfVec(SB), NOSPLIT, $56-80
	SETUP
	VXORPS  Y15, Y15, Y15
	MOVQ    bias+40(FP), AX
	TESTQ   AX, AX
	JZ      planeRow
	VMOVUPS (AX), X15

planeRow:
	ROWTAPS
	XORQ R10, R10
	GROUP

planeBlock:
	BLOCKSTART
	CMPQ BP, $2
	JLT  planeThree
	JEQ  planeFive
	CMPQ BP, $4
	JLT  planeDilatedThree
	ROWS(WEIGHTS5, SLIDE5BY2, HALF, BEGIN, END, dilatedFiveRow, dilatedFiveNext)

planeThree:
	ROWS(WEIGHTS3, SLIDE3BY1, HALF, BEGIN, END, threeRow, threeNext)

planeFive:
	ROWS(WEIGHTS5, SLIDE5BY1, HALF, BEGIN, END, fiveRow, fiveNext)

planeDilatedThree:
	ROWS(WEIGHTS3, SLIDE3BY2, HALF, BEGIN, END, dilatedThreeRow, dilatedThreeNext)

	BLOCKEND(MASKHALF, RESIDUALHALF, NOFETCH, STOREHALF)
	NEXTROW
	VZEROUPPER
	RET
