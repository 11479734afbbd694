// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"

// func layVec(y *float32, yRow int, x *float32, xRow int, floor float32, rows, c int)
//
// Eight channels at a time, the last eight perhaps again.
TEXT ·layVec(SB), NOSPLIT, $0-56
	MOVQ         y+0(FP), DI
	MOVQ         yRow+8(FP), R8
	SHLQ         $2, R8
	MOVQ         x+16(FP), SI
	MOVQ         xRow+24(FP), R9
	SHLQ         $2, R9
	VBROADCASTSS floor+32(FP), Y10
	MOVQ         rows+40(FP), DX
	MOVQ         c+48(FP), BX
	SHLQ         $2, BX
	SUBQ         $32, BX        // where the last eight are

row:
	XORQ AX, AX
	CMPQ AX, BX
	JGE  last

vector:
	VMAXPS  (SI)(AX*1), Y10, Y0 // keeps NaN
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, BX
	JLT     vector

last:
	VMAXPS  (SI)(BX*1), Y10, Y0
	VMOVUPS Y0, (DI)(BX*1)
	ADDQ    R8, DI
	ADDQ    R9, SI
	DECQ    DX
	JNZ     row
	VZEROUPPER
	RET
