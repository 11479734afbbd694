// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// Depthwise convolution of images as they lie in memory, AVX-512:
// micro.depthPlane, described in loops.go. A block is sixteen pixels of a row,
// or the last, fewer, in Z0…Z15; K1 has the channels of a group, sixteen or the
// last, fewer. R11 is the pixel of x that the block starts from, R10 the block's
// distance from y, BX the group's weights, R14, R15, R13 and R12 are one, three,
// five and seven pixels of x on, in bytes. R8 is a row of taps, R9 and DI its
// place in x and w, SI the columns of taps.

// PIXELS applies f to the number of each pixel, as a bit, its address and its sum.
#define PIXELS(f) \
	f(1, (AX), Z0)             \
	f(2, (AX)(R14*1), Z1)      \
	f(4, (AX)(R14*2), Z2)      \
	f(8, (AX)(R15*1), Z3)      \
	f(16, (AX)(R14*4), Z4)     \
	f(32, (AX)(R13*1), Z5)     \
	f(64, (AX)(R15*2), Z6)     \
	f(128, (AX)(R12*1), Z7)    \
	f(256, (BP), Z8)           \
	f(512, (BP)(R14*1), Z9)    \
	f(1024, (BP)(R14*2), Z10)  \
	f(2048, (BP)(R15*1), Z11)  \
	f(4096, (BP)(R14*4), Z12)  \
	f(8192, (BP)(R13*1), Z13)  \
	f(16384, (BP)(R15*2), Z14) \
	f(32768, (BP)(R12*1), Z15)

// IF jumps n−1 instructions on if bits lack the pixel's.
#define IF(bit, bits, n) TESTL $bit, bits; JEQ n(PC);

#define START(bit, at, z) VMOVAPS Z19, z
#define TAP(bit, at, z)   VFMADD231PS at, Z16, K1, z
#define TAPIF(bit, at, z) IF(bit, CX, 2) VFMADD231PS at, Z16, K1, z

#define MASK(bit, at, z) \
	IF(bit, DX, 4)                           \
	VCMPPS    $0x11, (DI)(SI*1), Z17, K1, K2 \ // 0 < mask, false for NaN
	VMOVUPS.Z z, K2, z                       \
	ADDQ      CX, SI

#define RESIDUAL(bit, at, z) \
	IF(bit, DX, 3)              \
	VADDPS (DI)(SI*1), z, K1, z \
	ADDQ   CX, SI

#define STORE(bit, at, z) \
	IF(bit, DX, 4)             \
	VMAXPS  z, Z18, z          \
	VMOVUPS z, K1, (DI)(R10*1) \
	ADDQ    CX, R10

// A slide takes a row of the usual windows: it loads each source pixel once, for
// all the taps that it is under, whose weights are in Z20…Z24. Source pixels are
// numbered from the first output's first tap on; those below CX, and from DX on,
// lie outside of the image.
#define WEIGHTS(tap, z) \
	MOVQ      (tapSpan__size*tap+tapSpan_w)(SI), AX \
	VMOVUPS.Z (DI)(AX*4), K1, z

#define SLIDE3 \
	WEIGHTS(0, Z20)        \
	WEIGHTS(1, Z21)        \
	WEIGHTS(2, Z22)        \
	MOVQ p+56(FP), CX      \
	MOVQ plane_inside(CX), DX \
	MOVQ tapSpan_first(SI), CX \
	SUBQ column-64(SP), CX \
	SUBQ column-64(SP), DX \
	MOVQ tapSpan_x(SI), AX \
	LEAQ (R9)(AX*4), AX    \
	LEAQ (AX)(R14*8), BP   \
	LEAQ (BP)(R14*8), R9

#define SLIDE5 \
	WEIGHTS(3, Z23) \
	WEIGHTS(4, Z24) \
	SLIDE3

// BEGIN jumps n−1 instructions on if a pixel lies before the image's row, END
// goes to the next row of taps if it lies behind.
#define BEGIN(pixel, n) CMPQ CX, $pixel; JGT n(PC);
#define END(pixel)      CMPQ DX, $pixel; JLE planeNextRow;

