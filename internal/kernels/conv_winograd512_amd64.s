// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// Minimal filtering with AVX-512; conv_winograd_amd64.h has the transforms.

#define WIDTH 64
#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V13 Z13
#define V14 Z14
#define V15 Z15

#include "conv_winograd_amd64.h"

#define ZERO(v) \
	VPXORD v, v, v

#define MASKED(at, v) \
	VCMPPS    $0x11, at, V8, K1 \ // 0 < mask, false for NaN
	VMOVUPS.Z v, K1, v

#define TWELVE(f) \
	f(R8, Z0, Z1) \
	f(R9, Z2, Z3) \
	f(R10, Z4, Z5) \
	f(R11, Z6, Z7) \
	f(R12, Z8, Z9) \
	f(R13, Z10, Z11) \
	f(R14, Z12, Z13) \
	f(R15, Z14, Z15) \
	f(BX, Z16, Z17) \
	f(DX, Z18, Z19) \
	f(SI, Z20, Z21) \
	f(BP, Z22, Z23)

// TWELVEROWS are the addresses of twelve rows, CX bytes apart, from AX on.
#define TWELVEROWS \
	MOVQ AX, R8             \
	LEAQ (R8)(CX*1), R9     \
	LEAQ (R8)(CX*2), R10    \
	LEAQ (R9)(CX*2), R11    \
	LEAQ (R8)(CX*4), R12    \
	LEAQ (R9)(CX*4), R13    \
	LEAQ (R10)(CX*4), R14   \
	LEAQ (R11)(CX*4), R15   \
	LEAQ (R8)(CX*8), BX     \
	LEAQ (R9)(CX*8), DX     \
	LEAQ (R10)(CX*8), SI    \
	LEAQ (R11)(CX*8), BP

#define CLEAR1(p, v0, v1) \
	VPXORD v0, v0, v0

#define CLEAR2(p, v0, v1) \
	VPXORD v0, v0, v0 \
	VPXORD v1, v1, v1

#define MULTIPLY1(p, v0, v1) \
	VFMADD231PS.BCST (p)(AX*4), Z24, v0

#define MULTIPLY2(p, v0, v1) \
	VBROADCASTSS (p)(AX*4), Z26 \
	VFMADD231PS  Z24, Z26, v0   \
	VFMADD231PS  Z25, Z26, v1

#define SAVE1(p, v0, v1) \
	VMOVUPS v0, (p)

#define SAVE2(p, v0, v1) \
	VMOVUPS v0, (p)   \
	VMOVUPS v1, 64(p)

// PRODUCTROWS takes all rows, twelve at a time, times the columns at column-32(SP).
#define PRODUCTROWS(CLEAR, LOAD, MULTIPLY, SAVE, twelve, element) \
	MOVQ rows+32(FP), AX      \
	MOVQ AX, rowsLeft-16(SP)  \
	MOVQ x+8(FP), AX          \
	MOVQ AX, xRows-24(SP)     \
	MOVQ column-32(SP), AX    \
	ADDQ y+0(FP), AX          \
	MOVQ AX, yRows-40(SP)     \
twelve:                       \
	MOVQ depth+40(FP), CX     \
	SHLQ $2, CX               \
	MOVQ xRows-24(SP), AX     \
	ADDQ CX, AX               \
	TWELVEROWS                \
	MOVQ BP, xRows-24(SP)     \
	TWELVE(CLEAR)             \
	MOVQ w+16(FP), DI         \
	ADDQ column-32(SP), DI    \
	MOVQ cols+48(FP), CX      \
	SHLQ $2, CX               \
	MOVQ depth+40(FP), AX     \
	NEGQ AX                   \
element:                      \
	LOAD                      \
	TWELVE(MULTIPLY)          \
	ADDQ CX, DI               \
	INCQ AX                   \
	JNZ  element              \
	MOVQ yRows-40(SP), AX     \
	TWELVEROWS                \
	TWELVE(SAVE)              \
	ADDQ CX, BP               \
	MOVQ BP, yRows-40(SP)     \
	SUBQ $12, rowsLeft-16(SP) \
	JNZ  twelve

