// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// Rows of 3×3 max pooling with stride 1, AVX2 and AVX-512, and of its gradient,
// AVX-512: micro.peak3, micro.share and micro.spread, described in loops.go.

// HIGHEST sets z to the greatest of the three rows' pixels at R9 and d bytes on,
// loaded with LOAD; NaN is left out. lowest is −∞, t is changed.
#define HIGHEST(LOAD, lowest, t, d, z) \
	LOAD(d(SI)(R9*1), t)   \
	VMAXPS lowest, t, z    \ // lowest if t is NaN
	LOAD(d(DX)(R9*1), t)   \
	VMAXPS z, t, z         \
	LOAD(d(BX)(R9*1), t)   \
	VMAXPS z, t, z

// PEAK3 is CHANNELS of a row, which applies a macro to each of their groups.
// R8 is the distance of pixels in bytes; the last arguments are labels.
#define PEAK3(CHANNELS, FETCH, pixel, last) \
	XORQ    R9, R9          \ // bytes to the right pixel
	XORQ    R10, R10        \ // bytes to the output
	MOVQ    cols+32(FP), CX \
	CHANNELS(PEAKFIRST)     \
	DECQ    CX              \
	JZ      last            \
pixel:                      \
	ADDQ    R8, R9          \
	FETCH                   \
	CHANNELS(PEAKNEXT)      \
	ADDQ    R8, R10         \
	DECQ    CX              \
	JNZ     pixel           \
last:                       \
	CHANNELS(PEAKLAST)

// The steps of a group d bytes from the first: left, here and right are
// registers of the three pixels.
#define PEAKFIRST(LOAD, SAVE, lowest, t, d, left, here, right) \
	VMOVAPS lowest, left              \
	HIGHEST(LOAD, lowest, t, d, here)

#define PEAKNEXT(LOAD, SAVE, lowest, t, d, left, here, right) \
	HIGHEST(LOAD, lowest, t, d, right) \
	VMAXPS  here, left, left           \
	VMAXPS  right, left, left          \
	SAVE(left, d(DI)(R10*1))           \
	VMOVAPS here, left                 \
	VMOVAPS right, here

#define PEAKLAST(LOAD, SAVE, lowest, t, d, left, here, right) \
	VMAXPS here, left, left  \
	SAVE(left, d(DI)(R10*1))

// LINE is a cache line of channels, EIGHT and REST are eight and fewer,
// SIXTEEN as many as K1 says.
#define LINE(f) \
	f(LOAD256, SAVE256, Y11, Y8, 0, Y0, Y1, Y2) \
	f(LOAD256, SAVE256, Y11, Y9, 32, Y3, Y4, Y5)

#define EIGHT(f)   f(LOAD256, SAVE256, Y11, Y8, 0, Y0, Y1, Y2)
#define REST(f)    f(LOADTAIL256, SAVETAIL256, Y11, Y8, 0, Y0, Y1, Y2)
#define SIXTEEN(f) f(LOAD512, SAVE512, Z11, Z8, 0, Z0, Z1, Z2)

// FETCH256 asks for what the next row needs; R15 is the distance of rows in
// bytes, R14 is changed.
#define FETCH256 \
	LEAQ       (R10)(R15*1), R14 \
	PREFETCHT0 (BX)(R14*1)       \
	PREFETCHT0 (DI)(R14*1)

#define FETCH512

#define LOAD256(p, z)     VMOVUPS p, z
#define SAVE256(z, p)     VMOVUPS z, p
#define LOADTAIL256(p, z) VMASKMOVPS p, Y12, z
#define SAVETAIL256(z, p) VMASKMOVPS z, Y12, p
#define LOAD512(p, z)     VMOVUPS.Z p, K1, z
#define SAVE512(z, p)     VMOVUPS z, K1, p

// LOWEST sets z to −∞.
#define LOWEST256(z) \
	VPCMPEQD z, z, z  \
	VPSLLD   $23, z, z

#define LOWEST512(z) \
	VPTERNLOGD $0xFF, z, z, z \
	VPSLLD     $23, z, z

// MASK512 sets K1 to the first n of sixteen channels, all if n ≥ 16; AX and CX are changed.
#define MASK512(n, whole) \
	KXNORW K1, K1, K1   \
	CMPQ   n, $16       \
	JGE    whole        \
	MOVL   $0xFFFF, AX  \
	MOVL   $16, CX      \
	SUBL   n, CX        \
	SHRXL  CX, AX, AX   \
	KMOVW  AX, K1       \
whole:

// FIRST512 splits v, which goes to the first of a, b and d that is greatest: to
// ta, tb or v, which is 0 where it goes to another one.
#define FIRST512(a, b, d, v, ta, tb) \
	VCMPPS    $0x1D, b, a, K4     \
	VCMPPS    $0x1D, d, a, K4, K5 \
	VMOVAPS.Z v, K5, ta           \
	KNOTW     K5, K5              \
	VMOVAPS.Z v, K5, v            \
	VCMPPS    $0x1D, d, b, K4     \
	VMOVAPS.Z v, K4, tb           \
	KNOTW     K4, K4              \
	VMOVAPS.Z v, K4, v

// SPREAD is a group of channels of a row, AVX-512. Z0, Z1 and Z2 are three pixels,
// Z5, Z6 and Z7 what goes to them, Z11 is −∞. The arguments are labels.
#define SPREAD(pixel, edge, none) \
	XORQ    R9, R9                   \ // bytes to the pixel
	MOVQ    cols+24(FP), CX          \
	VMOVAPS Z11, Z0                  \
	LOAD512((SI), Z8)                \
	VMAXPS  Z11, Z8, Z1              \
	VXORPS  Y5, Y5, Y5               \
	VXORPS  Y6, Y6, Y6               \
