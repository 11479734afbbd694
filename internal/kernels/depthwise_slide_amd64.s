// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// The weight gradient of depthwise convolutions whose taps slide, AVX2:
// depthwise_weights_amd64.go says what that means. A pixel of x is loaded once for the
// taps of a row; the pixels of dy that they meet stay in registers and move on
// from one to the next, which renaming does without an instruction's time.
//
// AX, BX, R8, R9 and R10 are the offsets of the rows of taps, SI is x and R15
// its bytes a pixel, DX is dy and DI its bytes a pixel, CX counts pixels, R13
// rows; R11 and R12 are where a row of x and of dy starts. BP is the distance of
// rows of dy in bytes: the next row is fetched pixel by pixel, as FETCH in
// depthwise_plane_amd64.s does. Y14 is a pixel of x, Y15 the mask of fewer than eight
// channels.

#define WHOLE(from, z)   VMOVUPS from, z
#define PART(from, z)    VMASKMOVPS from, Y15, z
#define SAVEWHOLE(to, z) VMOVUPS z, to
#define SAVEPART(to, z)  VMASKMOVPS z, Y15, to

// DYNEXT loads the next pixel of dy, and asks for the one in the next row.
#define DYNEXT(LOAD, z) \
	PREFETCHT0 (DX)(BP*1) \
	LOAD((DX), z)         \
	ADDQ DI, DX

// MEET1, MEET2 and MEET3 multiply a pixel of x, in row p, with pixels of dy and
// add to the sums of so many taps.
#define MEET1(LOAD, p, d, s) \
	LOAD((SI)(p*1), Y14)   \
	VFMADD231PS Y14, d, s

#define MEET2(LOAD, p, d, s, e, t) \
	MEET1(LOAD, p, d, s)  \
	VFMADD231PS Y14, e, t

#define MEET3(LOAD, p, d, s, e, t, f, u) \
	MEET2(LOAD, p, d, s, e, t) \
	VFMADD231PS Y14, f, u

// Three rows of three taps, whose sums are Y0…Y2, Y3…Y5 and Y6…Y8. Pixels of
// dy, the newest first, are Y9…Y11, or Y9…Y13 with taps two pixels apart. The
// first pixels of x, HEAD, meet the first taps only, the last, TAIL, the last
// ones; those between, STEP, meet all.

#define FIRST3(LOAD, d) \
	MEET1(LOAD, AX, d, Y0) \
	MEET1(LOAD, BX, d, Y3) \
	MEET1(LOAD, R8, d, Y6) \
	ADDQ R15, SI

#define FIRSTTWO3(LOAD, d, e) \
	MEET2(LOAD, AX, d, Y0, e, Y1) \
	MEET2(LOAD, BX, d, Y3, e, Y4) \
	MEET2(LOAD, R8, d, Y6, e, Y7) \
	ADDQ R15, SI

#define ALL3(LOAD, d, e, f) \
	MEET3(LOAD, AX, d, Y0, e, Y1, f, Y2) \
	MEET3(LOAD, BX, d, Y3, e, Y4, f, Y5) \
	MEET3(LOAD, R8, d, Y6, e, Y7, f, Y8) \
	ADDQ R15, SI

#define LASTTWO3(LOAD, d, e) \
	MEET2(LOAD, AX, d, Y1, e, Y2) \
	MEET2(LOAD, BX, d, Y4, e, Y5) \
	MEET2(LOAD, R8, d, Y7, e, Y8) \
	ADDQ R15, SI

#define LAST3(LOAD, d) \
	MEET1(LOAD, AX, d, Y2) \
	MEET1(LOAD, BX, d, Y5) \
	MEET1(LOAD, R8, d, Y8) \
	ADDQ R15, SI

#define HEAD3(LOAD) \
	DYNEXT(LOAD, Y10)        \
	DYNEXT(LOAD, Y9)         \
	FIRST3(LOAD, Y10)        \
	FIRSTTWO3(LOAD, Y9, Y10)

#define STEP3(LOAD) \
	VMOVAPS Y10, Y11          \
	VMOVAPS Y9, Y10           \
	DYNEXT(LOAD, Y9)          \
	ALL3(LOAD, Y9, Y10, Y11)

#define TAIL3(LOAD) \
	LASTTWO3(LOAD, Y9, Y10) \
	LAST3(LOAD, Y9)

#define HEAD3APART(LOAD) \
	DYNEXT(LOAD, Y12)         \
	DYNEXT(LOAD, Y11)         \
	DYNEXT(LOAD, Y10)         \
	DYNEXT(LOAD, Y9)          \
	FIRST3(LOAD, Y12)         \
	FIRST3(LOAD, Y11)         \
	FIRSTTWO3(LOAD, Y10, Y12) \
	FIRSTTWO3(LOAD, Y9, Y11)

