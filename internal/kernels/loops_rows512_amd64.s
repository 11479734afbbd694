// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"

// AVX-512 for the loops over rows, described in loops.go; those over flat
// slices are no faster than with AVX2 unless all is in the first-level cache.
// K1 has the channels of the last, incomplete group; K2 is all ones to add to
// what is there and zeros not to, K3 is both. Operands are as in loops_amd64.s.

// LASTGROUP sets K1 to the first n mod 16 channels and leaves that in CX.
#define LASTGROUP(n) \
	MOVQ  n, CX   \
	ANDQ  $15, CX \
	MOVL  $1, AX  \
	SHLL  CX, AX  \
	DECL  AX      \
	KMOVW AX, K1

// ADDING sets K2 and K3.
#define ADDING(add) \
	MOVBLZX add, AX     \
	NEGL    AX          \
	KMOVW   AX, K2      \
	KANDW   K1, K2, K3

// GROUP takes the channels from AX on: sixteen, or what is left of BX.
#define GROUP(whole) \
	LEAQ  16(AX), CX \
	CMPQ  CX, BX     \
	JLE   whole      \
	KMOVW K1, K4     \
	KMOVW K3, K2     \
whole:

// REDUCE adds a row to a pair of sums: Z8 = ku, Z9 = kv, Z10 = floor, K4 the channels.
#define REDUCE(u, v, s, d, t0, t1) \
	VMOVUPS.Z   u, K4, t0    \
	VMOVUPS.Z   v, K4, t1    \
	VSUBPS      Z8, t0, t0   \
	VMAXPS      t1, Z10, t1  \
	VSUBPS      Z9, t1, t1   \
	VADDPS      t0, s, s     \
	VFMADD231PS t0, t1, d

// func reduce512Vec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)
//
// Sixteen channels at a time; even rows are added to Z0 and Z4, odd ones to Z1
// and Z5.
TEXT ·reduce512Vec(SB), NOSPLIT, $0-88
	MOVQ         uRow+72(FP), R8
	MOVQ         vRow+80(FP), R9
	SHLQ         $2, R8              // bytes
	SHLQ         $2, R9
	MOVQ         u+16(FP), R12
	MOVQ         v+32(FP), R13
	MOVQ         c+64(FP), BX
	VBROADCASTSS floor+48(FP), Z10
	LASTGROUP(BX)
	KXNORW       K4, K4, K4
	XORQ         AX, AX              // channel

reduce512Channels:
	GROUP(reduce512Group)
	MOVQ      ku+24(FP), DX
	VMOVUPS.Z (DX)(AX*4), K4, Z8
	MOVQ      kv+40(FP), DX
	VMOVUPS.Z (DX)(AX*4), K4, Z9
	VPXORD    Z0, Z0, Z0
	VPXORD    Z1, Z1, Z1
	VPXORD    Z4, Z4, Z4
	VPXORD    Z5, Z5, Z5
	LEAQ      (R12)(AX*4), SI
	LEAQ      (R13)(AX*4), DI
	MOVQ      rows+56(FP), CX
	SUBQ      $2, CX
	JLT       reduce512Last

reduce512Two:
	REDUCE((SI), (DI), Z0, Z4, Z11, Z12)
	REDUCE((SI)(R8*1), (DI)(R9*1), Z1, Z5, Z13, Z14)
	LEAQ (SI)(R8*2), SI
	LEAQ (DI)(R9*2), DI
	SUBQ $2, CX
	JGE  reduce512Two

reduce512Last:
	ADDQ $2, CX              // rows left
	JZ   reduce512Sum
	REDUCE((SI), (DI), Z0, Z4, Z11, Z12)

reduce512Sum:
	VADDPS    Z1, Z0, Z0
	VADDPS    Z5, Z4, Z4
	MOVQ      sum+0(FP), DX
	VADDPS    (DX)(AX*4), Z0, K4, Z0
	VMOVUPS   Z0, K4, (DX)(AX*4)
	MOVQ      dot+8(FP), DX
	VADDPS    (DX)(AX*4), Z4, K4, Z4
	VMOVUPS   Z4, K4, (DX)(AX*4)
	ADDQ      $16, AX
	CMPQ      AX, BX
	JLT       reduce512Channels
	VZEROUPPER
	RET

