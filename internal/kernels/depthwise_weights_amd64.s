// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// The weight gradient of depthwise convolutions, AVX2 and AVX-512:
// micro.tapsGrad, described in loops.go. Operands are as in loops_amd64.s.

// OFFSETS8 and OFFSETS9 load so many taps' offsets from SI, in bytes.
#define OFFSET(disp, p) \
	MOVQ disp(SI), p \
	SHLQ $2, p

#define OFFSETS8 \
	OFFSET(0, AX)   \
	OFFSET(8, BX)   \
	OFFSET(16, R8)  \
	OFFSET(24, R9)  \
	OFFSET(32, R10) \
	OFFSET(40, R11) \
	OFFSET(48, R12) \
	OFFSET(56, R13)

#define OFFSETS9 \
	OFFSETS8        \
	OFFSET(64, R14)

// TAPSGRAD adds to the sums of a group of taps: OFFSETS are theirs, SUMS
// applies a macro to their offsets and sums, LOAD and SAVE move a sum, OUTPUT
// loads DY from DX and GRAD adds a product. row and pixel are labels.
#define TAPSGRAD(OFFSETS, SUMS, LOAD, SAVE, OUTPUT, GRAD, row, pixel) \
	MOVQ woff+8(FP), SI     \
	OFFSETS                 \
	MOVQ dw+0(FP), DI       \
	SUMS(LOAD)              \
	MOVQ xoff+40(FP), SI    \
	OFFSETS                 \
	MOVQ x+16(FP), SI       \
	MOVQ dy+48(FP), DX      \
	MOVQ dyBytes-32(SP), DI \
	MOVQ rows+80(FP), CX    \
	MOVQ CX, left-8(SP)     \
row:                        \
	MOVQ cols+88(FP), CX    \
pixel:                      \
	OUTPUT                  \
	SUMS(GRAD)              \
	ADDQ R15, SI            \
	ADDQ DI, DX             \
	DECQ CX                 \
	JNZ  pixel              \
	ADDQ xSkip-16(SP), SI   \
	ADDQ dySkip-24(SP), DX  \
	DECQ left-8(SP)         \
	JNZ  row                \
	MOVQ woff+8(FP), SI     \
	OFFSETS                 \
	MOVQ dw+0(FP), DI       \
	SUMS(SAVE)

// STEPS sets the distances of pixels and from the end of a row to the next, in bytes.
#define STEPS \
	MOVQ  xCol+32(FP), R15   \
	MOVQ  xRow+24(FP), AX    \
	MOVQ  cols+88(FP), CX    \
	MOVQ  CX, BX             \
	IMULQ R15, BX            \
	SUBQ  BX, AX             \
	SHLQ  $2, AX             \
	MOVQ  AX, xSkip-16(SP)   \
	SHLQ  $2, R15            \
	MOVQ  dyCol+64(FP), DX   \
	MOVQ  dyRow+56(FP), AX   \
	IMULQ DX, CX             \
	SUBQ  CX, AX             \
	SHLQ  $2, AX             \
	MOVQ  AX, dySkip-24(SP)  \
	SHLQ  $2, DX             \
	MOVQ  DX, dyBytes-32(SP)

#define SUMS8(f) \
	f(AX, Y0)  \
	f(BX, Y1)  \
	f(R8, Y2)  \
	f(R9, Y3)  \
	f(R10, Y4) \
	f(R11, Y5) \
	f(R12, Y6) \
	f(R13, Y7)

#define SUMS9(f) \
	SUMS8(f)   \
	f(R14, Y8)

#define LOADSUM(p, z) VMOVUPS (DI)(p*1), z
#define SAVESUM(p, z) VMOVUPS z, (DI)(p*1)
#define OUTPUT        VMOVUPS (DX), Y9
#define GRAD(p, z)    VFMADD231PS (SI)(p*1), Y9, z

// The same for fewer than eight channels, whose mask is Y10.
#define LOADSUMTAIL(p, z) VMASKMOVPS (DI)(p*1), Y10, z
#define SAVESUMTAIL(p, z) VMASKMOVPS z, Y10, (DI)(p*1)
#define OUTPUTTAIL        VMASKMOVPS (DX), Y10, Y9