#define STEP3APART(LOAD) \
	VMOVAPS Y12, Y13          \
	VMOVAPS Y11, Y12          \
	VMOVAPS Y10, Y11          \
	VMOVAPS Y9, Y10           \
	DYNEXT(LOAD, Y9)          \
	ALL3(LOAD, Y9, Y11, Y13)

#define TAIL3APART(LOAD) \
	LASTTWO3(LOAD, Y10, Y12) \
	LASTTWO3(LOAD, Y9, Y11)  \
	LAST3(LOAD, Y10)         \
	LAST3(LOAD, Y9)

// Five rows of two taps, whose sums are Y0…Y4 for the first tap and Y5…Y9 for
// the second. Pixels of dy, the newest first, are Y10 and Y11.

#define FIRST2(LOAD, d) \
	MEET1(LOAD, AX, d, Y0)  \
	MEET1(LOAD, BX, d, Y1)  \
	MEET1(LOAD, R8, d, Y2)  \
	MEET1(LOAD, R9, d, Y3)  \
	MEET1(LOAD, R10, d, Y4) \
	ADDQ R15, SI

#define ALL2(LOAD, d, e) \
	MEET2(LOAD, AX, d, Y0, e, Y5)  \
	MEET2(LOAD, BX, d, Y1, e, Y6)  \
	MEET2(LOAD, R8, d, Y2, e, Y7)  \
	MEET2(LOAD, R9, d, Y3, e, Y8)  \
	MEET2(LOAD, R10, d, Y4, e, Y9) \
	ADDQ R15, SI

#define LAST2(LOAD, d) \
	MEET1(LOAD, AX, d, Y5)  \
	MEET1(LOAD, BX, d, Y6)  \
	MEET1(LOAD, R8, d, Y7)  \
	MEET1(LOAD, R9, d, Y8)  \
	MEET1(LOAD, R10, d, Y9) \
	ADDQ R15, SI

#define HEAD2(LOAD) \
	DYNEXT(LOAD, Y10) \
	FIRST2(LOAD, Y10)

#define STEP2(LOAD) \
	VMOVAPS Y10, Y11      \
	DYNEXT(LOAD, Y10)     \
	ALL2(LOAD, Y10, Y11)

#define TAIL2(LOAD) \
	LAST2(LOAD, Y10)

// OFFSETS3 and OFFSETS5 load the offsets of so many rows of taps from SI, in
// bytes, and add DI.
#define ROWOFFSET(disp, p) \
	MOVQ disp(SI), p      \
	LEAQ (DI)(p*4), p

#define OFFSETS3 \
	ROWOFFSET(0, AX)  \
	ROWOFFSET(8, BX)  \
	ROWOFFSET(16, R8)

#define OFFSETS5 \
	OFFSETS3          \
	ROWOFFSET(24, R9) \
	ROWOFFSET(32, R10)

// SUMS3 and SUMS2 load or save the sums, which lie R11 bytes from tap to tap.
#define SUMSROW3(MOVE, p, s, t, u) \
	MOVE((p), s)         \
	MOVE((p)(R11*1), t)  \
	MOVE((p)(R11*2), u)

#define SUMS3(MOVE) \
	SUMSROW3(MOVE, AX, Y0, Y1, Y2) \
	SUMSROW3(MOVE, BX, Y3, Y4, Y5) \
	SUMSROW3(MOVE, R8, Y6, Y7, Y8)

#define SUMSROW2(MOVE, p, s, t) \
	MOVE((p), s)         \
	MOVE((p)(R11*1), t)

#define SUMS2(MOVE) \
	SUMSROW2(MOVE, AX, Y0, Y5)  \
	SUMSROW2(MOVE, BX, Y1, Y6)  \
	SUMSROW2(MOVE, R8, Y2, Y7)  \
	SUMSROW2(MOVE, R9, Y3, Y8)  \
	SUMSROW2(MOVE, R10, Y4, Y9)

// WEIGHTS sets where the sums lie.
#define WEIGHTS(OFFSETS) \
	MOVQ woff+8(FP), SI   \
	MOVQ dw+0(FP), DI     \
	OFFSETS               \
	MOVQ wTap+16(FP), R11 \
	SHLQ $2, R11

