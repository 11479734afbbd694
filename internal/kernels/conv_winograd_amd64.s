// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// Minimal filtering with AVX2 + FMA; conv_winograd_amd64.h has the transforms.

#define WIDTH 32
#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V13 Y13
#define V14 Y14
#define V15 Y15

#include "conv_winograd_amd64.h"

#define ZERO(v) \
	VXORPS v, v, v

#define MASKED(at, v) \
	VCMPPS $0x11, at, V8, V1 \ // 0 < mask, false for NaN
	VANDPS V1, v, v

// func inputPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, floor float32)
TEXT ·inputPointsVec(SB), NOSPLIT, $0-60
	BEGIN
	INPUTCONSTANTS
	VBROADCASTSS floor+56(FP), V9
	PLANES(INPUT)

// func weightPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·weightPointsVec(SB), NOSPLIT, $0-56
	BEGIN
	WEIGHTCONSTANTS
	PLANES(WEIGHT)

// func weightTapsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·weightTapsVec(SB), NOSPLIT, $0-56
	BEGIN
	TAPSCONSTANTS
	PLANES(TAPS)

// func outputPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·outputPointsVec(SB), NOSPLIT, $0-56
	BEGIN
	GRADCONSTANTS
	PLANES(GRAD)

// func outputTileVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, mask, residual, bias *float32, taps int, floor float32)
TEXT ·outputTileVec(SB), NOSPLIT, $16-92
	BEGIN
	GRADCONSTANTS
	VBROADCASTSS floor+88(FP), V9
	MOVQ         mask+56(FP), AX
	SUBQ         y+0(FP), AX
	MOVQ         AX, maskAt-8(SP)
	MOVQ         residual+64(FP), AX
	SUBQ         y+0(FP), AX
	MOVQ         AX, residualAt-16(SP)
	PLANES(TILE)

// PRODUCT2 multiplies the weights Y12, Y13 by element AX of two rows and adds to
// the four sums of these.
#define PRODUCT2(p, q, p0, p1, q0, q1) \
	VBROADCASTSS (p)(AX*4), Y14 \
	VBROADCASTSS (q)(AX*4), Y15 \
	VFMADD231PS  Y12, Y14, p0   \
	VFMADD231PS  Y13, Y14, p1   \
	VFMADD231PS  Y12, Y15, q0   \
	VFMADD231PS  Y13, Y15, q1

// SIXROWS are the addresses of six rows, CX bytes apart, from AX on.
#define SIXROWS \
	MOVQ AX, R8             \
	LEAQ (R8)(CX*1), R9     \
	LEAQ (R8)(CX*2), R10    \
	LEAQ (R9)(CX*2), R11    \
	LEAQ (R8)(CX*4), R12    \
	LEAQ (R9)(CX*4), R13

#define CLEAR(v) \
	VXORPS v, v, v

#define SAVE2(p, v0, v1) \
	VMOVUPS v0, (p)   \
	VMOVUPS v1, 32(p)

// func productVec(y, x, w *float32, points, rows, depth, cols, xPoint, yPoint int)
//
// Y0…Y11 are the sums of six rows and 16 columns, R8…R13 the ends of the rows
// of x, AX counts up to these; DI are the weights, BX and SI the column's y and w.
TEXT ·productVec(SB), NOSPLIT, $32-72
productPoint:
	MOVQ cols+48(FP), AX
	MOVQ AX, left-8(SP)
	MOVQ y+0(FP), BX
	MOVQ w+16(FP), SI

productColumns:
	MOVQ rows+32(FP), AX
	MOVQ AX, rowsLeft-16(SP)
	MOVQ x+8(FP), AX
	MOVQ AX, xRows-24(SP)
	MOVQ BX, yRows-32(SP)

productRows:
	MOVQ xRows-24(SP), AX
	MOVQ depth+40(FP), R14
	MOVQ R14, CX
	SHLQ $2, CX
	ADDQ CX, AX
	SIXROWS
	MOVQ R13, xRows-24(SP)   // where the next six rows start
	CLEAR(Y0)
	CLEAR(Y1)
	CLEAR(Y2)
	CLEAR(Y3)
	CLEAR(Y4)
	CLEAR(Y5)
	CLEAR(Y6)
	CLEAR(Y7)
	CLEAR(Y8)
	CLEAR(Y9)
	CLEAR(Y10)
	CLEAR(Y11)
	MOVQ SI, DI
	MOVQ cols+48(FP), CX
	SHLQ $2, CX
	MOVQ R14, AX
	NEGQ AX

