// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "loops_avx2_amd64.h"

// Rows of depthwise convolutions, AVX2 and AVX-512: micro.depth, described in
// loops.go. Operands are as in loops_amd64.s.

// DEPTH writes n pixels, again while there are as many left, then goes on at
// next. AT is the macro that applies another to the addresses and sums of n
// pixels; START sets a sum, WEIGHTS loads the weights of the tap at DI, TAP
// adds the tap at AX, ZERO clears the register that MASK compares with; MASK,
// RESIDUAL and STORE treat the pixel at byte SI or R10 of DI and go to the
// next, CX on. The rest are labels. R11 is the first tap of the pixel, R10 the
// pixel's distance from y, R14 that of the next pixel of x, R8 and R9 those of
// the next tap of x and w, in bytes.
#define DEPTH(n, AT, START, WEIGHTS, TAP, ZERO, MASK, RESIDUAL, STORE, again, eachrow, each, sums, add, write, next) \
	SUBQ   $n, left-8(SP)      \
	JLT    next                \
again:                         \
	AT(START)                  \
	MOVQ   R11, AX             \
	MOVQ   BX, DI              \
	MOVQ   rows-32(SP), SI     \
	TESTQ  SI, SI              \
	JZ     sums                \
eachrow:                       \
	MOVQ   DX, CX              \
each:                          \
	WEIGHTS                    \
	AT(TAP)                    \
	ADDQ   R8, AX              \
	ADDQ   R9, DI              \
	DECQ   CX                  \
	JNZ    each                \
	ADDQ   xSkip-40(SP), AX    \
	ADDQ   wSkip-48(SP), DI    \
	DECQ   SI                  \
	JNZ    eachrow             \
sums:                          \
	MOVQ   yBytes-16(SP), CX   \
	MOVQ   mask+8(FP), DI      \
	TESTQ  DI, DI              \
	JZ     add                 \
	ZERO                       \
	MOVQ   R10, SI             \
	AT(MASK)                   \
add:                           \
	MOVQ   residual+16(FP), DI \
	TESTQ  DI, DI              \
	JZ     write               \
	MOVQ   R10, SI             \
	AT(RESIDUAL)               \
write:                         \
	MOVQ   y+0(FP), DI         \
	AT(STORE)                  \
	IMUL3Q $n, R14, AX         \
	ADDQ   AX, R11             \
	SUBQ   $n, left-8(SP)      \
	JGE    again               \
next:                          \
	ADDQ   $n, left-8(SP)

// SETUP loads the window, its distances in bytes, and the distances of pixels
// of x: R14, R15, R13 and R12 are one, three, five and seven on. x starts at
// the first tap, BX at its weights, DX is the number of columns of taps.
#define SETUP \
	MOVQ yCol+24(FP), AX          \
	SHLQ $2, AX                   \
	MOVQ AX, yBytes-16(SP)        \
	MOVQ $0, channel-24(SP)       \
	MOVQ window+56(FP), SI        \
	MOVQ window_rows(SI), CX      \
	MOVQ window_cols(SI), DX      \
	TESTQ DX, DX                  \
	CMOVQEQ DX, CX                \ // no rows without columns
	MOVQ CX, rows-32(SP)          \
	MOVQ window_first(SI), AX     \
	SHLQ $2, AX                   \
	ADDQ AX, x+32(FP)             \
	MOVQ window_col(SI), R8       \
	MOVQ R8, AX                   \
	IMULQ DX, AX                  \
	MOVQ window_row(SI), CX       \
	SUBQ AX, CX                   \
	SHLQ $2, CX                   \
	MOVQ CX, xSkip-40(SP)         \
	SHLQ $2, R8                   \
	MOVQ window_number(SI), AX    \
	MOVQ w+48(FP), BX             \
	LEAQ (BX)(AX*4), BX           \
	MOVQ window_numberCol(SI), R9 \
	MOVQ R9, AX                   \
	IMULQ DX, AX                  \
	MOVQ window_numberRow(SI), CX \
	SUBQ AX, CX                   \
	SHLQ $2, CX                   \
	MOVQ CX, wSkip-48(SP)         \
	SHLQ $2, R9                   \
	MOVQ xCol+40(FP), R14         \
	SHLQ $2, R14                  \
	LEAQ (R14)(R14*2), R15        \
	LEAQ (R14)(R14*4), R13        \
	LEAQ (R15)(R14*4), R12

#define AT1(f) \
	f((AX), Y0)

#define AT2(f) \
	AT1(f)             \
	f((AX)(R14*1), Y1)

