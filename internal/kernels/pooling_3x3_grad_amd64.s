// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// A row of the gradient of 3×3 max pooling with stride 1, AVX2:
// micro.peakGrad, described in loops.go.

// FIRST splits v, which goes to the first of a, b and d that is greatest: to a,
// b or v, which are 0 where it goes to another one. t is changed.
#define FIRST(a, b, d, v, t) \
	VCMPPS  $0x1D, b, a, t \ // a ≥ b
	VCMPPS  $0x1D, d, a, a \
	VCMPPS  $0x1D, d, b, b \
	VANDPS  t, a, a        \
	VANDNPS v, a, t        \
	VANDPS  v, a, a        \
	VANDNPS t, b, v        \
	VANDPS  t, b, b

// PEAKGRAD is a row for the eight channels from byte first of a pixel on, or
// fewer, as LOAD(p, z) and SAVE(z, p, t), which may change t, take them. Y0, Y1,
// Y2 are three pixels below; Y3, Y4, Y5 those of x; Y6, Y7 what goes to the
// first two of these; Y12, Y14, Y15 are d, a, b; Y13 is −∞. The rest are labels.
#define PEAKGRAD(LOAD, SAVE, plain, pixel, value, edge, split, store, keep, next) \
	MOVQ    first-8(SP), R9          \ // bytes to the right pixel
	MOVQ    high+24(FP), BX          \
	MOVQ    mid+32(FP), R10          \
	LEAQ    (BX)(R9*2), BX           \
	LEAQ    (R10)(R9*2), R10         \
	MOVQ    cols+72(FP), CX          \
	TESTQ   R12, R12                 \
	JZ      plain                    \
	LOAD((R12)(R9*1), Y14)           \
	MOVQ    b+56(FP), R14            \
	LOAD((R14)(R9*1), Y15)           \
	MOVQ    d+64(FP), R14            \
	LOAD((R14)(R9*1), Y12)           \
plain:                               \
	LOAD((DX)(R9*1), Y1)             \
	LOAD((SI)(R9*1), Y4)             \
	VMAXPS  Y13, Y1, Y1              \ // −∞ if NaN
	VMAXPS  Y13, Y4, Y4              \
	VMOVAPS Y13, Y0                  \
	VMOVAPS Y13, Y3                  \
	VXORPS  Y6, Y6, Y6               \
	VXORPS  Y7, Y7, Y7               \
pixel:                               \
	LEAQ    (R9)(R15*1), R14         \ // what the next step needs
	PREFETCHT0 (DX)(R14*1)           \
	VXORPS  Y8, Y8, Y8               \ // the window's gradient
	TESTQ   R13, R13                 \
	JZ      value                    \
	PREFETCHT0 (R13)(R14*1)          \
	LOAD((R13)(R9*1), Y8)            \
value:                               \
	ADDQ    R8, R9                   \
	VMOVAPS Y13, Y2                  \
	VMOVAPS Y13, Y5                  \
	CMPQ    CX, $1                   \
	JEQ     edge                     \
	LOAD((DX)(R9*1), Y2)             \
	LOAD((SI)(R9*1), Y5)             \
	VMAXPS  Y13, Y2, Y2              \
	VMAXPS  Y13, Y5, Y5              \
edge:                                \
	VMAXPS  Y1, Y0, Y0               \
	VMOVUPS (BX), Y9                 \
	VMOVUPS (R10), Y10               \
	VMAXPS  Y2, Y0, Y0               \
	TESTQ   R12, R12                 \
	JZ      split                    \
	VMAXPS  Y9, Y10, Y11             \
	VMAXPS  Y0, Y11, Y11             \ // the window's, which y has
	VFMADD213PS Y12, Y15, Y11        \
	VFMADD231PS Y8, Y14, Y11         \
	VMOVAPS Y11, Y8                  \
split:                               \
	FIRST(Y9, Y10, Y0, Y8, Y11)      \
	VADDPS  32(BX), Y9, Y9           \
	VADDPS  32(R10), Y10, Y10        \
	VMOVUPS Y0, (BX)                 \
	VMOVUPS Y8, 32(BX)               \
	VMOVUPS Y10, 32(R10)             \
	TESTQ   DI, DI                   \
	JZ      next                     \
	PREFETCHT0 (DI)(R14*1)           \
	VMOVAPS Y4, Y10                  \
	FIRST(Y3, Y10, Y5, Y9, Y11)      \
	VADDPS  Y3, Y6, Y6               \
	VADDPS  Y10, Y7, Y7              \
	CMPQ    CX, cols+72(FP)          \
	JEQ     keep                     \ // there is no pixel to the left
	CMPB    add+112(FP), $0          \
	JEQ     store                    \
	LOAD((DI)(R9*1), Y10)            \
	VADDPS  Y10, Y6, Y6              \
