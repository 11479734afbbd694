// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_neon_arm64.h"

// NEON. Go's operand order: sources first, destination last, so
// VFMLA V1.S4, V2.S4, V0.S4 is V0 += V2·V1. Each function's loop is described
// at its declaration in loops_vector.go. Loads and stores step their address
// where they end in .P. R16…R18 and R26…R30 are left alone.

// OFFSET loads the offset of a pixel, ADDRESS its address from x at R20.
#define OFFSET(table, disp, p) \
	MOVD disp(table), p

#define ADDRESS(disp, p) \
	OFFSET(R14, disp, p) \
	ADD p<<2, R20, p

// MULTIPLY adds the weights V24…V27 times the element x to a pixel's sums.
#define MULTIPLY(x, s0, s1, s2, s3) \
	FMLA(0, x, 24, s0) \
	FMLA(0, x, 25, s1) \
	FMLA(0, x, 26, s2) \
	FMLA(0, x, 27, s3)

// MASK clears a pixel's sums where the mask at R6 is not above V28 = 0.
#define MASK(p, s0, s1, s2, s3) \
	ADD  p<<2, R6, R7                               \
	VLD1 (R7), [V24.S4, V25.S4, V26.S4, V27.S4]     \
	FCMGT(28, 24, 24)                               \
	FCMGT(28, 25, 25)                               \
	FCMGT(28, 26, 26)                               \
	FCMGT(28, 27, 27)                               \
	VAND V24.B16, s0.B16, s0.B16                    \
	VAND V25.B16, s1.B16, s1.B16                    \
	VAND V26.B16, s2.B16, s2.B16                    \
	VAND V27.B16, s3.B16, s3.B16

// RESIDUAL adds what is at R6 to a pixel's sums.
#define RESIDUAL(p, s0, s1, s2, s3) \
	ADD  p<<2, R6, R7                               \
	VLD1 (R7), [V24.S4, V25.S4, V26.S4, V27.S4]     \
	FADD(24, s0, s0)                                \
	FADD(25, s1, s1)                                \
	FADD(26, s2, s2)                                \
	FADD(27, s3, s3)

// STORE writes a pixel's sums, at least V28, to R6.
#define STORE(p, s0, s1, s2, s3) \
	ADD  p<<2, R6, R7                               \
	FMAX(28, s0, 24)                                \
	FMAX(28, s1, 25)                                \
	FMAX(28, s2, 26)                                \
	FMAX(28, s3, 27)                                \
	VST1 [V24.S4, V25.S4, V26.S4, V27.S4], (R7)

// func convVec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w, bias *float32, floor float32)
//
// V0…V23 are the sums of six pixels, R8…R13 the pixels' addresses, R1 the
// element index, R3 the weights.
TEXT ·convVec(SB), NOSPLIT, $0-100
	MOVD yoff+24(FP), R15
	MOVD x+32(FP), R20
	MOVD xoff+40(FP), R14
	MOVD tiles+48(FP), R19

convTile:
	ADDRESS(0, R8)
	ADDRESS(8, R9)
	ADDRESS(16, R10)
	ADDRESS(24, R11)
	ADDRESS(32, R12)
	ADDRESS(40, R13)
	ADD  $48, R14
	MOVD bias+88(FP), R6
	VLD1 (R6), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1 (R6), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1 (R6), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1 (R6), [V12.S4, V13.S4, V14.S4, V15.S4]
	VLD1 (R6), [V16.S4, V17.S4, V18.S4, V19.S4]
	VLD1 (R6), [V20.S4, V21.S4, V22.S4, V23.S4]
	MOVD w+80(FP), R3
	MOVD segs+56(FP), R4
	MOVD nsegs+64(FP), R5
	CBZ  R5, convSums

convSegment:
	MOVD.P 8(R4), R1           // first element
	MOVD   seglen+72(FP), R2
	ADD    R1, R2              // end