#define AT4(f) \
	AT2(f)             \
	f((AX)(R14*2), Y2) \
	f((AX)(R15*1), Y3)

#define AT8(f) \
	AT4(f)             \
	f((AX)(R14*4), Y4) \
	f((AX)(R13*1), Y5) \
	f((AX)(R15*2), Y6) \
	f((AX)(R12*1), Y7)

#define START(at, z) VMOVAPS Y11, z
#define WEIGHTS      VMOVUPS (DI), Y8
#define TAP(at, z)   VFMADD231PS at, Y8, z
#define ZERO         VXORPS Y9, Y9, Y9

#define MASK(at, z) \
	VCMPPS $0x11, (DI)(SI*1), Y9, Y8 \ // 0 < mask, false for NaN
	VANDPS Y8, z, z                  \
	ADDQ   CX, SI

#define RESIDUAL(at, z) \
	VADDPS (DI)(SI*1), z, z \
	ADDQ   CX, SI

#define STORE(at, z) \
	VMAXPS  z, Y10, z      \
	VMOVUPS z, (DI)(R10*1) \
	ADDQ    CX, R10

// The same for fewer than eight channels, whose mask is Y12.
#define WEIGHTSTAIL     VMASKMOVPS (DI), Y12, Y8

#define TAPTAIL(at, z) \
	VMASKMOVPS  at, Y12, Y13 \
	VFMADD231PS Y13, Y8, z

#define MASKTAIL(at, z) \
	VMASKMOVPS (DI)(SI*1), Y12, Y8 \
	VCMPPS     $0x11, Y8, Y9, Y8   \
	VANDPS     Y8, z, z            \
	ADDQ       CX, SI

#define RESIDUALTAIL(at, z) \
	VMASKMOVPS (DI)(SI*1), Y12, Y8 \
	VADDPS     Y8, z, z            \
	ADDQ       CX, SI

#define STORETAIL(at, z) \
	VMAXPS     z, Y10, z            \
	VMASKMOVPS z, Y12, (DI)(R10*1)  \
	ADDQ       CX, R10

// func depthVec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, window *window, bias *float32, floor float32, cols, c int)
//
// Eight channels at a time, then the rest.
TEXT ·depthVec(SB), NOSPLIT, $48-96
	SETUP
	VBROADCASTSS floor+72(FP), Y10

depthChannels:
	MOVQ   channel-24(SP), R10
	MOVQ   x+32(FP), R11
	MOVQ   cols+80(FP), AX
	MOVQ   AX, left-8(SP)
	VXORPS Y11, Y11, Y11
	MOVQ   bias+64(FP), DI
	MOVQ   c+88(FP), CX
	CMPQ   CX, $8
	JLT    depthTail
	TESTQ  DI, DI
	JZ     depthPixels
	VMOVUPS (DI)(R10*1), Y11

depthPixels:
	DEPTH(8, AT8, START, WEIGHTS, TAP, ZERO, MASK, RESIDUAL, STORE, depth8, depth8Row, depth8Tap, depth8Sums, depth8Add, depth8Write, depth8Next)
	DEPTH(4, AT4, START, WEIGHTS, TAP, ZERO, MASK, RESIDUAL, STORE, depth4, depth4Row, depth4Tap, depth4Sums, depth4Add, depth4Write, depth4Next)
	DEPTH(2, AT2, START, WEIGHTS, TAP, ZERO, MASK, RESIDUAL, STORE, depth2, depth2Row, depth2Tap, depth2Sums, depth2Add, depth2Write, depth2Next)
	DEPTH(1, AT1, START, WEIGHTS, TAP, ZERO, MASK, RESIDUAL, STORE, depth1, depth1Row, depth1Tap, depth1Sums, depth1Add, depth1Write, depth1Next)
	ADDQ $32, x+32(FP)
	ADDQ $32, BX
	ADDQ $32, channel-24(SP)
	SUBQ $8, c+88(FP)
	JNZ  depthChannels
	VZEROUPPER
	RET

depthTail:
	TAILMASK(CX, Y12)
	TESTQ      DI, DI
	JZ         depthTailPixels
	VMASKMOVPS (DI)(R10*1), Y12, Y11

depthTailPixels:
	DEPTH(8, AT8, START, WEIGHTSTAIL, TAPTAIL, ZERO, MASKTAIL, RESIDUALTAIL, STORETAIL, depthTail8, depthTail8Row, depthTail8Tap, depthTail8Sums, depthTail8Add, depthTail8Write, depthTail8Next)
	DEPTH(1, AT1, START, WEIGHTSTAIL, TAPTAIL, ZERO, MASKTAIL, RESIDUALTAIL, STORETAIL, depthTail1, depthTail1Row, depthTail1Tap, depthTail1Sums, depthTail1Add, depthTail1Write, depthTail1Next)
	VZEROUPPER
	RET

