// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"

// 1×1 convolutions and their weight gradients, AVX2: micro.point and
// micro.pointGrad, described in loops.go. Operands are as in loops_amd64.s.
//
// A tile is four pixels by the vectors of a block: with three vectors twelve
// sums, which hide the latency of an addition, and seven loads for twelve
// multiplications. AX is an element of the tile's first pixel, SI that pixel, BX
// its output, DI the weights; R8 and R9 are one and three pixels of x on, R11
// and R12 of y, DX is the last vector's distance from the first, in bytes.

#define CLEAR(z) VXORPS z, z, z

// TIMES1, TIMES2 and TIMES3 multiply an element by the weights Y12, Y13, Y14.
#define TIMES1(at, a) \
	VBROADCASTSS at, Y15    \
	VFMADD231PS  Y12, Y15, a

#define TIMES2(at, a, b) \
	TIMES1(at, a)           \
	VFMADD231PS Y13, Y15, b

#define TIMES3(at, a, b, c) \
	TIMES2(at, a, b)        \
	VFMADD231PS Y14, Y15, c

// ELEMENT does so with element k of all pixels of a tile, ONEELEMENT with that of one.
#define ONEELEMENT1(k) \
	VMOVUPS (32*k)(DI), Y12 \
	TIMES1((4*k)(AX), Y0)

#define ONEELEMENT2(k) \
	VMOVUPS (64*k)(DI), Y12    \
	VMOVUPS (64*k+32)(DI), Y13 \
	TIMES2((4*k)(AX), Y0, Y1)

#define ONEELEMENT3(k) \
	VMOVUPS (96*k)(DI), Y12    \
	VMOVUPS (96*k+32)(DI), Y13 \
	VMOVUPS (96*k+64)(DI), Y14 \
	TIMES3((4*k)(AX), Y0, Y1, Y2)

#define ELEMENT1(k) \
	ONEELEMENT1(k)               \
	TIMES1((4*k)(AX)(R8*1), Y1)  \
	TIMES1((4*k)(AX)(R8*2), Y2)  \
	TIMES1((4*k)(AX)(R9*1), Y3)

#define ELEMENT2(k) \
	ONEELEMENT2(k)                   \
	TIMES2((4*k)(AX)(R8*1), Y2, Y3)  \
	TIMES2((4*k)(AX)(R8*2), Y4, Y5)  \
	TIMES2((4*k)(AX)(R9*1), Y6, Y7)

#define ELEMENT3(k) \
	ONEELEMENT3(k)                       \
	TIMES3((4*k)(AX)(R8*1), Y3, Y4, Y5)  \
	TIMES3((4*k)(AX)(R8*2), Y6, Y7, Y8)  \
	TIMES3((4*k)(AX)(R9*1), Y9, Y10, Y11)

// CLEAR1, CLEAR2 and CLEAR3 clear the sums of a tile.
#define CLEAR1 \
	CLEAR(Y0) \
	CLEAR(Y1) \
	CLEAR(Y2) \
	CLEAR(Y3)

#define CLEAR2 \
	CLEAR1    \
	CLEAR(Y4) \
	CLEAR(Y5) \
	CLEAR(Y6) \
	CLEAR(Y7)

#define CLEAR3 \
	CLEAR2     \
	CLEAR(Y8)  \
	CLEAR(Y9)  \
	CLEAR(Y10) \
	CLEAR(Y11)

// SUMS applies f to where the sums of a tile belong, p being the first vector of
// the first pixel and q the last one, ONESUMS to those of one pixel.
#define ONESUMS1(f, p, q) \
	f((q), Y0)

#define ONESUMS2(f, p, q) \
	f((p), Y0) \
	f((q), Y1)

#define ONESUMS3(f, p, q) \
	f((p), Y0)   \
	f(32(p), Y1) \
	f((q), Y2)

#define SUMS1(f, p, q) \
	ONESUMS1(f, p, q)  \
	f((q)(R11*1), Y1)  \
	f((q)(R11*2), Y2)  \
	f((q)(R12*1), Y3)

#define SUMS2(f, p, q) \
	ONESUMS2(f, p, q)  \
	f((p)(R11*1), Y2)  \
	f((q)(R11*1), Y3)  \
	f((p)(R11*2), Y4)  \
	f((q)(R11*2), Y5)  \
	f((p)(R12*1), Y6)  \
	f((q)(R12*1), Y7)