// AFFINE is a row: Z1 is the scale, Z2 the shift, Z3 the floor.
#define AFFINE(x, y, t) \
	VMOVUPS.Z   x, K4, t     \
	VFMADD213PS Z2, Z1, t    \
	VADDPS      y, t, K2, t  \
	VMAXPS      t, Z3, t     \
	VMOVUPS     t, K4, y

// func affine512Vec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)
TEXT ·affine512Vec(SB), NOSPLIT, $0-65
	MOVQ         c+48(FP), BX
	LASTGROUP(BX)
	ADDING(add+64(FP))
	KXNORW       K4, K4, K4
	MOVQ         y+0(FP), R10
	MOVQ         x+8(FP), R11
	MOVQ         scale+16(FP), R8
	MOVQ         shift+24(FP), R9
	VBROADCASTSS floor+32(FP), Z3
	MOVQ         row+56(FP), DX
	SHLQ         $2, DX              // bytes
	XORQ         AX, AX

affine512Channels:
	GROUP(affine512Group)
	VMOVUPS.Z (R8)(AX*4), K4, Z1
	VMOVUPS.Z (R9)(AX*4), K4, Z2
	LEAQ      (R11)(AX*4), SI
	LEAQ      (R10)(AX*4), DI
	MOVQ      rows+40(FP), CX
	SUBQ      $2, CX
	JLT       affine512Last

affine512Two:
	AFFINE((SI), (DI), Z0)
	AFFINE((SI)(DX*1), (DI)(DX*1), Z4)
	LEAQ (SI)(DX*2), SI
	LEAQ (DI)(DX*2), DI
	SUBQ $2, CX
	JGE  affine512Two

affine512Last:
	ADDQ $2, CX
	JZ   affine512Next
	AFFINE((SI), (DI), Z0)

affine512Next:
	ADDQ $16, AX
	CMPQ AX, BX
	JLT  affine512Channels
	VZEROUPPER
	RET

// AFFINE2 is a row: Z1, Z2 and Z3 are a, b and d.
#define AFFINE2(u, v, y, t, s) \
	VMOVUPS.Z   u, K4, t     \
	VMOVUPS.Z   v, K4, s     \
	VFMADD213PS Z3, Z2, s    \
	VFMADD231PS Z1, t, s     \
	VADDPS      y, s, K2, s  \
	VMOVUPS     s, K4, y

// func affine2512Vec(y, u, v, a, b, d *float32, rows, c, row int, add bool)
TEXT ·affine2512Vec(SB), NOSPLIT, $0-73
	MOVQ   c+56(FP), BX
	LASTGROUP(BX)
	ADDING(add+72(FP))
	KXNORW K4, K4, K4
	MOVQ   a+24(FP), R8
	MOVQ   b+32(FP), R9
	MOVQ   d+40(FP), R10
	MOVQ   row+64(FP), DX
	SHLQ   $2, DX              // bytes
	XORQ   AX, AX

affine2512Channels:
	GROUP(affine2512Group)
	VMOVUPS.Z (R8)(AX*4), K4, Z1
	VMOVUPS.Z (R9)(AX*4), K4, Z2
	VMOVUPS.Z (R10)(AX*4), K4, Z3
	MOVQ      y+0(FP), DI
	LEAQ      (DI)(AX*4), DI
	MOVQ      u+8(FP), SI
	LEAQ      (SI)(AX*4), SI
	MOVQ      v+16(FP), R11
	LEAQ      (R11)(AX*4), R11
	MOVQ      rows+48(FP), CX
	SUBQ      $2, CX
	JLT       affine2512Last