// AVX-512: K1 has the channels of a group, sixteen or the last, fewer.

#define AT512x1(f) \
	f((AX), Z0)

#define AT512x2(f) \
	AT512x1(f)         \
	f((AX)(R14*1), Z1)

#define AT512x4(f) \
	AT512x2(f)         \
	f((AX)(R14*2), Z2) \
	f((AX)(R15*1), Z3)

#define AT512x8(f) \
	AT512x4(f)         \
	f((AX)(R14*4), Z4) \
	f((AX)(R13*1), Z5) \
	f((AX)(R15*2), Z6) \
	f((AX)(R12*1), Z7)

#define AT512x16(f) \
	AT512x8(f)          \
	f((BP), Z8)         \
	f((BP)(R14*1), Z9)  \
	f((BP)(R14*2), Z10) \
	f((BP)(R15*1), Z11) \
	f((BP)(R14*4), Z12) \
	f((BP)(R13*1), Z13) \
	f((BP)(R15*2), Z14) \
	f((BP)(R12*1), Z15)

#define START512(at, z) VMOVAPS Z19, z
#define WEIGHTS512      VMOVUPS.Z (DI), K1, Z16
#define TAP512(at, z)   VFMADD231PS at, Z16, K1, z
#define ZERO512         VPXORD Z17, Z17, Z17

#define WEIGHTS512x16 \
	LEAQ      (AX)(R14*8), BP      \
	WEIGHTS512

#define MASK512(at, z) \
	VCMPPS    $0x11, (DI)(SI*1), Z17, K1, K2 \
	VMOVUPS.Z z, K2, z                       \
	ADDQ      CX, SI

#define RESIDUAL512(at, z) \
	VADDPS (DI)(SI*1), z, K1, z \
	ADDQ   CX, SI

#define STORE512(at, z) \
	VMAXPS  z, Z18, z          \
	VMOVUPS z, K1, (DI)(R10*1) \
	ADDQ    CX, R10

// func depth512Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, window *window, bias *float32, floor float32, cols, c int)
TEXT ·depth512Vec(SB), NOSPLIT, $48-96
	SETUP
	VBROADCASTSS floor+72(FP), Z18
	KXNORW       K1, K1, K1

depth512Channels:
	MOVQ  c+88(FP), CX
	SUBQ  $16, CX
	JGE   depth512Bias
	MOVL  $0xFFFF, AX
	NEGQ  CX
	SHRL  CX, AX
	KMOVW AX, K1

depth512Bias:
	MOVQ      channel-24(SP), R10
	MOVQ      x+32(FP), R11
	MOVQ      cols+80(FP), AX
	MOVQ      AX, left-8(SP)
	VPXORD    Z19, Z19, Z19
	MOVQ      bias+64(FP), AX
	TESTQ     AX, AX
	JZ        depth512Pixels
	VMOVUPS.Z (AX)(R10*1), K1, Z19

depth512Pixels:
	DEPTH(16, AT512x16, START512, WEIGHTS512x16, TAP512, ZERO512, MASK512, RESIDUAL512, STORE512, depth16, depth16Row, depth16Tap, depth16Sums, depth16Add, depth16Write, depth16Next)
	DEPTH(8, AT512x8, START512, WEIGHTS512, TAP512, ZERO512, MASK512, RESIDUAL512, STORE512, depth8, depth8Row, depth8Tap, depth8Sums, depth8Add, depth8Write, depth8Next)
	DEPTH(4, AT512x4, START512, WEIGHTS512, TAP512, ZERO512, MASK512, RESIDUAL512, STORE512, depth4, depth4Row, depth4Tap, depth4Sums, depth4Add, depth4Write, depth4Next)
	DEPTH(2, AT512x2, START512, WEIGHTS512, TAP512, ZERO512, MASK512, RESIDUAL512, STORE512, depth2, depth2Row, depth2Tap, depth2Sums, depth2Add, depth2Write, depth2Next)
	DEPTH(1, AT512x1, START512, WEIGHTS512, TAP512, ZERO512, MASK512, RESIDUAL512, STORE512, depth1, depth1Row, depth1Tap, depth1Sums, depth1Add, depth1Write, depth1Next)
	ADDQ $64, x+32(FP)
	ADDQ $64, BX
	ADDQ $64, channel-24(SP)
	SUBQ $16, c+88(FP)
	JGT  depth512Channels
	VZEROUPPER
	RET