productElement:
	VMOVUPS (DI), Y12
	VMOVUPS 32(DI), Y13
	PRODUCT2(R8, R9, Y0, Y1, Y2, Y3)
	PRODUCT2(R10, R11, Y4, Y5, Y6, Y7)
	PRODUCT2(R12, R13, Y8, Y9, Y10, Y11)
	ADDQ    CX, DI
	INCQ    AX
	JNZ     productElement
	MOVQ    yRows-32(SP), AX
	SIXROWS
	SAVE2(R8, Y0, Y1)
	SAVE2(R9, Y2, Y3)
	SAVE2(R10, Y4, Y5)
	SAVE2(R11, Y6, Y7)
	SAVE2(R12, Y8, Y9)
	SAVE2(R13, Y10, Y11)
	ADDQ    CX, R13
	MOVQ    R13, yRows-32(SP)
	SUBQ    $6, rowsLeft-16(SP)
	JNZ     productRows
	ADDQ    $64, BX
	ADDQ    $64, SI
	SUBQ    $16, left-8(SP)
	JNZ     productColumns
	MOVQ    xPoint+56(FP), AX
	SHLQ    $2, AX
	ADDQ    AX, x+8(FP)
	MOVQ    yPoint+64(FP), AX
	SHLQ    $2, AX
	ADDQ    AX, y+0(FP)
	MOVQ    depth+40(FP), AX
	IMULQ   CX, AX
	ADDQ    AX, w+16(FP)
	DECQ    points+24(FP)
	JNZ     productPoint
	VZEROUPPER
	RET

#define GRADROW(disp, t, v0, v1) \
	VBROADCASTSS disp(SI), t   \
	VFMADD231PS  Y12, t, v0    \
	VFMADD231PS  Y13, t, v1

// func productGradVec(dw, x, dy *float32, points, rows, in, out, xPoint, dyPoint int, add bool)
//
// Y0…Y7 are four rows of 16 sums, at R8…R11.
TEXT ·productGradVec(SB), NOSPLIT, $0-73
	MOVQ in+40(FP), BX
	SHLQ $2, BX              // bytes
	MOVQ out+48(FP), CX
	SHLQ $2, CX

gradPoint:
	XORQ R13, R13            // column

gradColumns:
	XORQ R12, R12            // row

gradRows:
	MOVQ  R12, AX
	IMULQ out+48(FP), AX     // R12 is bytes
	ADDQ  R13, AX
	ADDQ  dw+0(FP), AX
	MOVQ  AX, R8
	LEAQ  (R8)(CX*1), R9
	LEAQ  (R8)(CX*2), R10
	LEAQ  (R9)(CX*2), R11
	CLEAR(Y0)
	CLEAR(Y1)
	CLEAR(Y2)
	CLEAR(Y3)
	CLEAR(Y4)
	CLEAR(Y5)
	CLEAR(Y6)
	CLEAR(Y7)
	CMPB  add+72(FP), $0
	JEQ   gradSum
	VMOVUPS (R8), Y0
	VMOVUPS 32(R8), Y1
	VMOVUPS (R9), Y2
	VMOVUPS 32(R9), Y3
	VMOVUPS (R10), Y4
	VMOVUPS 32(R10), Y5
	VMOVUPS (R11), Y6
	VMOVUPS 32(R11), Y7

gradSum:
	MOVQ x+8(FP), SI
	ADDQ R12, SI
	MOVQ dy+16(FP), DX
	ADDQ R13, DX
	MOVQ rows+32(FP), AX

gradElement:
	VMOVUPS (DX), Y12
	VMOVUPS 32(DX), Y13
	GRADROW(0, Y14, Y0, Y1)
	GRADROW(4, Y15, Y2, Y3)
	GRADROW(8, Y14, Y4, Y5)
	GRADROW(12, Y15, Y6, Y7)
	ADDQ    BX, SI
	ADDQ    CX, DX
	DECQ    AX
	JNZ     gradElement
	SAVE2(R8, Y0, Y1)
	SAVE2(R9, Y2, Y3)
	SAVE2(R10, Y4, Y5)
	SAVE2(R11, Y6, Y7)
	ADDQ    $16, R12
	CMPQ    R12, BX
	JLT     gradRows
	ADDQ    $64, R13
	CMPQ    R13, CX
	JLT     gradColumns
	MOVQ    xPoint+56(FP), AX
	SHLQ    $2, AX
	ADDQ    AX, x+8(FP)
	MOVQ    dyPoint+64(FP), AX
	SHLQ    $2, AX
	ADDQ    AX, dy+16(FP)
	MOVQ    in+40(FP), AX
	IMULQ   CX, AX
	ADDQ    AX, dw+0(FP)
	DECQ    points+24(FP)
	JNZ     gradPoint
	VZEROUPPER
	RET