#define PIXEL(at) VMOVUPS.Z at, K1, Z25;
#define TAP0(z)   VFMADD231PS Z25, Z20, z;
#define TAP1(z)   VFMADD231PS Z25, Z21, z;
#define TAP2(z)   VFMADD231PS Z25, Z22, z;
#define TAP3(z)   VFMADD231PS Z25, Z23, z;
#define TAP4(z)   VFMADD231PS Z25, Z24, z;

#define THREE(at, a, b, d)      PIXEL(at) TAP0(a) TAP1(b) TAP2(d)
#define FIVE(at, a, b, d, e, f) THREE(at, a, b, d) TAP3(e) TAP4(f)

// 3 taps, one after another.
#define SLIDE3BY1 \
	SLIDE3 \
	END(0) BEGIN(0, 3) PIXEL((AX)) TAP0(Z0) \
	END(1) BEGIN(1, 4) PIXEL((AX)(R14*1)) TAP0(Z1) TAP1(Z0) \
	END(2) THREE((AX)(R14*2), Z2, Z1, Z0) \
	END(3) THREE((AX)(R15*1), Z3, Z2, Z1) \
	END(4) THREE((AX)(R14*4), Z4, Z3, Z2) \
	END(5) THREE((AX)(R13*1), Z5, Z4, Z3) \
	END(6) THREE((AX)(R15*2), Z6, Z5, Z4) \
	END(7) THREE((AX)(R12*1), Z7, Z6, Z5) \
	END(8) THREE((BP), Z8, Z7, Z6) \
	END(9) THREE((BP)(R14*1), Z9, Z8, Z7) \
	END(10) THREE((BP)(R14*2), Z10, Z9, Z8) \
	END(11) THREE((BP)(R15*1), Z11, Z10, Z9) \
	END(12) THREE((BP)(R14*4), Z12, Z11, Z10) \
	END(13) THREE((BP)(R13*1), Z13, Z12, Z11) \
	END(14) THREE((BP)(R15*2), Z14, Z13, Z12) \
	END(15) THREE((BP)(R12*1), Z15, Z14, Z13) \
	END(16) PIXEL((R9)) TAP1(Z15) TAP2(Z14) \
	END(17) PIXEL((R9)(R14*1)) TAP2(Z15)

// 5 taps, one after another.
#define SLIDE5BY1 \
	SLIDE5 \
	END(0) BEGIN(0, 3) PIXEL((AX)) TAP0(Z0) \
	END(1) BEGIN(1, 4) PIXEL((AX)(R14*1)) TAP0(Z1) TAP1(Z0) \
	END(2) BEGIN(2, 5) PIXEL((AX)(R14*2)) TAP0(Z2) TAP1(Z1) TAP2(Z0) \
	END(3) BEGIN(3, 6) PIXEL((AX)(R15*1)) TAP0(Z3) TAP1(Z2) TAP2(Z1) TAP3(Z0) \
	END(4) FIVE((AX)(R14*4), Z4, Z3, Z2, Z1, Z0) \
	END(5) FIVE((AX)(R13*1), Z5, Z4, Z3, Z2, Z1) \
	END(6) FIVE((AX)(R15*2), Z6, Z5, Z4, Z3, Z2) \
	END(7) FIVE((AX)(R12*1), Z7, Z6, Z5, Z4, Z3) \
	END(8) FIVE((BP), Z8, Z7, Z6, Z5, Z4) \
	END(9) FIVE((BP)(R14*1), Z9, Z8, Z7, Z6, Z5) \
	END(10) FIVE((BP)(R14*2), Z10, Z9, Z8, Z7, Z6) \
	END(11) FIVE((BP)(R15*1), Z11, Z10, Z9, Z8, Z7) \
	END(12) FIVE((BP)(R14*4), Z12, Z11, Z10, Z9, Z8) \
	END(13) FIVE((BP)(R13*1), Z13, Z12, Z11, Z10, Z9) \
	END(14) FIVE((BP)(R15*2), Z14, Z13, Z12, Z11, Z10) \
	END(15) FIVE((BP)(R12*1), Z15, Z14, Z13, Z12, Z11) \
	END(16) PIXEL((R9)) TAP1(Z15) TAP2(Z14) TAP3(Z13) TAP4(Z12) \
	END(17) PIXEL((R9)(R14*1)) TAP2(Z15) TAP3(Z14) TAP4(Z13) \
	END(18) PIXEL((R9)(R14*2)) TAP3(Z15) TAP4(Z14) \
	END(19) PIXEL((R9)(R15*1)) TAP4(Z15)

