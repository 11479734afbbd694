// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"
#include "loops_avx2_amd64.h"

// Rows that are scaled and shifted channel by channel, AVX2: micro.affine and
// micro.affine2, described in loops.go. Four rows are done at a time, so that
// coefficients are loaded once for them, then one at a time. Operands are as in
// loops_amd64.s.
//
// SI and R11 are the inputs at the channels at hand, DI the output, DX a row and
// R13 three, in bytes; AX is the channels done and BX the whole eights, in bytes,
// R12 the channels left then, whose mask is Y15, CX the rows left.

// FOUR and ONE apply f to where the rows' channels lie.
#define FOUR(f) \
	f((SI), (R11), (DI))                         \
	f((SI)(DX*1), (R11)(DX*1), (DI)(DX*1))       \
	f((SI)(DX*2), (R11)(DX*2), (DI)(DX*2))       \
	f((SI)(R13*1), (R11)(R13*1), (DI)(R13*1))

#define ONE(f) \
	f((SI), (R11), (DI))

// EIGHT, HALF and REST load and store eight channels, four, and fewer than eight.
#define LOADEIGHT(at, y, x)  VMOVUPS at, y
#define LOADHALF(at, y, x)   VMOVUPS at, x
#define LOADREST(at, y, x)   VMASKMOVPS at, Y15, y
#define STOREEIGHT(y, x, at) VMOVUPS y, at
#define STOREHALF(y, x, at)  VMOVUPS x, at
#define STOREREST(y, x, at)  VMASKMOVPS y, Y15, at

// CHANNELS does all channels of the rows that ROWS applies macros to; the last
// five arguments are labels.
#define CHANNELS(ROWS, COEFFICIENTS, EIGHT, HALF, REST, eights, left, rest, none) \
	XORQ  AX, AX                    \
	TESTQ BX, BX                    \
	JZ    left                      \
eights:                             \
	COEFFICIENTS(LOADEIGHT)         \
	ROWS(EIGHT)                     \
	ADDQ  $32, AX                   \
	ADDQ  $32, SI                   \
	ADDQ  $32, R11                  \
	ADDQ  $32, DI                   \
	CMPQ  AX, BX                    \
	JLT   eights                    \
left:                               \
	TESTQ R12, R12                  \
	JZ    none                      \
	CMPQ  R12, $4                   \
	JNE   rest                      \
	COEFFICIENTS(LOADHALF)          \
	ROWS(HALF)                      \
	JMP   none                      \
rest:                               \
	COEFFICIENTS(LOADREST)          \
	ROWS(REST)                      \
none:                               \
	SUBQ  BX, SI                    \
	SUBQ  BX, R11                   \
	SUBQ  BX, DI

// ALL does all rows and returns.
#define ALL(COEFFICIENTS, EIGHT, HALF, REST, rows, single, one, end, eights, left, rest, none, oneEights, oneLeft, oneRest, oneNone) \
	SUBQ  $4, CX                    \
	JLT   single                    \
rows:                               \
	CHANNELS(FOUR, COEFFICIENTS, EIGHT, HALF, REST, eights, left, rest, none) \
	LEAQ  (SI)(DX*4), SI            \
	LEAQ  (R11)(DX*4), R11          \
	LEAQ  (DI)(DX*4), DI            \
	SUBQ  $4, CX                    \
	JGE   rows                      \
single:                             \
	ADDQ  $4, CX                    \
	JZ    end                       \
one:                                \
	CHANNELS(ONE, COEFFICIENTS, EIGHT, HALF, REST, oneEights, oneLeft, oneRest, oneNone) \
	ADDQ  DX, SI                    \
	ADDQ  DX, R11                   \
	ADDQ  DX, DI                    \
	DECQ  CX                        \
	JNZ   one                       \
end:                                \
	VZEROUPPER                      \
	RET

// SETUP has the channels in BX, the distance of rows in DX, in elements.
#define SETUP \
	MOVQ BX, R12       \
	ANDQ $7, R12       \
	SUBQ R12, BX       \
	SHLQ $2, BX        \
	MOVQ R12, R13      \
	TAILMASK(R13, Y15) \
	SHLQ $2, DX        \
	LEAQ (DX)(DX*2), R13

// affine: Y4 is the scale, Y5 the shift, Y3 the floor.
#define AFFINE(LOAD) \
	LOAD((R8)(AX*1), Y4, X4) \
	LOAD((R9)(AX*1), Y5, X5)

#define SCALED(LOAD, STORE, x, y) \
	LOAD(x, Y0, X0)            \
	VFMADD213PS Y5, Y4, Y0     \
	VMAXPS      Y0, Y3, Y0     \
	STORE(Y0, X0, y)

