// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_neon_arm64.h"

// The weight gradient of depthwise convolutions: micro.tapsGrad, described in
// loops.go. Operands and registers are as in loops_arm64.s.

// TAPS8 and TAPS9 apply f to the address register of every tap and its pair of sums.
#define TAPS8(f) \
	f(R6, V0, V1)   \
	f(R7, V2, V3)   \
	f(R8, V4, V5)   \
	f(R9, V6, V7)   \
	f(R10, V8, V9)  \
	f(R11, V10, V11) \
	f(R12, V12, V13) \
	f(R13, V14, V15)

#define TAPS9(f) \
	TAPS8(f)         \
	f(R14, V16, V17)

// POINT steps through the table at R22: the address of a tap from R2.
#define POINT(p, a, b) \
	MOVD.P 8(R22), p    \
	ADD    p<<2, R2, p

#define LOADSUM(p, a, b) \
	MOVD.P 8(R22), R23         \
	ADD    R23<<2, R0, R23     \
	VLD1   (R23), [a.S4, b.S4]

#define SAVESUM(p, a, b) \
	MOVD.P 8(R22), R23         \
	ADD    R23<<2, R0, R23     \
	VST1   [a.S4, b.S4], (R23)

#define NEXTROW(p, a, b) \
	ADD R20, p

#define INPUT(p, M, N) VLD1.P (p)(R3), [M.S4, N.S4]

#define GRAD(M, N, a, b) \
	VFMLA V18.S4, M.S4, a.S4 \
	VFMLA V19.S4, N.S4, b.S4

// PIXEL8 is a pixel of eight taps; loads run ahead of what uses them.
#define PIXEL8 \
	VLD1.P (R5)(R4), [V18.S4, V19.S4] \
	INPUT(R6, V20, V21)               \
	INPUT(R7, V22, V23)               \
	INPUT(R8, V24, V25)               \
	GRAD(V20, V21, V0, V1)            \
	INPUT(R9, V26, V27)               \
	GRAD(V22, V23, V2, V3)            \
	INPUT(R10, V20, V21)              \
	GRAD(V24, V25, V4, V5)            \
	INPUT(R11, V22, V23)              \
	GRAD(V26, V27, V6, V7)            \
	INPUT(R12, V24, V25)              \
	GRAD(V20, V21, V8, V9)            \
	INPUT(R13, V26, V27)              \
	GRAD(V22, V23, V10, V11)          \
	GRAD(V24, V25, V12, V13)          \
	GRAD(V26, V27, V14, V15)

#define PIXEL9 \
	PIXEL8                   \
	INPUT(R14, V20, V21)     \
	GRAD(V20, V21, V16, V17)

// TAPSGRAD adds to the sums of a group of taps; row and pixel are labels.
#define TAPSGRAD(TAPS, PIXEL, row, pixel) \
	MOVD woff+8(FP), R22  \
	TAPS(LOADSUM)         \
	MOVD xoff+40(FP), R22 \
	TAPS(POINT)           \
	MOVD R1, R5           \
	MOVD rows+80(FP), R19 \
row:                      \
	MOVD cols+88(FP), R15 \
pixel:                    \
	PIXEL                 \
	SUBS $1, R15          \
	BNE  pixel            \
	TAPS(NEXTROW)         \
	ADD  R21, R5          \
	SUBS $1, R19          \
	BNE  row              \
	MOVD woff+8(FP), R22  \
	TAPS(SAVESUM)

// func tapsGradVec(dw *float32, woff *int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, taps, rows, cols, c int)
//
// Eight channels at a time. R5 is the pixel of dy, R20 and R21 are the bytes
// from the end of a row to the next.
TEXT ·tapsGradVec(SB), NOSPLIT, $0-104
	MOVD dw+0(FP), R0
	MOVD dy+48(FP), R1
	MOVD x+16(FP), R2
	MOVD xCol+32(FP), R3
	MOVD dyCol+64(FP), R4
	LSL  $2, R3            // bytes
	LSL  $2, R4
	MOVD xRow+24(FP), R20
	MOVD dyRow+56(FP), R21
	LSL  $2, R20
	LSL  $2, R21
	MOVD cols+88(FP), R22
	MSUB R22, R20, R3, R20
	MSUB R22, R21, R4, R21
	MOVD c+96(FP), R24
	MOVD taps+72(FP), R25

tapsGradChannels:
	CMP $9, R25
	BEQ tapsGrad9
	TAPSGRAD(TAPS8, PIXEL8, tapsGrad8Row, tapsGrad8Pixel)
	B   tapsGradNext

tapsGrad9:
	TAPSGRAD(TAPS9, PIXEL9, tapsGrad9Row, tapsGrad9Pixel)

tapsGradNext:
	ADD  $32, R0
	ADD  $32, R1
	ADD  $32, R2
	SUBS $8, R24
	BNE  tapsGradChannels
	RET