pixel:                               \
	VMOVAPS Z11, Z2                  \
	LEAQ    (R9)(R8*1), R11          \
	CMPQ    CX, $1                   \
	JEQ     edge                     \
	LOAD512((SI)(R11*1), Z8)         \
	VMAXPS  Z11, Z8, Z2              \
edge:                                \
	LOAD512((DX)(R9*1), Z7)          \
	FIRST512(Z0, Z1, Z2, Z7, Z3, Z4) \
	VADDPS  Z3, Z5, Z5               \
	VADDPS  Z4, Z6, Z6               \
	TESTQ   R9, R9                   \
	JZ      none                     \
	BEFORE                           \
	VADDPS  Z5, Z8, Z8               \
	SAVE512(Z8, (DI)(R10*1))         \
none:                                \
	MOVQ    R9, R10                  \ // bytes to the pixel to the left of the next
	MOVQ    R11, R9                  \
	VMOVAPS Z1, Z0                   \
	VMOVAPS Z2, Z1                   \
	VMOVAPS Z6, Z5                   \
	VMOVAPS Z7, Z6                   \
	DECQ    CX                       \
	JNZ     pixel                    \
	BEFORE                           \
	VADDPS  Z5, Z8, Z8               \
	SAVE512(Z8, (DI)(R10*1))

// BEFORE loads what DI has at R10, or 0.
#define BEFORE \
	VMOVUPS.Z (DI)(R10*1), K3, Z8

// func peak3Vec(y, a, b, d *float32, cols, c, col int)
TEXT ·peak3Vec(SB), NOSPLIT, $0-56
	MOVQ y+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ d+24(FP), BX
	MOVQ c+40(FP), R12
	MOVQ col+48(FP), R8
	SHLQ $2, R8
	MOVQ R8, R15 // bytes
	IMULQ cols+32(FP), R15
	LOWEST256(Y11)

peak3Line:
	SUBQ $16, R12
	JLT  peak3Eight
	PEAK3(LINE, FETCH256, peak3LinePixel, peak3LineLast)
	ADDQ $64, DI
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, BX
	JMP  peak3Line

peak3Eight:
	ADDQ $16, R12 // channels left
	CMPQ R12, $8
	JLT  peak3Rest
	PEAK3(EIGHT, FETCH256, peak3Pixel, peak3Last)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, BX
	SUBQ $8, R12

peak3Rest:
	TESTQ R12, R12
	JZ    peak3End
	TAILMASK(R12, Y12)
	PEAK3(REST, FETCH256, peak3RestPixel, peak3RestLast)

peak3End:
	VZEROUPPER
	RET

// func peak3512Vec(y, a, b, d *float32, cols, c, col int)
TEXT ·peak3512Vec(SB), NOSPLIT, $0-56
	MOVQ y+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ d+24(FP), BX
	MOVQ c+40(FP), R12
	MOVQ col+48(FP), R8
	SHLQ $2, R8
	LOWEST512(Z11)

peak3512Channels:
	MASK512(R12, peak3512Whole)
	PEAK3(SIXTEEN, FETCH512, peak3512Pixel, peak3512Last)
	ADDQ $64, DI
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, BX
	SUBQ $16, R12
	JGT  peak3512Channels
	VZEROUPPER
	RET

// func share512Vec(da, db, dd, ha, hb, hd, dy *float32, n int)
TEXT ·share512Vec(SB), NOSPLIT, $0-64
	MOVQ da+0(FP), DI
	MOVQ db+8(FP), SI
	MOVQ dd+16(FP), DX
	MOVQ ha+24(FP), BX
	MOVQ hb+32(FP), R8
	MOVQ hd+40(FP), R9
	MOVQ dy+48(FP), R10
	MOVQ n+56(FP), CX
	XORQ AX, AX

share512:
	VMOVUPS (BX)(AX*4), Z0
	VMOVUPS (R8)(AX*4), Z1
	VMOVUPS (R9)(AX*4), Z2
	VMOVUPS (R10)(AX*4), Z3
	FIRST512(Z0, Z1, Z2, Z3, Z4, Z5)
	VADDPS  (DI)(AX*4), Z4, Z4
	VMOVUPS Z4, (DI)(AX*4)
	VADDPS  (SI)(AX*4), Z5, Z5
	VMOVUPS Z5, (SI)(AX*4)
	VMOVUPS Z3, (DX)(AX*4)
	ADDQ    $16, AX
	CMPQ    AX, CX
	JLT     share512
	VZEROUPPER
	RET

// func spread512Vec(dx, x, dh *float32, cols, c, col int, add bool)
TEXT ·spread512Vec(SB), NOSPLIT, $0-49
	MOVQ    dx+0(FP), DI
	MOVQ    x+8(FP), SI
	MOVQ    dh+16(FP), DX
	MOVQ    c+32(FP), R12
	MOVQ    col+40(FP), R8
	SHLQ    $2, R8
	MOVBLZX add+48(FP), BX
	NEGL    BX
	KMOVW   BX, K2
	LOWEST512(Z11)

spread512Channels:
	MASK512(R12, spread512Whole)
	KANDW K1, K2, K3
	SPREAD(spread512Pixel, spread512Edge, spread512None)
	ADDQ $64, DI
	ADDQ $64, SI
	ADDQ $64, DX
	SUBQ $16, R12
	JGT  spread512Channels
	VZEROUPPER
	RET
