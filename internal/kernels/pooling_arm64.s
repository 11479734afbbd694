// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "loops_neon_arm64.h"

// Rows of max pooling: micro.peak, micro.pick and micro.pickGrad, described in
// loops.go. Operands and registers are as in loops_arm64.s. V29 is −∞, V28 the
// number of a tap; V24, V25 and V26 are the first tap's number and the
// differences of the next tap in a row and of the next row.

// EACH1 and EACH4 apply f to the pairs of registers of so many pixels: two of
// sums or maxima, two of numbers.
#define EACH1(f) \
	f(0, 1, 8, 9, V0, V1, V8, V9)

#define EACH4(f) \
	EACH1(f)                            \
	f(2, 3, 10, 11, V2, V3, V10, V11)   \
	f(4, 5, 12, 13, V4, V5, V12, V13)   \
	f(6, 7, 14, 15, V6, V7, V14, V15)

#define LOWEST(a, b, m, n, A, B, M, N) \
	COPY(29, a) \
	COPY(29, b)

#define LOWESTPICK(a, b, m, n, A, B, M, N) \
	LOWEST(a, b, m, n, A, B, M, N) \
	COPY(24, m)                    \
	COPY(24, n)

#define PEAK(a, b, m, n, A, B, M, N) \
	VLD1.P (R13)(R3), [V16.S4, V17.S4] \
	FMAXNM(16, a, a)                   \
	FMAXNM(17, b, b)

#define PICK(a, b, m, n, A, B, M, N) \
	VLD1.P (R13)(R3), [V16.S4, V17.S4] \
	FCMGT(a, 16, 18)                   \ // x > best, false for NaN
	FCMGT(b, 17, 19)                   \
	SELECT(18, 16, a)                  \
	SELECT(19, 17, b)                  \
	SELECT(18, 28, m)                  \
	SELECT(19, 28, n)

#define PICKGRAD(a, b, m, n, A, B, M, N) \
	ADD    R19, R13, R15               \
	VLD1.P (R13)(R3), [V16.S4, V17.S4] \
	VLD1   (R15), [V18.S4, V19.S4]     \
	FCMEQ(28, 16, 16)                  \
	FCMEQ(28, 17, 17)                  \
	BITAND(16, 18, 18)                 \
	BITAND(17, 19, 19)                 \
	FADD(18, a, a)                     \
	FADD(19, b, b)

// BEFORE loads a pixel of the output, zeros if V27 is zeros.
#define BEFORE(a, b, m, n, A, B, M, N) \
	VLD1.P (R13)(R1), [A.S4, B.S4] \
	BITAND(27, a, a)               \
	BITAND(27, b, b)

#define SAVE(a, b, m, n, A, B, M, N)     VST1.P [A.S4, B.S4], (R6)(R1)
#define SAVEPICK(a, b, m, n, A, B, M, N) VST1.P [M.S4, N.S4], (R6)(R1)

// ROW takes n pixels, again while there are as many left, then goes on at
// next: START, TAP and END are applied to each, the rest are labels. R2 is the
// first tap of the input's pixel, R3 its distance from the next, R6 the output,
// R1 its distance from the next, R8 what is left. R9 and R10 are rows and
// columns of taps, R11 and R22 the distances of taps and from the end of a row
// to the next.
#define ROW(n, EACH, START, TAP, END, again, eachrow, each, write, next) \
	SUBS n, R8           \
	BLT  next            \
again:                   \
	MOVD R6, R13         \
	EACH(START)          \
	COPY(24, 28)         \
	CBZ  R9, write       \
	CBZ  R10, write      \
	MOVD R2, R14         \
	MOVD R9, R24         \
eachrow:                 \
	MOVD R10, R25        \
each:                    \
	MOVD R14, R13        \
	EACH(TAP)            \
	FADD(25, 28, 28)     \
	ADD  R11, R14        \
	SUBS $1, R25         \
	BNE  each            \
	FADD(26, 28, 28)     \
	ADD  R22, R14        \
	SUBS $1, R24         \
	BNE  eachrow         \
write:                   \
	EACH(END)            \
	MOVD n, R14          \
	MADD R14, R2, R3, R2 \
	SUBS n, R8           \
	BGE  again           \
next:                    \
	ADD  n, R8