convElement:
	VLD1.P 64(R3), [V24.S4, V25.S4, V26.S4, V27.S4]
	FMOVS  (R8)(R1<<2), F28
	FMOVS  (R9)(R1<<2), F29
	FMOVS  (R10)(R1<<2), F30
	FMOVS  (R11)(R1<<2), F31
	MULTIPLY(28, 0, 1, 2, 3)
	FMOVS  (R12)(R1<<2), F28
	MULTIPLY(29, 4, 5, 6, 7)
	FMOVS  (R13)(R1<<2), F29
	MULTIPLY(30, 8, 9, 10, 11)
	MULTIPLY(31, 12, 13, 14, 15)
	MULTIPLY(28, 16, 17, 18, 19)
	MULTIPLY(29, 20, 21, 22, 23)
	ADD    $1, R1
	CMP    R2, R1
	BLT    convElement
	SUBS   $1, R5
	BNE    convSegment

convSums:
	OFFSET(R15, 0, R8)
	OFFSET(R15, 8, R9)
	OFFSET(R15, 16, R10)
	OFFSET(R15, 24, R11)
	OFFSET(R15, 32, R12)
	OFFSET(R15, 40, R13)
	ADD  $48, R15
	MOVD mask+8(FP), R6
	CBZ  R6, convResidual
	VEOR V28.B16, V28.B16, V28.B16
	MASK(R8, V0, V1, V2, V3)
	MASK(R9, V4, V5, V6, V7)
	MASK(R10, V8, V9, V10, V11)
	MASK(R11, V12, V13, V14, V15)
	MASK(R12, V16, V17, V18, V19)
	MASK(R13, V20, V21, V22, V23)

convResidual:
	MOVD residual+16(FP), R6
	CBZ  R6, convStore
	RESIDUAL(R8, 0, 1, 2, 3)
	RESIDUAL(R9, 4, 5, 6, 7)
	RESIDUAL(R10, 8, 9, 10, 11)
	RESIDUAL(R11, 12, 13, 14, 15)
	RESIDUAL(R12, 16, 17, 18, 19)
	RESIDUAL(R13, 20, 21, 22, 23)

convStore:
	MOVD  y+0(FP), R6
	FMOVS floor+96(FP), F28
	VDUP  V28.S[0], V28.S4
	STORE(R8, 0, 1, 2, 3)
	STORE(R9, 4, 5, 6, 7)
	STORE(R10, 8, 9, 10, 11)
	STORE(R11, 12, 13, 14, 15)
	STORE(R12, 16, 17, 18, 19)
	STORE(R13, 20, 21, 22, 23)
	SUBS  $1, R19
	BNE   convTile
	RET

// OUTER multiplies DY's V16…V19 by an element of the input V20.
#define OUTER(lane, s0, s1, s2, s3) \
	FMLA(lane, 20, 16, s0) \
	FMLA(lane, 20, 17, s1) \
	FMLA(lane, 20, 18, s2) \
	FMLA(lane, 20, 19, s3)

// func outerVec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)
//
// V0…V15 are a 4 × 16 tile of sums.
TEXT ·outerVec(SB), NOSPLIT, $0-80
	MOVD dw+0(FP), R0
	MOVD n+8(FP), R1
	MOVD x+16(FP), R2          // the tile's first element of the first pixel
	MOVD xRow+48(FP), R8
	MOVD xCol+56(FP), R9
	MOVD dyRow+64(FP), R10
	MOVD dyCol+72(FP), R11
	LSL  $2, R8                // bytes
	LSL  $2, R9
	LSL  $2, R10
	LSL  $2, R11

outerTile:
	MOVD   R0, R3
	VLD1.P 64(R3), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R3), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R3), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1   (R3), [V12.S4, V13.S4, V14.S4, V15.S4]
	MOVD   R2, R4              // this row of pixels
	MOVD   dy+24(FP), R5
	MOVD   rows+32(FP), R12

outerRow:
	MOVD R4, R6
	MOVD R5, R7
	MOVD cols+40(FP), R13

outerPixel:
	VLD1.P (R6)(R9), [V20.S4]
	VLD1.P (R7)(R11), [V16.S4, V17.S4, V18.S4, V19.S4]
	OUTER(0, 0, 1, 2, 3)
	OUTER(1, 4, 5, 6, 7)
	OUTER(2, 8, 9, 10, 11)
	OUTER(3, 12, 13, 14, 15)
	SUBS   $1, R13
	BNE    outerPixel
	ADD    R8, R4
	ADD    R10, R5
	SUBS   $1, R12
	BNE    outerRow
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R0)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R0)
	VST1.P [V12.S4, V13.S4, V14.S4, V15.S4], 64(R0)
	ADD    $16, R2             // four elements
	SUBS   $4, R1
	BNE    outerTile
	RET