#define SUMS3(f, p, q) \
	ONESUMS3(f, p, q)    \
	f((p)(R11*1), Y3)    \
	f(32(p)(R11*1), Y4)  \
	f((q)(R11*1), Y5)    \
	f((p)(R11*2), Y6)    \
	f(32(p)(R11*2), Y7)  \
	f((q)(R11*2), Y8)    \
	f((p)(R12*1), Y9)    \
	f(32(p)(R12*1), Y10) \
	f((q)(R12*1), Y11)

#define MASK(at, z) \
	VCMPPS $0x11, at, Y12, Y13 \ // 0 < mask, false for NaN
	VANDPS Y13, z, z

#define RESIDUAL(at, z) VADDPS at, z, z
#define STORE(at, z)    VMOVUPS z, at

// TILE computes the sums of a tile, whose weights of an element have so many
// bytes, and writes them. The last six arguments are labels.
#define TILE(ELEMENT, SUMS, bytes, four, rest, one, masked, added, stored) \
	MOVQ  SI, AX              \
	MOVQ  w+48(FP), DI        \
	MOVQ  depth+72(FP), CX    \
	SUBQ  $4, CX              \
	JLT   rest                \
four:                         \
	ELEMENT(0)                \
	ELEMENT(1)                \
	ELEMENT(2)                \
	ELEMENT(3)                \
	ADDQ  $16, AX             \
	ADDQ  $(4*bytes), DI      \
	SUBQ  $4, CX              \
	JGE   four                \
rest:                         \
	ADDQ  $4, CX              \
	JZ    masked              \
one:                          \
	ELEMENT(0)                \
	ADDQ  $4, AX              \
	ADDQ  $bytes, DI          \
	DECQ  CX                  \
	JNZ   one                 \
masked:                       \
	LEAQ  (BX)(DX*1), DI      \
	CMPQ  mask+8(FP), $0      \
	JEQ   added               \
	MOVQ  maskAt-8(SP), AX    \
	LEAQ  (DI)(AX*1), CX      \
	ADDQ  BX, AX              \
	CLEAR(Y12)                \
	SUMS(MASK, AX, CX)        \
added:                        \
	CMPQ  residual+16(FP), $0 \
	JEQ   stored              \
	MOVQ  residualAt-16(SP), AX \
	LEAQ  (DI)(AX*1), CX      \
	ADDQ  BX, AX              \
	SUMS(RESIDUAL, AX, CX)    \
stored:                       \
	SUMS(STORE, BX, DI)

// POINT is all of a function. maskAt and residualAt are the distances of mask
// and residual from y.
#define POINT(CLEARALL, ELEMENT, SUMS, ONEELEMENT, ONESUMS, bytes) \
	MOVQ  y+0(FP), BX            \
	MOVQ  mask+8(FP), AX         \
	SUBQ  BX, AX                 \
	MOVQ  AX, maskAt-8(SP)       \
	MOVQ  residual+16(FP), AX    \
	SUBQ  BX, AX                 \
	MOVQ  AX, residualAt-16(SP)  \
	MOVQ  yCol+24(FP), R11       \
	SHLQ  $2, R11                \
	LEAQ  (R11)(R11*2), R12      \
	MOVQ  x+32(FP), SI           \
	MOVQ  xCol+40(FP), R8        \
	SHLQ  $2, R8                 \
	LEAQ  (R8)(R8*2), R9         \
	MOVQ  last+56(FP), DX        \
	SHLQ  $2, DX                 \
	SUBQ  $4, pixels+64(FP)      \
	JLT   single                 \
tile:                            \
	CLEARALL                     \
	TILE(ELEMENT, SUMS, bytes, four, rest, one, masked, added, stored) \
	LEAQ  (BX)(R11*4), BX        \
	LEAQ  (SI)(R8*4), SI         \
	SUBQ  $4, pixels+64(FP)      \
	JGE   tile                   \
single:                          \
	ADDQ  $4, pixels+64(FP)      \
	JZ    done                   \
pixel:                           \
	CLEARALL                     \
	TILE(ONEELEMENT, ONESUMS, bytes, pixelFour, pixelRest, pixelOne, pixelMasked, pixelAdded, pixelStored) \
	ADDQ  R11, BX                \
	ADDQ  R8, SI                 \
	DECQ  pixels+64(FP)          \
	JNZ   pixel                  \