#define WEIGHTS1 \
	VMOVUPS (DI), Z24

#define WEIGHTS2 \
	VMOVUPS (DI), Z24   \
	VMOVUPS 64(DI), Z25

// EIGHTROWS are the addresses of eight rows, CX bytes apart, from AX on.
#define EIGHTROWS \
	MOVQ AX, R8             \
	LEAQ (R8)(CX*1), R9     \
	LEAQ (R8)(CX*2), R10    \
	LEAQ (R9)(CX*2), R11    \
	LEAQ (R8)(CX*4), R12    \
	LEAQ (R9)(CX*4), R13    \
	LEAQ (R10)(CX*4), R14   \
	LEAQ (R11)(CX*4), R15

// EIGHT has eight rows of two, or 16 of one: the second half CX·8 bytes on.
#define EIGHT(f) \
	f(R8, 0, Z0, Z1)    \
	f(R9, 1, Z2, Z3)    \
	f(R10, 2, Z4, Z5)   \
	f(R11, 3, Z6, Z7)   \
	f(R12, 4, Z8, Z9)   \
	f(R13, 5, Z10, Z11) \
	f(R14, 6, Z12, Z13) \
	f(R15, 7, Z14, Z15)

#define GRADCLEAR(p, i, v0, v1) \
	VPXORD v0, v0, v0 \
	VPXORD v1, v1, v1

#define GRADLOAD2(p, i, v0, v1) \
	VMOVUPS (p), v0   \
	VMOVUPS 64(p), v1

#define GRADSAVE2(p, i, v0, v1) \
	VMOVUPS v0, (p)   \
	VMOVUPS v1, 64(p)

#define GRADLOAD1(p, i, v0, v1) \
	VMOVUPS (p), v0       \
	VMOVUPS (p)(CX*8), v1

#define GRADSAVE1(p, i, v0, v1) \
	VMOVUPS v0, (p)       \
	VMOVUPS v1, (p)(CX*8)

#define GRADWEIGHTS1 \
	VMOVUPS (DX), Z24

#define GRADWEIGHTS2 \
	VMOVUPS (DX), Z24   \
	VMOVUPS 64(DX), Z25

#define GRADMULTIPLY1(p, i, v0, v1) \
	VFMADD231PS.BCST (4*i)(SI), Z24, v0    \
	VFMADD231PS.BCST (4*i+32)(SI), Z24, v1

#define GRADMULTIPLY2(p, i, v0, v1) \
	VBROADCASTSS (4*i)(SI), Z26 \
	VFMADD231PS  Z24, Z26, v0   \
	VFMADD231PS  Z25, Z26, v1

// GRADROWS takes all rows of dw, STEP bytes of x at a time, in the columns at BP.
#define GRADROWS(STEP, LOAD, WEIGHTS, MULTIPLY, SAVE, rows, sum, element) \
	XORQ  DI, DI             \ // row of dw, in bytes of x
rows:                        \
	MOVQ  DI, AX             \
	IMULQ out+48(FP), AX     \
	ADDQ  BP, AX             \
	ADDQ  dw+0(FP), AX       \
	EIGHTROWS                \
	EIGHT(GRADCLEAR)         \
	CMPB  add+72(FP), $0     \
	JEQ   sum                \
	EIGHT(LOAD)              \
sum:                         \
	MOVQ  x+8(FP), SI        \
	ADDQ  DI, SI             \
	MOVQ  dy+16(FP), DX      \
	ADDQ  BP, DX             \
	MOVQ  rows+32(FP), AX    \
element:                     \
	WEIGHTS                  \
	EIGHT(MULTIPLY)          \
	ADDQ  BX, SI             \
	ADDQ  CX, DX             \
	DECQ  AX                 \
	JNZ   element            \
	EIGHT(SAVE)              \
	ADDQ  $STEP, DI          \
	CMPQ  DI, BX             \
	JLT   rows