// func reduceVec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)
//
// Eight channels at a time. V0, V1 and V2, V3 are the sums of even and odd
// rows, V4…V7 the dots; V16, V17 are ku, V18, V19 kv, V20 floor.
TEXT ·reduceVec(SB), NOSPLIT, $0-88
	MOVD  sum+0(FP), R0
	MOVD  dot+8(FP), R1
	MOVD  u+16(FP), R2
	MOVD  ku+24(FP), R3
	MOVD  v+32(FP), R4
	MOVD  kv+40(FP), R5
	MOVD  c+64(FP), R6
	MOVD  uRow+72(FP), R7
	MOVD  vRow+80(FP), R8
	LSL   $2, R7              // bytes
	LSL   $2, R8
	FMOVS floor+48(FP), F20
	VDUP  V20.S[0], V20.S4

reduceChannels:
	VLD1.P 32(R3), [V16.S4, V17.S4]
	VLD1.P 32(R5), [V18.S4, V19.S4]
	VEOR   V0.B16, V0.B16, V0.B16
	VEOR   V1.B16, V1.B16, V1.B16
	VEOR   V2.B16, V2.B16, V2.B16
	VEOR   V3.B16, V3.B16, V3.B16
	VEOR   V4.B16, V4.B16, V4.B16
	VEOR   V5.B16, V5.B16, V5.B16
	VEOR   V6.B16, V6.B16, V6.B16
	VEOR   V7.B16, V7.B16, V7.B16
	MOVD   R2, R9
	MOVD   R4, R10
	MOVD   rows+56(FP), R11
	SUBS   $2, R11
	BLT    reduceLast

reduceTwo:
	VLD1.P (R9)(R7), [V24.S4, V25.S4]
	VLD1.P (R10)(R8), [V26.S4, V27.S4]
	VLD1.P (R9)(R7), [V28.S4, V29.S4]
	VLD1.P (R10)(R8), [V30.S4, V31.S4]
	FSUB(16, 24, 24)
	FSUB(17, 25, 25)
	FSUB(16, 28, 28)
	FSUB(17, 29, 29)
	FMAX(20, 26, 26)
	FMAX(20, 27, 27)
	FMAX(20, 30, 30)
	FMAX(20, 31, 31)
	FSUB(18, 26, 26)
	FSUB(19, 27, 27)
	FSUB(18, 30, 30)
	FSUB(19, 31, 31)
	FADD(24, 0, 0)
	FADD(25, 1, 1)
	FADD(28, 2, 2)
	FADD(29, 3, 3)
	VFMLA  V24.S4, V26.S4, V4.S4
	VFMLA  V25.S4, V27.S4, V5.S4
	VFMLA  V28.S4, V30.S4, V6.S4
	VFMLA  V29.S4, V31.S4, V7.S4
	SUBS   $2, R11
	BGE    reduceTwo

reduceLast:
	ADDS  $2, R11             // rows left
	BEQ   reduceSum
	VLD1  (R9), [V24.S4, V25.S4]
	VLD1  (R10), [V26.S4, V27.S4]
	FSUB(16, 24, 24)
	FSUB(17, 25, 25)
	FMAX(20, 26, 26)
	FMAX(20, 27, 27)
	FSUB(18, 26, 26)
	FSUB(19, 27, 27)
	FADD(24, 0, 0)
	FADD(25, 1, 1)
	VFMLA V24.S4, V26.S4, V4.S4
	VFMLA V25.S4, V27.S4, V5.S4

reduceSum:
	VLD1   (R0), [V24.S4, V25.S4]
	VLD1   (R1), [V26.S4, V27.S4]
	FADD(2, 0, 0)
	FADD(3, 1, 1)
	FADD(6, 4, 4)
	FADD(7, 5, 5)
	FADD(24, 0, 0)
	FADD(25, 1, 1)
	FADD(26, 4, 4)
	FADD(27, 5, 5)
	VST1.P [V0.S4, V1.S4], 32(R0)
	VST1.P [V4.S4, V5.S4], 32(R1)
	ADD    $32, R2
	ADD    $32, R4
	SUBS   $8, R6
	BNE    reduceChannels
	RET