// 3 taps, two apart.
#define SLIDE3BY2 \
	SLIDE3 \
	END(0) BEGIN(0, 3) PIXEL((AX)) TAP0(Z0) \
	END(1) BEGIN(1, 3) PIXEL((AX)(R14*1)) TAP0(Z1) \
	END(2) BEGIN(2, 4) PIXEL((AX)(R14*2)) TAP0(Z2) TAP1(Z0) \
	END(3) BEGIN(3, 4) PIXEL((AX)(R15*1)) TAP0(Z3) TAP1(Z1) \
	END(4) THREE((AX)(R14*4), Z4, Z2, Z0) \
	END(5) THREE((AX)(R13*1), Z5, Z3, Z1) \
	END(6) THREE((AX)(R15*2), Z6, Z4, Z2) \
	END(7) THREE((AX)(R12*1), Z7, Z5, Z3) \
	END(8) THREE((BP), Z8, Z6, Z4) \
	END(9) THREE((BP)(R14*1), Z9, Z7, Z5) \
	END(10) THREE((BP)(R14*2), Z10, Z8, Z6) \
	END(11) THREE((BP)(R15*1), Z11, Z9, Z7) \
	END(12) THREE((BP)(R14*4), Z12, Z10, Z8) \
	END(13) THREE((BP)(R13*1), Z13, Z11, Z9) \
	END(14) THREE((BP)(R15*2), Z14, Z12, Z10) \
	END(15) THREE((BP)(R12*1), Z15, Z13, Z11) \
	END(16) PIXEL((R9)) TAP1(Z14) TAP2(Z12) \
	END(17) PIXEL((R9)(R14*1)) TAP1(Z15) TAP2(Z13) \
	END(18) PIXEL((R9)(R14*2)) TAP2(Z14) \
	END(19) PIXEL((R9)(R15*1)) TAP2(Z15)

// 5 taps, two apart.
#define SLIDE5BY2 \
	SLIDE5 \
	END(0) BEGIN(0, 3) PIXEL((AX)) TAP0(Z0) \
	END(1) BEGIN(1, 3) PIXEL((AX)(R14*1)) TAP0(Z1) \
	END(2) BEGIN(2, 4) PIXEL((AX)(R14*2)) TAP0(Z2) TAP1(Z0) \
	END(3) BEGIN(3, 4) PIXEL((AX)(R15*1)) TAP0(Z3) TAP1(Z1) \
	END(4) BEGIN(4, 5) PIXEL((AX)(R14*4)) TAP0(Z4) TAP1(Z2) TAP2(Z0) \
	END(5) BEGIN(5, 5) PIXEL((AX)(R13*1)) TAP0(Z5) TAP1(Z3) TAP2(Z1) \
	END(6) BEGIN(6, 6) PIXEL((AX)(R15*2)) TAP0(Z6) TAP1(Z4) TAP2(Z2) TAP3(Z0) \
	END(7) BEGIN(7, 6) PIXEL((AX)(R12*1)) TAP0(Z7) TAP1(Z5) TAP2(Z3) TAP3(Z1) \
	END(8) FIVE((BP), Z8, Z6, Z4, Z2, Z0) \
	END(9) FIVE((BP)(R14*1), Z9, Z7, Z5, Z3, Z1) \
	END(10) FIVE((BP)(R14*2), Z10, Z8, Z6, Z4, Z2) \
	END(11) FIVE((BP)(R15*1), Z11, Z9, Z7, Z5, Z3) \
	END(12) FIVE((BP)(R14*4), Z12, Z10, Z8, Z6, Z4) \
	END(13) FIVE((BP)(R13*1), Z13, Z11, Z9, Z7, Z5) \
	END(14) FIVE((BP)(R15*2), Z14, Z12, Z10, Z8, Z6) \
	END(15) FIVE((BP)(R12*1), Z15, Z13, Z11, Z9, Z7) \
	END(16) PIXEL((R9)) TAP1(Z14) TAP2(Z12) TAP3(Z10) TAP4(Z8) \
	END(17) PIXEL((R9)(R14*1)) TAP1(Z15) TAP2(Z13) TAP3(Z11) TAP4(Z9) \
	END(18) PIXEL((R9)(R14*2)) TAP2(Z14) TAP3(Z12) TAP4(Z10) \
	END(19) PIXEL((R9)(R15*1)) TAP2(Z15) TAP3(Z13) TAP4(Z11) \
	END(20) PIXEL((R9)(R14*4)) TAP3(Z14) TAP4(Z12) \
	END(21) PIXEL((R9)(R13*1)) TAP3(Z15) TAP4(Z13) \
	END(22) PIXEL((R9)(R15*2)) TAP4(Z14) \
	END(23) PIXEL((R9)(R12*1)) TAP4(Z15)