#define GRADTAIL(p, z) \
	VMASKMOVPS  (SI)(p*1), Y10, Y11 \
	VFMADD231PS Y11, Y9, z

// func tapsGradVec(dw *float32, woff *int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, taps, rows, cols, c int)
//
// Eight channels at a time, then the rest.
TEXT ·tapsGradVec(SB), NOSPLIT, $32-104
	STEPS

tapsGradChannels:
	MOVQ c+96(FP), CX
	CMPQ CX, $8
	JLT  tapsGradTail
	CMPQ taps+72(FP), $9
	JEQ  tapsGrad9
	TAPSGRAD(OFFSETS8, SUMS8, LOADSUM, SAVESUM, OUTPUT, GRAD, tapsGrad8Row, tapsGrad8Pixel)
	JMP  tapsGradNext

tapsGrad9:
	TAPSGRAD(OFFSETS9, SUMS9, LOADSUM, SAVESUM, OUTPUT, GRAD, tapsGrad9Row, tapsGrad9Pixel)

tapsGradNext:
	ADDQ $32, dw+0(FP)
	ADDQ $32, x+16(FP)
	ADDQ $32, dy+48(FP)
	SUBQ $8, c+96(FP)
	JNZ  tapsGradChannels
	VZEROUPPER
	RET

tapsGradTail:
	TAILMASK(CX, Y10)
	CMPQ taps+72(FP), $9
	JEQ  tapsGradTail9
	TAPSGRAD(OFFSETS8, SUMS8, LOADSUMTAIL, SAVESUMTAIL, OUTPUTTAIL, GRADTAIL, tapsGradTail8Row, tapsGradTail8Pixel)
	VZEROUPPER
	RET

tapsGradTail9:
	TAPSGRAD(OFFSETS9, SUMS9, LOADSUMTAIL, SAVESUMTAIL, OUTPUTTAIL, GRADTAIL, tapsGradTail9Row, tapsGradTail9Pixel)
	VZEROUPPER
	RET

#define SUMS512x8(f) \
	f(AX, Z0)  \
	f(BX, Z1)  \
	f(R8, Z2)  \
	f(R9, Z3)  \
	f(R10, Z4) \
	f(R11, Z5) \
	f(R12, Z6) \
	f(R13, Z7)

#define SUMS512x9(f) \
	SUMS512x8(f) \
	f(R14, Z8)

#define LOADSUM512(p, z) VMOVUPS.Z (DI)(p*1), K1, z
#define SAVESUM512(p, z) VMOVUPS z, K1, (DI)(p*1)
#define OUTPUT512        VMOVUPS.Z (DX), K1, Z16
#define GRAD512(p, z)    VFMADD231PS (SI)(p*1), Z16, K1, z

// func tapsGrad512Vec(dw *float32, woff *int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, taps, rows, cols, c int)
TEXT ·tapsGrad512Vec(SB), NOSPLIT, $32-104
	STEPS
	KXNORW K1, K1, K1

tapsGrad512Channels:
	MOVQ  c+96(FP), CX
	SUBQ  $16, CX
	JGE   tapsGrad512Taps
	MOVL  $0xFFFF, AX
	NEGQ  CX
	SHRL  CX, AX
	KMOVW AX, K1

tapsGrad512Taps:
	CMPQ taps+72(FP), $9
	JEQ  tapsGrad512x9
	TAPSGRAD(OFFSETS8, SUMS512x8, LOADSUM512, SAVESUM512, OUTPUT512, GRAD512, tapsGrad8Row, tapsGrad8Pixel)
	JMP  tapsGrad512Next

tapsGrad512x9:
	TAPSGRAD(OFFSETS9, SUMS512x9, LOADSUM512, SAVESUM512, OUTPUT512, GRAD512, tapsGrad9Row, tapsGrad9Pixel)

tapsGrad512Next:
	ADDQ $64, dw+0(FP)
	ADDQ $64, x+16(FP)
	ADDQ $64, dy+48(FP)
	SUBQ $16, c+96(FP)
	JGT  tapsGrad512Channels
	VZEROUPPER
	RET