// func affineVec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)
TEXT ·affineVec(SB), NOSPLIT, $0-65
	MOVD  y+0(FP), R0
	MOVD  x+8(FP), R1
	FMOVS floor+32(FP), F6
	VDUP  V6.S[0], V6.S4
	MOVD  rows+40(FP), R4
	MOVD  c+48(FP), R5
	MOVD  row+56(FP), R6
	SUB   R5, R6
	LSL   $2, R6              // bytes from the end of a row to the next
	MOVBU add+64(FP), R7

affineRow:
	MOVD scale+16(FP), R2
	MOVD shift+24(FP), R3
	MOVD R5, R8

affineChannels:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	VLD1.P 32(R2), [V2.S4, V3.S4]
	VLD1.P 32(R3), [V4.S4, V5.S4]
	VFMLA  V2.S4, V0.S4, V4.S4
	VFMLA  V3.S4, V1.S4, V5.S4
	CBZ    R7, affineStore
	VLD1   (R0), [V0.S4, V1.S4]
	FADD(0, 4, 4)
	FADD(1, 5, 5)

affineStore:
	FMAX(6, 4, 4)
	FMAX(6, 5, 5)
	VST1.P [V4.S4, V5.S4], 32(R0)
	SUBS   $8, R8
	BNE    affineChannels
	ADD    R6, R0
	ADD    R6, R1
	SUBS   $1, R4
	BNE    affineRow
	RET

// func affine2Vec(y, u, v, a, b, d *float32, rows, c, row int, add bool)
TEXT ·affine2Vec(SB), NOSPLIT, $0-73
	MOVD  y+0(FP), R0
	MOVD  u+8(FP), R1
	MOVD  v+16(FP), R2
	MOVD  rows+48(FP), R6
	MOVD  c+56(FP), R7
	MOVD  row+64(FP), R8
	SUB   R7, R8
	LSL   $2, R8              // bytes from the end of a row to the next
	MOVBU add+72(FP), R9

affine2Row:
	MOVD a+24(FP), R3
	MOVD b+32(FP), R4
	MOVD d+40(FP), R5
	MOVD R7, R10

affine2Channels:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	VLD1.P 32(R2), [V2.S4, V3.S4]
	VLD1.P 32(R3), [V4.S4, V5.S4]
	VLD1.P 32(R4), [V6.S4, V7.S4]
	VLD1.P 32(R5), [V16.S4, V17.S4]
	VFMLA  V6.S4, V2.S4, V16.S4
	VFMLA  V7.S4, V3.S4, V17.S4
	VFMLA  V4.S4, V0.S4, V16.S4
	VFMLA  V5.S4, V1.S4, V17.S4
	CBZ    R9, affine2Store
	VLD1   (R0), [V0.S4, V1.S4]
	FADD(0, 16, 16)
	FADD(1, 17, 17)

affine2Store:
	VST1.P [V16.S4, V17.S4], 32(R0)
	SUBS   $8, R10
	BNE    affine2Channels
	ADD    R8, R0
	ADD    R8, R1
	ADD    R8, R2
	SUBS   $1, R6
	BNE    affine2Row
	RET

// func reluVec(y, x *float32, n int)
TEXT ·reluVec(SB), NOSPLIT, $0-24
	MOVD y+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V2.B16, V2.B16, V2.B16

reluLoop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	FMAX(2, 0, 0)
	FMAX(2, 1, 1)
	VST1.P [V0.S4, V1.S4], 32(R0)
	SUBS   $8, R2
	BNE    reluLoop
	RET

// func reluGradVec(dx, x, dy *float32, n int, add bool)
TEXT ·reluGradVec(SB), NOSPLIT, $0-33
	MOVD  dx+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  dy+16(FP), R2
	MOVD  n+24(FP), R3
	MOVBU add+32(FP), R4
	VEOR  V4.B16, V4.B16, V4.B16

reluGradLoop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	VLD1.P 32(R2), [V2.S4, V3.S4]
	FCMGT(4, 0, 0)            // x > 0, false for NaN
	FCMGT(4, 1, 1)
	VAND   V0.B16, V2.B16, V2.B16
	VAND   V1.B16, V3.B16, V3.B16
	CBZ    R4, reluGradStore
	VLD1   (R0), [V0.S4, V1.S4]
	FADD(0, 2, 2)
	FADD(1, 3, 3)

reluGradStore:
	VST1.P [V2.S4, V3.S4], 32(R0)
	SUBS   $8, R3
	BNE    reluGradLoop
	RET