affine2512Two:
	AFFINE2((SI), (R11), (DI), Z0, Z4)
	AFFINE2((SI)(DX*1), (R11)(DX*1), (DI)(DX*1), Z5, Z6)
	LEAQ (SI)(DX*2), SI
	LEAQ (R11)(DX*2), R11
	LEAQ (DI)(DX*2), DI
	SUBQ $2, CX
	JGE  affine2512Two

affine2512Last:
	ADDQ $2, CX
	JZ   affine2512Next
	AFFINE2((SI), (R11), (DI), Z0, Z4)

affine2512Next:
	ADDQ $16, AX
	CMPQ AX, BX
	JLT  affine2512Channels
	VZEROUPPER
	RET

// VALUE is the weighted sum of the three rows at byte R9.
#define VALUE(v) \
	VMOVUPS.Z   (SI)(R9*1), K4, v      \
	VMULPS      Z10, v, v              \
	VFMADD231PS (DX)(R9*1), Z11, K4, v \
	VFMADD231PS (BX)(R9*1), Z12, K4, v

// func box512Vec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)
//
// As boxVec, sixteen channels at a time, of which K4 are there; K2 is K4 to add
// and none not to.
TEXT ·box512Vec(SB), NOSPLIT, $0-81
	MOVQ         y+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         d+24(FP), BX
	VBROADCASTSS wa+32(FP), Z10
	VBROADCASTSS wb+36(FP), Z11
	VBROADCASTSS wd+40(FP), Z12
	VBROADCASTSS pre+44(FP), Z13
	VBROADCASTSS post+48(FP), Z14
	VPTERNLOGD   $0xFF, Z9, Z9, Z9
	VPSRLD       $25, Z9, Z9
	VPSLLD       $23, Z9, Z9        // 1.0
	MOVQ         col+72(FP), R8
	SHLQ         $2, R8             // bytes
	MOVQ         c+64(FP), R12
	LASTGROUP(R12)
	ADDING(add+80(FP))
	KXNORW       K4, K4, K4

box512Channels:
	CMPQ  R12, $16
	JGE   box512First
	KMOVW K1, K4
	KMOVW K3, K2

box512First:
	XORQ    R9, R9               // bytes to the right pixel
	XORQ    R10, R10             // bytes to the output
	VPXORD  Z0, Z0, Z0
	VALUE(Z1)
	VMULPS  Z13, Z1, Z1
	VMOVAPS Z14, Z15
	MOVQ    cols+56(FP), CX
	SUBQ    $2, CX               // outputs whose right pixel is no edge
	JZ      box512LastButOne

box512Pixel:
	ADDQ        R8, R9
	VALUE(Z2)
	VADDPS      Z1, Z0, Z3
	VADDPS      Z2, Z3, Z3
	VMOVUPS.Z   (DI)(R10*1), K2, Z4
	VFMADD231PS Z15, Z3, Z4
	VMOVUPS     Z4, K4, (DI)(R10*1)
	ADDQ        R8, R10
	VMOVAPS     Z1, Z0
	VMOVAPS     Z2, Z1
	VMOVAPS     Z9, Z15
	DECQ        CX
	JNZ         box512Pixel

box512LastButOne:
	ADDQ        R8, R9
	VALUE(Z2)
	VMULPS      Z13, Z2, Z2
	VADDPS      Z1, Z0, Z3
	VADDPS      Z2, Z3, Z3
	VMOVUPS.Z   (DI)(R10*1), K2, Z4
	VMOVUPS.Z   (DI)(R9*1), K2, Z5
	VFMADD231PS Z15, Z3, Z4
	VMOVUPS     Z4, K4, (DI)(R10*1)
	VADDPS      Z2, Z1, Z3
	VFMADD231PS Z14, Z3, Z5
	VMOVUPS     Z5, K4, (DI)(R9*1)
	ADDQ        $64, DI
	ADDQ        $64, SI
	ADDQ        $64, DX
	ADDQ        $64, BX
	SUBQ        $16, R12
	JGT         box512Channels
	VZEROUPPER
	RET