// func depthPlane512Vec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)
TEXT ·depthPlane512Vec(SB), NOSPLIT, $64-80
	MOVQ  p+56(FP), SI
	MOVQ  plane_c(SI), AX
	SHLQ  $2, AX
	MOVQ  AX, yBytes-8(SP)
	MOVQ  plane_xRow(SI), AX
	IMULQ first+64(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, x+24(FP)
	MOVQ  plane_xCol(SI), R14
	SHLQ  $2, R14
	LEAQ  (R14)(R14*2), R15
	LEAQ  (R14)(R14*4), R13
	LEAQ  (R15)(R14*4), R12
	MOVQ  plane_rowTaps(SI), AX
	MOVQ  AX, rowTaps-16(SP)
	MOVQ  (plane_rowTaps+8)(SI), CX
	SHLQ  $5, CX
	ADDQ  AX, CX
	MOVQ  CX, rowEnd-24(SP)
	MOVQ  plane_colTaps(SI), AX
	MOVQ  AX, colTaps-32(SP)
	MOVQ  (plane_colTaps+8)(SI), CX
	SHLQ  $5, CX
	ADDQ  AX, CX
	MOVQ  CX, colEnd-40(SP)
	MOVQ  $0, rowAt-48(SP)
	VPXORD       Z17, Z17, Z17
	VBROADCASTSS floor+48(FP), Z18

planeRow:
	MOVQ   $0, channel-56(SP)   // bytes
	KXNORW K1, K1, K1
	CMPQ   yBytes-8(SP), $64
	JLE    planeChannels

	// Several groups of channels do not read memory in its order: the source rows
	// that the next row reads anew are fetched before.
	MOVQ p+56(FP), SI
	MOVQ rowEnd-24(SP), AX
	MOVQ (tapSpan_x-tapSpan__size)(AX), AX // x of the last row of taps
	ADDQ plane_row(SI), AX
	SHLQ $2, AX
	ADDQ x+24(FP), AX
	MOVQ plane_xRow(SI), CX
	SHLQ $2, CX
	ADDQ AX, CX

planeFetch:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	CMPQ AX, CX
	JLT  planeFetch

planeChannels:
	MOVQ  channel-56(SP), R10
	MOVQ  yBytes-8(SP), CX
	SUBQ  R10, CX
	SHRQ  $2, CX                // channels left
	CMPQ  CX, $16
	JGE   planeBias
	MOVL  $-1, AX
	BZHIL CX, AX, AX
	KMOVW AX, K1

planeBias:
	VPXORD    Z19, Z19, Z19
	MOVQ      bias+40(FP), AX
	TESTQ     AX, AX
	JZ        planeColumns
	VMOVUPS.Z (AX)(R10*1), K1, Z19

planeColumns:
	MOVQ x+24(FP), R11
	ADDQ R10, R11
	MOVQ w+32(FP), BX
	ADDQ R10, BX
	ADDQ rowAt-48(SP), R10
	MOVQ $0, column-64(SP)

planeBlock:
	PIXELS(START)
	MOVQ rowTaps-16(SP), R8
	CMPQ R8, rowEnd-24(SP)
	JGE  planeSums

planeTaps:
	MOVQ first+64(FP), AX
	CMPQ AX, tapSpan_first(R8)
	JLT  planeNextRow
	CMPQ AX, tapSpan_end(R8)
	JGE  planeNextRow
	MOVQ tapSpan_x(R8), R9
	LEAQ (R11)(R9*4), R9
	MOVQ tapSpan_w(R8), DI
	LEAQ (BX)(DI*4), DI
	MOVQ colTaps-32(SP), SI
	MOVQ p+56(FP), AX
	MOVQ plane_slide(AX), AX
	CMPQ AX, $2
	JLT  planeThree
	JEQ  planeFive
	CMPQ AX, $4
	JLT  planeDilatedThree
	JEQ  planeDilatedFive

planeTap:
	MOVQ      tapSpan_w(SI), AX
	VMOVUPS.Z (DI)(AX*4), K1, Z16
	MOVQ      tapSpan_x(SI), AX
	LEAQ      (R9)(AX*4), AX
	LEAQ      (AX)(R14*8), BP
	MOVQ      tapSpan_first(SI), CX
	SUBQ      column-64(SP), CX
	MOVQ      tapSpan_end(SI), DX
	SUBQ      column-64(SP), DX
	TESTQ     CX, CX
	JGT       planeSome
	CMPQ      DX, $16
	JLT       planeSome
	PIXELS(TAP)

planeNextTap:
	ADDQ $tapSpan__size, SI
	CMPQ SI, colEnd-40(SP)
	JLT  planeTap

planeNextRow:
	ADDQ $tapSpan__size, R8
	CMPQ R8, rowEnd-24(SP)
	JLT  planeTaps

planeSums:
	MOVQ  p+56(FP), SI
	MOVQ  plane_cols(SI), DX
	SUBQ  column-64(SP), DX
	MOVL  $16, AX
	CMPQ  DX, AX
	CMOVQGT AX, DX
	MOVL  $-1, AX
	BZHIL DX, AX, DX            // the bits of the block's pixels
	MOVQ  yBytes-8(SP), CX
	MOVQ  mask+8(FP), DI
	TESTQ DI, DI
	JZ    planeAdd
	MOVQ  R10, SI
	PIXELS(MASK)

planeAdd:
	MOVQ  residual+16(FP), DI
	TESTQ DI, DI
	JZ    planeWrite
	MOVQ  R10, SI
	PIXELS(RESIDUAL)

planeWrite:
	MOVQ y+0(FP), DI
	PIXELS(STORE)
	MOVQ R14, AX
	SHLQ $4, AX
	ADDQ AX, R11
	ADDQ $16, column-64(SP)
	MOVQ p+56(FP), SI
	MOVQ plane_cols(SI), AX
	CMPQ AX, column-64(SP)
	JGT  planeBlock
	MOVQ channel-56(SP), CX
	ADDQ $64, CX
	MOVQ CX, channel-56(SP)
	CMPQ CX, yBytes-8(SP)
	JLT  planeChannels
	IMULQ yBytes-8(SP), AX
	ADDQ AX, rowAt-48(SP)
	MOVQ plane_xRow(SI), AX
	SHLQ $2, AX
	ADDQ AX, x+24(FP)
	INCQ first+64(FP)
	DECQ rows+72(FP)
	JNZ  planeRow
	VZEROUPPER
	RET

planeSome: // only some pixels have the tap: their bits are CX
	XORL    BP, BP
	TESTQ   CX, CX
	CMOVQLT BP, CX
	MOVL    $16, BP
	CMPQ    DX, BP
	CMOVQGT BP, DX
	CMPQ    CX, DX
	JGE     planeNextTap
	MOVL    $-1, BP
	SHLXL   CX, BP, CX
	BZHIL   DX, CX, CX
	LEAQ    (AX)(R14*8), BP
	PIXELS(TAPIF)
	JMP     planeNextTap

planeThree:
	TESTQ AX, AX
	JZ    planeTap
	SLIDE3BY1
	JMP planeNextRow

planeFive:
	SLIDE5BY1
	JMP planeNextRow

planeDilatedThree:
	SLIDE3BY2
	JMP planeNextRow

planeDilatedFive:
	SLIDE5BY2
	JMP planeNextRow