// func inputPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, floor float32)
TEXT ·inputPoints512Vec(SB), NOSPLIT, $0-60
	BEGIN
	INPUTCONSTANTS
	VBROADCASTSS floor+56(FP), V9
	PLANES(INPUT)

// func weightPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·weightPoints512Vec(SB), NOSPLIT, $0-56
	BEGIN
	WEIGHTCONSTANTS
	PLANES(WEIGHT)

// func weightTaps512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·weightTaps512Vec(SB), NOSPLIT, $0-56
	BEGIN
	TAPSCONSTANTS
	PLANES(TAPS)

// func outputPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)
TEXT ·outputPoints512Vec(SB), NOSPLIT, $0-56
	BEGIN
	GRADCONSTANTS
	PLANES(GRAD)

// func outputTile512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, mask, residual, bias *float32, taps int, floor float32)
TEXT ·outputTile512Vec(SB), NOSPLIT, $16-92
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

// func product512Vec(y, x, w *float32, points, rows, depth, cols, xPoint, yPoint int)
//
// The sums of twelve rows and 32 or 16 columns; R8…R15, BX, DX, SI, BP are the
// ends of the rows of x, AX counts up to these; DI are the weights. Broadcasts
// that serve two columns are loaded once.
TEXT ·product512Vec(SB), NOSPLIT, $40-72
product512Point:
	MOVQ cols+48(FP), AX
	MOVQ AX, left-8(SP)
	MOVQ $0, column-32(SP)

product512Columns:
	SUBQ $32, left-8(SP)
	JLT  product512Last
	PRODUCTROWS(CLEAR2, WEIGHTS2, MULTIPLY2, SAVE2, product512Two, product512TwoElement)
	ADDQ $128, column-32(SP)
	JMP  product512Columns

product512Last:
	CMPQ left-8(SP), $-32
	JEQ  product512Next
	PRODUCTROWS(CLEAR1, WEIGHTS1, MULTIPLY1, SAVE1, product512One, product512OneElement)

product512Next:
	MOVQ  xPoint+56(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, x+8(FP)
	MOVQ  yPoint+64(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, y+0(FP)
	MOVQ  depth+40(FP), AX
	IMULQ cols+48(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, w+16(FP)
	DECQ  points+24(FP)
	JNZ   product512Point
	VZEROUPPER
	RET

// func productGrad512Vec(dw, x, dy *float32, points, rows, in, out, xPoint, dyPoint int, add bool)
//
// Z0…Z15 are the sums of eight rows and 32 columns, or of 16 and 16.
TEXT ·productGrad512Vec(SB), NOSPLIT, $8-73
	MOVQ in+40(FP), BX
	SHLQ $2, BX              // bytes
	MOVQ out+48(FP), CX
	SHLQ $2, CX

grad512Point:
	XORQ BP, BP              // column, in bytes

grad512Columns:
	LEAQ 128(BP), AX
	CMPQ AX, CX
	JGT  grad512Last
	GRADROWS(32, GRADLOAD2, GRADWEIGHTS2, GRADMULTIPLY2, GRADSAVE2, grad512Two, grad512TwoSum, grad512TwoElement)
	ADDQ $128, BP
	JMP  grad512Columns

grad512Last:
	CMPQ BP, CX
	JEQ  grad512Next
	GRADROWS(64, GRADLOAD1, GRADWEIGHTS1, GRADMULTIPLY1, GRADSAVE1, grad512One, grad512OneSum, grad512OneElement)

grad512Next:
	MOVQ  xPoint+56(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, x+8(FP)
	MOVQ  dyPoint+64(FP), AX
	SHLQ  $2, AX
	ADDQ  AX, dy+16(FP)
	MOVQ  in+40(FP), AX
	IMULQ CX, AX
	ADDQ  AX, dw+0(FP)
	DECQ  points+24(FP)
	JNZ   grad512Point
	VZEROUPPER
	RET