// SLIDE adds to the sums of a group of taps. row and pixel are labels.
#define SLIDE(LOAD, SAVE, OFFSETS, SUMS, HEAD, STEP, TAIL, row, pixel) \
	WEIGHTS(OFFSETS)           \
	SUMS(LOAD)                 \
	MOVQ  xoff+48(FP), SI      \
	XORL  DI, DI               \
	OFFSETS                    \
	MOVQ  x+24(FP), R11        \
	MOVQ  dy+56(FP), R12       \
	MOVQ  dyCol+72(FP), DI     \
	SHLQ  $2, DI               \
	MOVQ  rows+80(FP), R13     \
	MOVQ  dyRowBytes-16(SP), BP \
row:                           \
	MOVQ  R11, SI              \
	MOVQ  R12, DX              \
	MOVQ  whole-24(SP), CX     \
	HEAD(LOAD)                 \
pixel:                         \
	STEP(LOAD)                 \
	DECQ  CX                   \
	JNZ   pixel                \
	TAIL(LOAD)                 \
	ADDQ  xRowBytes-8(SP), R11 \
	ADDQ  dyRowBytes-16(SP), R12 \
	DECQ  R13                  \
	JNZ   row                  \
	WEIGHTS(OFFSETS)           \
	SUMS(SAVE)

// DISTANCES sets the bytes of pixels and rows, and how many pixels of x meet all
// taps: CX fewer than a row has.
#define DISTANCES \
	MOVQ  xCol+40(FP), R15      \
	SHLQ  $2, R15               \
	MOVQ  xRow+32(FP), AX       \
	SHLQ  $2, AX                \
	MOVQ  AX, xRowBytes-8(SP)   \
	MOVQ  dyRow+64(FP), AX      \
	SHLQ  $2, AX                \
	MOVQ  AX, dyRowBytes-16(SP) \
	MOVQ  cols+88(FP), AX       \
	SUBQ  CX, AX                \
	MOVQ  AX, whole-24(SP)

// func slide3Vec(dw *float32, woff *int, wTap int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, rows, cols, c, apart int)
TEXT ·slide3Vec(SB), NOSPLIT, $24-112
	MOVQ apart+104(FP), CX
	SHLQ $1, CX
	DISTANCES

slide3Channels:
	MOVQ c+96(FP), CX
	CMPQ CX, $8
	JLT  slide3Tail
	CMPQ apart+104(FP), $2
	JEQ  slide3Apart
	SLIDE(WHOLE, SAVEWHOLE, OFFSETS3, SUMS3, HEAD3, STEP3, TAIL3, slide3Row, slide3Pixel)
	JMP  slide3Next

slide3Apart:
	SLIDE(WHOLE, SAVEWHOLE, OFFSETS3, SUMS3, HEAD3APART, STEP3APART, TAIL3APART, slide3ApartRow, slide3ApartPixel)

slide3Next:
	ADDQ $32, dw+0(FP)
	ADDQ $32, x+24(FP)
	ADDQ $32, dy+56(FP)
	SUBQ $8, c+96(FP)
	JNZ  slide3Channels
	VZEROUPPER
	RET

slide3Tail:
	TAILMASK(CX, Y15)
	CMPQ apart+104(FP), $2
	JEQ  slide3TailApart
	SLIDE(PART, SAVEPART, OFFSETS3, SUMS3, HEAD3, STEP3, TAIL3, slide3TailRow, slide3TailPixel)
	VZEROUPPER
	RET

slide3TailApart:
	SLIDE(PART, SAVEPART, OFFSETS3, SUMS3, HEAD3APART, STEP3APART, TAIL3APART, slide3TailApartRow, slide3TailApartPixel)
	VZEROUPPER
	RET

// func slide2Vec(dw *float32, woff *int, wTap int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, rows, cols, c int)
TEXT ·slide2Vec(SB), NOSPLIT, $24-104
	MOVQ $1, CX
	DISTANCES

slide2Channels:
	MOVQ c+96(FP), CX
	CMPQ CX, $8
	JLT  slide2Tail
	SLIDE(WHOLE, SAVEWHOLE, OFFSETS5, SUMS2, HEAD2, STEP2, TAIL2, slide2Row, slide2Pixel)
	ADDQ $32, dw+0(FP)
	ADDQ $32, x+24(FP)
	ADDQ $32, dy+56(FP)
	SUBQ $8, c+96(FP)
	JNZ  slide2Channels
	VZEROUPPER
	RET

slide2Tail:
	TAILMASK(CX, Y15)
	SLIDE(PART, SAVEPART, OFFSETS5, SUMS2, HEAD2, STEP2, TAIL2, slide2TailRow, slide2TailPixel)
	VZEROUPPER
	RET