// func addVec(y, a, b *float32, floor float32, n int)
TEXT ·addVec(SB), NOSPLIT, $0-40
	MOVD  y+0(FP), R0
	MOVD  a+8(FP), R1
	MOVD  b+16(FP), R2
	FMOVS floor+24(FP), F4
	VDUP  V4.S[0], V4.S4
	MOVD  n+32(FP), R3

addLoop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	VLD1.P 32(R2), [V2.S4, V3.S4]
	FADD(2, 0, 0)
	FADD(3, 1, 1)
	FMAX(4, 0, 0)
	FMAX(4, 1, 1)
	VST1.P [V0.S4, V1.S4], 32(R0)
	SUBS   $8, R3
	BNE    addLoop
	RET

// VALUE is the weighted sum of the next pixel of the three rows, in V4, V5.
#define VALUE \
	VLD1.P (R1)(R4), [V20.S4, V21.S4] \
	VLD1.P (R2)(R4), [V22.S4, V23.S4] \
	VLD1.P (R3)(R4), [V24.S4, V25.S4] \
	FMUL(0, 16, 20, 4)                \
	FMUL(0, 16, 21, 5)                \
	FMLA(0, 17, 22, 4)                \
	FMLA(0, 17, 23, 5)                \
	FMLA(0, 18, 24, 4)                \
	FMLA(0, 18, 25, 5)

// EDGE multiplies V4, V5 by pre.
#define EDGE \
	FMUL(0, 19, 4, 4) \
	FMUL(0, 19, 5, 5)

// func boxVec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)
//
// Eight channels at a time; V0, V1 are v(i−1), V2, V3 v(i) and V4, V5 v(i+1),
// each computed once. V16…V19 start with wa, wb, wd and pre, V28 with post and
// V29 with 1; V30 is V28 for the first and last pixel, else V29.
TEXT ·boxVec(SB), NOSPLIT, $0-81
	MOVD  y+0(FP), R0
	MOVD  a+8(FP), R1
	MOVD  b+16(FP), R2
	MOVD  d+24(FP), R3
	FMOVS wa+32(FP), F16
	FMOVS wb+36(FP), F17
	FMOVS wd+40(FP), F18
	FMOVS pre+44(FP), F19
	FMOVS post+48(FP), F28
	FMOVS $1.0, F29
	MOVD  cols+56(FP), R5
	MOVD  c+64(FP), R6
	MOVD  col+72(FP), R4
	LSL   $2, R4              // bytes
	MUL   R4, R5, R7
	SUB   $32, R7             // bytes back to the next channels
	MOVBU add+80(FP), R8

boxChannels:
	VEOR  V0.B16, V0.B16, V0.B16
	VEOR  V1.B16, V1.B16, V1.B16
	VALUE
	EDGE
	VMOV  V4.B16, V2.B16
	VMOV  V5.B16, V3.B16
	FMOVS F28, F30
	MOVD  R5, R9              // pixels left, with this one

boxPixel:
	CMP  $2, R9
	BLT  boxLast
	VALUE
	BNE  boxSum               // the pixel to the right is no edge
	EDGE
	B    boxSum

boxLast:
	VEOR  V4.B16, V4.B16, V4.B16
	VEOR  V5.B16, V5.B16, V5.B16
	FMOVS F28, F30

boxSum:
	FADD(2, 0, 0)
	FADD(3, 1, 1)
	FADD(4, 0, 0)
	FADD(5, 1, 1)
	VEOR V20.B16, V20.B16, V20.B16
	VEOR V21.B16, V21.B16, V21.B16
	CBZ  R8, boxStore
	VLD1 (R0), [V20.S4, V21.S4]

boxStore:
	FMLA(0, 30, 0, 20)
	FMLA(0, 30, 1, 21)
	VST1.P [V20.S4, V21.S4], (R0)(R4)
	VMOV   V2.B16, V0.B16
	VMOV   V3.B16, V1.B16
	VMOV   V4.B16, V2.B16
	VMOV   V5.B16, V3.B16
	FMOVS  F29, F30
	SUBS   $1, R9
	BNE    boxPixel
	SUB    R7, R0
	SUB    R7, R1
	SUB    R7, R2
	SUB    R7, R3
	SUBS   $8, R6
	BNE    boxChannels
	RET