// FLOATS makes R13, R14 and R15, a number and its differences, what ROW needs.
#define FLOATS \
	MSUB   R10, R14, R15, R14 \
	SCVTFS R13, F24           \
	SCVTFS R15, F25           \
	SCVTFS R14, F26           \
	VDUP   V24.S[0], V24.S4   \
	VDUP   V25.S[0], V25.S4   \
	VDUP   V26.S[0], V26.S4

#define LOWESTVALUE \
	MOVD $0xFF800000, R13 \
	VDUP R13, V29.S4

// func peakVec(y *float32, yCol int, x *float32, xCol int, window *window, cols, c int)
//
// Eight channels at a time.
TEXT ·peakVec(SB), NOSPLIT, $0-56
	MOVD y+0(FP), R0
	MOVD yCol+8(FP), R1
	MOVD x+16(FP), R5
	MOVD xCol+24(FP), R3
	LSL  $2, R1              // bytes
	LSL  $2, R3
	MOVD window+32(FP), R7
	WINDOW(R7, R9, R10, R2, R22, R11)
	ADD  R2, R5
	NUMBERS(R7, R13, R14, R15)
	FLOATS
	LOWESTVALUE
	MOVD c+48(FP), R7

peakChannels:
	MOVD R0, R6
	MOVD R5, R2
	MOVD cols+40(FP), R8
	ROW($4, EACH4, LOWEST, PEAK, SAVE, peak4, peak4Row, peak4Tap, peak4Write, peak4Next)
	ROW($1, EACH1, LOWEST, PEAK, SAVE, peak1, peak1Row, peak1Tap, peak1Write, peak1Next)
	ADD  $32, R0
	ADD  $32, R5
	SUBS $8, R7
	BNE  peakChannels
	RET

// func pickVec(from *float32, col int, x *float32, xCol int, window *window, cols, c int)
//
// Eight channels at a time.
TEXT ·pickVec(SB), NOSPLIT, $0-56
	MOVD from+0(FP), R0
	MOVD col+8(FP), R1
	MOVD x+16(FP), R5
	MOVD xCol+24(FP), R3
	LSL  $2, R1              // bytes
	LSL  $2, R3
	MOVD window+32(FP), R7
	WINDOW(R7, R9, R10, R2, R22, R11)
	ADD  R2, R5
	NUMBERS(R7, R13, R14, R15)
	FLOATS
	LOWESTVALUE
	MOVD c+48(FP), R7

pickChannels:
	MOVD R0, R6
	MOVD R5, R2
	MOVD cols+40(FP), R8
	ROW($4, EACH4, LOWESTPICK, PICK, SAVEPICK, pick4, pick4Row, pick4Tap, pick4Write, pick4Next)
	ROW($1, EACH1, LOWESTPICK, PICK, SAVEPICK, pick1, pick1Row, pick1Tap, pick1Write, pick1Next)
	ADD  $32, R0
	ADD  $32, R5
	SUBS $8, R7
	BNE  pickChannels
	RET

// func pickGradVec(dx *float32, dxCol int, dy, from *float32, col int, window *window, cols, c int, add bool)
//
// Eight channels at a time.
TEXT ·pickGradVec(SB), NOSPLIT, $0-65
	MOVD dx+0(FP), R0
	MOVD dxCol+8(FP), R1
	MOVD from+24(FP), R5
	MOVD dy+16(FP), R19
	SUB  R5, R19             // from a tap to its gradient
	MOVD col+32(FP), R3
	LSL  $2, R1              // bytes
	LSL  $2, R3
	MOVD window+40(FP), R7
	WINDOW(R7, R9, R10, R2, R22, R11)
	ADD  R2, R5
	NUMBERS(R7, R13, R14, R15)
	FLOATS
	MOVBU add+64(FP), R13
	NEG  R13, R13
	VDUP R13, V27.S4         // all ones if add
	MOVD c+56(FP), R7

pickGradChannels:
	MOVD R0, R6
	MOVD R5, R2
	MOVD cols+48(FP), R8
	ROW($4, EACH4, BEFORE, PICKGRAD, SAVE, pickGrad4, pickGrad4Row, pickGrad4Tap, pickGrad4Write, pickGrad4Next)
	ROW($1, EACH1, BEFORE, PICKGRAD, SAVE, pickGrad1, pickGrad1Row, pickGrad1Tap, pickGrad1Write, pickGrad1Next)
	ADD  $32, R0
	ADD  $32, R5
	SUBS $8, R7
	BNE  pickGradChannels
	RET
