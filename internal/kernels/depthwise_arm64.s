// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "loops_neon_arm64.h"

// Rows of depthwise convolutions: micro.depth, described in loops.go. Operands
// and registers are as in loops_arm64.s.

// EACH1…EACH8 apply f to the sums of so many pixels, a pair of registers each,
// and to working registers, numbers and names.
#define EACH1(f) \
	f(0, 1, 18, 19, V18, V19)

#define EACH2(f) \
	EACH1(f)                  \
	f(2, 3, 20, 21, V20, V21)

#define EACH4(f) \
	EACH2(f)                  \
	f(4, 5, 22, 23, V22, V23) \
	f(6, 7, 24, 25, V24, V25)

#define EACH8(f) \
	EACH4(f)                    \
	f(8, 9, 18, 19, V18, V19)   \
	f(10, 11, 20, 21, V20, V21) \
	f(12, 13, 22, 23, V22, V23) \
	f(14, 15, 24, 25, V24, V25)

#define START(a, b, m, n, M, N) \
	COPY(26, a) \
	COPY(27, b)

#define TAP(a, b, m, n, M, N) \
	VLD1.P (R13)(R3), [M.S4, N.S4] \
	MULADD(16, m, a)               \
	MULADD(17, n, b)

// MASK, RESIDUAL and STORE treat the pixel at R13 and go to the next.
#define MASK(a, b, m, n, M, N) \
	VLD1.P (R13)(R1), [M.S4, N.S4] \
	FCMGT(28, m, m)                \ // mask > 0, false for NaN
	FCMGT(28, n, n)                \
	BITAND(m, a, a)                \
	BITAND(n, b, b)

#define RESIDUAL(a, b, m, n, M, N) \
	VLD1.P (R13)(R1), [M.S4, N.S4] \
	FADD(m, a, a)                  \
	FADD(n, b, b)

#define STORE(a, b, m, n, M, N) \
	FMAX(29, a, m)                 \
	FMAX(29, b, n)                 \
	VST1.P [M.S4, N.S4], (R13)(R1)

// DEPTH writes n pixels, again while there are as many left, then goes on at
// next; EACH is EACHn, the rest are labels. R2 is the first tap of the pixel of
// x, R6 the pixel's distance in bytes from y, R8 what is left. R9 and R10 are
// rows and columns of taps, R11 and R22 the distances of taps of x, in bytes,
// and from the end of a row of taps to the next, R12 and R23 those of w.
#define DEPTH(n, EACH, again, eachrow, each, sums, add, write, next) \
	SUBS n, R8                     \
	BLT  next                      \
again:                             \
	EACH(START)                    \
	CBZ  R9, sums                  \
	CBZ  R10, sums                 \
	MOVD R2, R14                   \
	MOVD R4, R15                   \
	MOVD R9, R24                   \
eachrow:                           \
	MOVD R10, R25                  \
each:                              \
	VLD1 (R15), [V16.S4, V17.S4]   \
	MOVD R14, R13                  \
	EACH(TAP)                      \
	ADD  R11, R14                  \
	ADD  R12, R15                  \
	SUBS $1, R25                   \
	BNE  each                      \
	ADD  R22, R14                  \
	ADD  R23, R15                  \
	SUBS $1, R24                   \
	BNE  eachrow                   \
sums:                              \
	CBZ  R19, add                  \
	ADD  R19, R6, R13              \
	EACH(MASK)                     \
add:                               \
	CBZ  R20, write                \
	ADD  R20, R6, R13              \
	EACH(RESIDUAL)                 \
write:                             \
	ADD  R0, R6, R13               \
	EACH(STORE)                    \
	SUB  R0, R13, R6               \
	MOVD n, R14                    \
	MADD R14, R2, R3, R2           \
	SUBS n, R8                     \
	BGE  again                     \
next:                              \
	ADD  n, R8

// func depthVec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, window *window, bias *float32, floor float32, cols, c int)
//
// Eight channels at a time. V26, V27 are the bias, V28 is 0, V29 the floor.
TEXT ·depthVec(SB), NOSPLIT, $0-96
	MOVD  y+0(FP), R0
	MOVD  mask+8(FP), R19
	MOVD  residual+16(FP), R20
	MOVD  yCol+24(FP), R1
	MOVD  xCol+40(FP), R3
	LSL   $2, R1             // bytes
	LSL   $2, R3
	MOVD  w+48(FP), R4
	MOVD  window+56(FP), R7
	WINDOW(R7, R9, R10, R2, R22, R11)
	MOVD  x+32(FP), R5
	ADD   R2, R5
	NUMBERS(R7, R2, R23, R12)
	LSL   $2, R2
	LSL   $2, R12
	LSL   $2, R23
	ADD   R2, R4
	MSUB  R10, R23, R12, R23
	MOVD  bias+64(FP), R7
	MOVD  $0, R21            // bytes to the channels
	VEOR  V26.B16, V26.B16, V26.B16
	VEOR  V27.B16, V27.B16, V27.B16
	VEOR  V28.B16, V28.B16, V28.B16
	FMOVS floor+72(FP), F29
	VDUP  V29.S[0], V29.S4

depthChannels:
	CBZ    R7, depthPixels
	VLD1.P 32(R7), [V26.S4, V27.S4]

depthPixels:
	ADD  R21, R5, R2
	MOVD R21, R6
	MOVD cols+80(FP), R8
	DEPTH($8, EACH8, depth8, depth8Row, depth8Tap, depth8Sums, depth8Add, depth8Write, depth8Next)
	DEPTH($4, EACH4, depth4, depth4Row, depth4Tap, depth4Sums, depth4Add, depth4Write, depth4Next)
	DEPTH($2, EACH2, depth2, depth2Row, depth2Tap, depth2Sums, depth2Add, depth2Write, depth2Next)
	DEPTH($1, EACH1, depth1, depth1Row, depth1Tap, depth1Sums, depth1Add, depth1Write, depth1Next)
	ADD  $32, R4
	ADD  $32, R21
	MOVD c+88(FP), R13
	CMP  R13<<2, R21
	BLT  depthChannels
	RET