done:                            \
	VZEROUPPER                   \
	RET

// GRAD1, GRAD2 and GRAD3 add to the sums of four rows of dw, at DI, the products
// of a pixel: SI is the rows' first element of it, BX that of the first pixel, AX
// the pixel's gradient; R8 and R9 are the distances of pixels of x and dy.
#define GRAD1 \
	VMOVUPS (AX), Y12    \
	TIMES1((SI), Y0)     \
	TIMES1(4(SI), Y1)    \
	TIMES1(8(SI), Y2)    \
	TIMES1(12(SI), Y3)

#define GRAD2 \
	VMOVUPS (AX), Y12           \
	VMOVUPS (AX)(DX*1), Y13     \
	TIMES2((SI), Y0, Y1)        \
	TIMES2(4(SI), Y2, Y3)       \
	TIMES2(8(SI), Y4, Y5)       \
	TIMES2(12(SI), Y6, Y7)

#define GRAD3 \
	VMOVUPS (AX), Y12           \
	VMOVUPS 32(AX), Y13         \
	VMOVUPS (AX)(DX*1), Y14     \
	TIMES3((SI), Y0, Y1, Y2)    \
	TIMES3(4(SI), Y3, Y4, Y5)   \
	TIMES3(8(SI), Y6, Y7, Y8)   \
	TIMES3(12(SI), Y9, Y10, Y11)

// GRADSUMS applies f to where the sums of four rows of dw lie.
#define GRADSUMS1(f) \
	f((DI), Y0)    \
	f(32(DI), Y1)  \
	f(64(DI), Y2)  \
	f(96(DI), Y3)

#define GRADSUMS2(f) \
	GRADSUMS1(f)   \
	f(128(DI), Y4) \
	f(160(DI), Y5) \
	f(192(DI), Y6) \
	f(224(DI), Y7)

#define GRADSUMS3(f) \
	GRADSUMS2(f)    \
	f(256(DI), Y8)  \
	f(288(DI), Y9)  \
	f(320(DI), Y10) \
	f(352(DI), Y11)

#define LOAD(at, z) VMOVUPS at, z

// POINTGRAD is all of a function; four rows of dw have so many bytes.
#define POINTGRAD(GRAD, GRADSUMS, bytes) \
	MOVQ  dw+0(FP), DI       \
	MOVQ  x+16(FP), BX       \
	MOVQ  xCol+24(FP), R8    \
	SHLQ  $2, R8             \
	MOVQ  dyCol+40(FP), R9   \
	SHLQ  $2, R9             \
	MOVQ  last+48(FP), DX    \
	SHLQ  $2, DX             \
rows:                        \
	GRADSUMS(LOAD)           \
	MOVQ  BX, SI             \
	MOVQ  dy+32(FP), AX      \
	MOVQ  pixels+56(FP), CX  \
pixel:                       \
	GRAD                     \
	ADDQ  R8, SI             \
	ADDQ  R9, AX             \
	DECQ  CX                 \
	JNZ   pixel              \
	GRADSUMS(STORE)          \
	ADDQ  $bytes, DI         \
	ADDQ  $16, BX            \
	SUBQ  $4, n+8(FP)        \
	JNZ   rows               \
	VZEROUPPER               \
	RET

// func point1Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)
TEXT ·point1Vec(SB), NOSPLIT, $16-80
	POINT(CLEAR1, ELEMENT1, SUMS1, ONEELEMENT1, ONESUMS1, 32)

// func point2Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)
TEXT ·point2Vec(SB), NOSPLIT, $16-80
	POINT(CLEAR2, ELEMENT2, SUMS2, ONEELEMENT2, ONESUMS2, 64)

// func point3Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)
TEXT ·point3Vec(SB), NOSPLIT, $16-80
	POINT(CLEAR3, ELEMENT3, SUMS3, ONEELEMENT3, ONESUMS3, 96)

// func pointGrad1Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)
TEXT ·pointGrad1Vec(SB), NOSPLIT, $0-64
	POINTGRAD(GRAD1, GRADSUMS1, 128)

// func pointGrad2Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)
TEXT ·pointGrad2Vec(SB), NOSPLIT, $0-64
	POINTGRAD(GRAD2, GRADSUMS2, 256)

// func pointGrad3Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)
TEXT ·pointGrad3Vec(SB), NOSPLIT, $0-64
	POINTGRAD(GRAD3, GRADSUMS3, 384)