#define SCALEDADD(LOAD, STORE, x, y) \
	LOAD(x, Y0, X0)            \
	LOAD(y, Y1, X1)            \
	VFMADD213PS Y5, Y4, Y0     \
	VADDPS      Y1, Y0, Y0     \
	VMAXPS      Y0, Y3, Y0     \
	STORE(Y0, X0, y)

#define SCALEDEIGHT(x, v, y)    SCALED(LOADEIGHT, STOREEIGHT, x, y)
#define SCALEDHALF(x, v, y)     SCALED(LOADHALF, STOREHALF, x, y)
#define SCALEDREST(x, v, y)     SCALED(LOADREST, STOREREST, x, y)
#define SCALEDADDEIGHT(x, v, y) SCALEDADD(LOADEIGHT, STOREEIGHT, x, y)
#define SCALEDADDHALF(x, v, y)  SCALEDADD(LOADHALF, STOREHALF, x, y)
#define SCALEDADDREST(x, v, y)  SCALEDADD(LOADREST, STOREREST, x, y)

// affine2: Y4 and Y5 are the factors of u and v, Y6 what is added.
#define AFFINE2(LOAD) \
	LOAD((R8)(AX*1), Y4, X4) \
	LOAD((R9)(AX*1), Y5, X5) \
	LOAD((R10)(AX*1), Y6, X6)

#define BOTH(LOAD, STORE, u, v, y) \
	LOAD(v, Y1, X1)            \
	LOAD(u, Y0, X0)            \
	VFMADD213PS Y6, Y5, Y1     \
	VFMADD231PS Y4, Y0, Y1     \
	STORE(Y1, X1, y)

#define BOTHADD(LOAD, STORE, u, v, y) \
	LOAD(v, Y1, X1)            \
	LOAD(u, Y0, X0)            \
	LOAD(y, Y2, X2)            \
	VFMADD213PS Y6, Y5, Y1     \
	VFMADD231PS Y4, Y0, Y1     \
	VADDPS      Y2, Y1, Y1     \
	STORE(Y1, X1, y)

#define BOTHEIGHT(u, v, y)    BOTH(LOADEIGHT, STOREEIGHT, u, v, y)
#define BOTHHALF(u, v, y)     BOTH(LOADHALF, STOREHALF, u, v, y)
#define BOTHREST(u, v, y)     BOTH(LOADREST, STOREREST, u, v, y)
#define BOTHADDEIGHT(u, v, y) BOTHADD(LOADEIGHT, STOREEIGHT, u, v, y)
#define BOTHADDHALF(u, v, y)  BOTHADD(LOADHALF, STOREHALF, u, v, y)
#define BOTHADDREST(u, v, y)  BOTHADD(LOADREST, STOREREST, u, v, y)

// func affineVec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)
TEXT ·affineVec(SB), NOSPLIT, $0-65
	MOVQ         c+48(FP), BX
	MOVQ         row+56(FP), DX
	SETUP
	MOVQ         y+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         SI, R11 // not read
	MOVQ         scale+16(FP), R8
	MOVQ         shift+24(FP), R9
	VBROADCASTSS floor+32(FP), Y3
	MOVQ         rows+40(FP), CX
	CMPB         add+64(FP), $0
	JNE          affineAdd
	ALL(AFFINE, SCALEDEIGHT, SCALEDHALF, SCALEDREST, setRows, setSingle, setOne, setEnd, setEights, setLeft, setRest, setNone, setOneEights, setOneLeft, setOneRest, setOneNone)

affineAdd:
	ALL(AFFINE, SCALEDADDEIGHT, SCALEDADDHALF, SCALEDADDREST, addRows, addSingle, addOne, addEnd, addEights, addLeft, addRest, addNone, addOneEights, addOneLeft, addOneRest, addOneNone)

// func affine2Vec(y, u, v, a, b, d *float32, rows, c, row int, add bool)
TEXT ·affine2Vec(SB), NOSPLIT, $0-73
	MOVQ c+56(FP), BX
	MOVQ row+64(FP), DX
	SETUP
	MOVQ y+0(FP), DI
	MOVQ u+8(FP), SI
	MOVQ v+16(FP), R11
	MOVQ a+24(FP), R8
	MOVQ b+32(FP), R9
	MOVQ d+40(FP), R10
	MOVQ rows+48(FP), CX
	CMPB add+72(FP), $0
	JNE  affine2Add
	ALL(AFFINE2, BOTHEIGHT, BOTHHALF, BOTHREST, setRows, setSingle, setOne, setEnd, setEights, setLeft, setRest, setNone, setOneEights, setOneLeft, setOneRest, setOneNone)

affine2Add:
	ALL(AFFINE2, BOTHADDEIGHT, BOTHADDHALF, BOTHADDREST, addRows, addSingle, addOne, addEnd, addEights, addLeft, addRest, addNone, addOneEights, addOneLeft, addOneRest, addOneNone)