store:                               \
	SAVE(Y6, (DI)(R9*1), Y10)        \
keep:                                \
	VMOVAPS Y7, Y6                   \
	VMOVAPS Y9, Y7                   \
	VMOVAPS Y4, Y3                   \
	VMOVAPS Y5, Y4                   \
next:                                \
	VMOVAPS Y1, Y0                   \
	VMOVAPS Y2, Y1                   \
	ADDQ    R11, BX                  \
	ADDQ    R11, R10                 \
	DECQ    CX                       \
	JNZ     pixel

// LASTPIXEL is the last pixel of dx.
#define LASTPIXEL(LOAD, SAVE, store, none) \
	TESTQ  DI, DI               \
	JZ     none                 \
	ADDQ   R8, R9               \
	CMPB   add+112(FP), $0      \
	JEQ    store                \
	LOAD((DI)(R9*1), Y10)       \
	VADDPS Y10, Y6, Y6          \
store:                          \
	SAVE(Y6, (DI)(R9*1), Y10)   \
none:

#define LOAD256(p, z)    VMOVUPS p, z
#define SAVE256(z, p, t) VMOVUPS z, p

// Four channels, which a register has twice.
#define LOAD128(p, z)    VBROADCASTF128 p, z
#define SAVE128(z, p, t) VEXTRACTF128 $0, z, p

// The channels of the mask at AX.
#define LOADTAIL(p, z) \
	VMOVUPS    (AX), z \
	VMASKMOVPS p, z, z

#define SAVETAIL(z, p, t) \
	VMOVUPS    (AX), t \
	VMASKMOVPS z, t, p

// func peakGradVec(dx, x, below, high, mid, dy, a, b, d *float32, cols, c, col, wide, row int, add bool)
TEXT ·peakGradVec(SB), NOSPLIT, $8-113
	MOVQ  col+88(FP), R8
	SHLQ  $2, R8               // bytes
	MOVQ  wide+96(FP), R11
	SHLQ  $2, R11
	MOVQ  row+104(FP), R15
	SHLQ  $2, R15
	MOVQ  dx+0(FP), DI
	TESTQ DI, DI
	JZ    peakGradOperands
	SUBQ  R8, DI               // where dx is written R9 is two pixels on
	SUBQ  R8, DI

peakGradOperands:
	MOVQ     x+8(FP), SI
	MOVQ     below+16(FP), DX
	MOVQ     dy+40(FP), R13
	MOVQ     a+48(FP), R12
	VPCMPEQD Y13, Y13, Y13
	VPSLLD   $23, Y13, Y13     // −∞
	MOVQ     $0, first-8(SP)

peakGradChannels:
	SUBQ $8, c+80(FP)
	JLT  peakGradRest
	PEAKGRAD(LOAD256, SAVE256, peakGradPlain, peakGradPixel, peakGradValue, peakGradEdge, peakGradSplit, peakGradStore, peakGradKeep, peakGradNext)
	LASTPIXEL(LOAD256, SAVE256, peakGradLastStore, peakGradLast)
	ADDQ $32, first-8(SP)
	JMP  peakGradChannels

peakGradRest:
	ADDQ $8, c+80(FP)          // channels left
	JZ   peakGradEnd
	CMPQ c+80(FP), $4
	JNE  peakGradTail
	PEAKGRAD(LOAD128, SAVE128, peakGradHalfPlain, peakGradHalfPixel, peakGradHalfValue, peakGradHalfEdge, peakGradHalfSplit, peakGradHalfStore, peakGradHalfKeep, peakGradHalfNext)
	LASTPIXEL(LOAD128, SAVE128, peakGradHalfLastStore, peakGradHalfLast)
	VZEROUPPER
	RET

peakGradTail:
	MOVQ c+80(FP), CX
	TAILMASK(CX, Y0)
	LEAQ (AX)(CX*4), AX
	PEAKGRAD(LOADTAIL, SAVETAIL, peakGradTailPlain, peakGradTailPixel, peakGradTailValue, peakGradTailEdge, peakGradTailSplit, peakGradTailStore, peakGradTailKeep, peakGradTailNext)
	LASTPIXEL(LOADTAIL, SAVETAIL, peakGradTailLastStore, peakGradTailLast)

peakGradEnd:
	VZEROUPPER
	RET
