// SPDX-License-Identifier: Apache-2.0

// The transforms of minimal filtering for registers V0…V15 of WIDTH bytes, so
// that AVX2 and AVX-512 do the same operations in the same order. x is at SI,
// its taps R8 bytes apart, three of them R9, five R10; y is at DI, its taps R11
// apart, three R12, five R13.

DATA filtering<>+0(SB)/4, $0.7071067811865476   // a
DATA filtering<>+4(SB)/4, $1.4142135623730951   // b
DATA filtering<>+8(SB)/4, $0.5                  // a²
DATA filtering<>+12(SB)/4, $2.0                 // b²
DATA filtering<>+16(SB)/4, $0.3535533905932738  // a³
DATA filtering<>+20(SB)/4, $2.8284271247461903  // b³
DATA filtering<>+24(SB)/4, $2.5                 // a²+b²
DATA filtering<>+28(SB)/4, $-0.6666666666666666 // p = 1 / 2a²(a²−b²)
DATA filtering<>+32(SB)/4, $0.16666666666666666 // q = 1 / 2b²(b²−a²)
DATA filtering<>+36(SB)/4, $-0.4714045207910317 // pa
DATA filtering<>+40(SB)/4, $0.23570226039551584 // qb
DATA filtering<>+44(SB)/4, $-0.3333333333333333 // pa²
DATA filtering<>+48(SB)/4, $0.3333333333333333  // qb²
GLOBL filtering<>(SB), RODATA|NOPTR, $52

// LOAD4 and LOAD6 load the taps of x.
#define LOAD4 \
	VMOVUPS (SI), V0        \
	VMOVUPS (SI)(R8*1), V1  \
	VMOVUPS (SI)(R8*2), V2  \
	VMOVUPS (SI)(R9*1), V3

#define LOAD6 \
	LOAD4                   \
	VMOVUPS (SI)(R8*4), V4  \
	VMOVUPS (SI)(R10*1), V5

// INPUTCONSTANTS and INPUT: Bᵀ, of what is at least V9.
#define INPUTCONSTANTS \
	VBROADCASTSS filtering<>+0(SB), V10  \
	VBROADCASTSS filtering<>+4(SB), V11  \
	VBROADCASTSS filtering<>+8(SB), V12  \
	VBROADCASTSS filtering<>+12(SB), V13 \
	VBROADCASTSS filtering<>+24(SB), V14

#define INPUT \
	VMAXPS       (SI), V9, V0       \
	VMAXPS       (SI)(R8*1), V9, V1  \
	VMAXPS       (SI)(R8*2), V9, V2  \
	VMAXPS       (SI)(R9*1), V9, V3  \
	VMAXPS       (SI)(R8*4), V9, V4  \
	VMAXPS       (SI)(R10*1), V9, V5 \
	VADDPS       V4, V0, V0         \
	VFNMADD231PS V14, V2, V0        \
	VMOVUPS      V0, (DI)           \
	VADDPS       V1, V5, V5         \
	VFNMADD231PS V14, V3, V5        \
	VMOVUPS      V5, (DI)(R13*1)    \
	VMOVAPS      V4, V6             \
	VFNMADD231PS V13, V2, V6        \ // even at ±a
	VMOVAPS      V3, V7             \
	VFNMADD231PS V13, V1, V7        \ // odd
	VMOVAPS      V6, V8             \
	VFMADD231PS  V10, V7, V8        \
	VMOVUPS      V8, (DI)(R11*1)    \
	VFNMADD231PS V10, V7, V6        \
	VMOVUPS      V6, (DI)(R11*2)    \
	VFNMADD231PS V12, V2, V4        \ // even at ±b
	VFNMADD231PS V12, V1, V3        \ // odd
	VMOVAPS      V4, V5             \
	VFMADD231PS  V11, V3, V5        \
	VMOVUPS      V5, (DI)(R12*1)    \
	VFNMADD231PS V11, V3, V4        \
	VMOVUPS      V4, (DI)(R11*4)

// WEIGHTCONSTANTS and WEIGHT: G.
#define WEIGHTCONSTANTS \
	VBROADCASTSS filtering<>+8(SB), V10  \
	VBROADCASTSS filtering<>+12(SB), V11 \
	VBROADCASTSS filtering<>+28(SB), V12 \
	VBROADCASTSS filtering<>+32(SB), V13 \
	VBROADCASTSS filtering<>+36(SB), V14 \
	VBROADCASTSS filtering<>+40(SB), V15

#define WEIGHT \
	VMOVUPS     (SI), V0           \
	VMOVUPS     (SI)(R8*1), V1     \
	VMOVUPS     (SI)(R8*2), V2     \
	VMOVUPS     V0, (DI)           \
	VMOVUPS     V2, (DI)(R13*1)    \
	VMOVAPS     V0, V3             \
	VFMADD231PS V10, V2, V3        \
	VMULPS      V12, V3, V3        \ // even at ±a
	VMULPS      V14, V1, V4        \ // odd
	VADDPS      V4, V3, V5         \
	VMOVUPS     V5, (DI)(R11*1)    \
	VSUBPS      V4, V3, V5         \
	VMOVUPS     V5, (DI)(R11*2)    \
	VFMADD231PS V11, V2, V0        \
	VMULPS      V13, V0, V0        \ // even at ±b
	VMULPS      V15, V1, V1        \ // odd
	VADDPS      V1, V0, V5         \
	VMOVUPS     V5, (DI)(R12*1)    \
	VSUBPS      V1, V0, V5         \
	VMOVUPS     V5, (DI)(R11*4)

// HALVES adds and subtracts the points ±a and ±b: V1 and V6, V3 and V7.
#define HALVES \
	VSUBPS V2, V1, V6 \
	VADDPS V2, V1, V1 \
	VSUBPS V4, V3, V7 \
	VADDPS V4, V3, V3

// TAPSCONSTANTS and TAPS: Gᵀ.
#define TAPSCONSTANTS \
	VBROADCASTSS filtering<>+28(SB), V10 \
	VBROADCASTSS filtering<>+32(SB), V11 \
	VBROADCASTSS filtering<>+36(SB), V12 \
	VBROADCASTSS filtering<>+40(SB), V13 \
	VBROADCASTSS filtering<>+44(SB), V14 \
	VBROADCASTSS filtering<>+48(SB), V15

#define TAPS \
	LOAD6                          \
	HALVES                         \
	VFMADD231PS V10, V1, V0        \
	VFMADD231PS V11, V3, V0        \
	VMOVUPS     V0, (DI)           \
	VMULPS      V12, V6, V2        \
	VFMADD231PS V13, V7, V2        \
	VMOVUPS     V2, (DI)(R11*1)    \
	VFMADD231PS V14, V1, V5        \
	VFMADD231PS V15, V3, V5        \
	VMOVUPS     V5, (DI)(R11*2)

// GRADCONSTANTS is for the transforms of tiles of outputs.
#define GRADCONSTANTS \
	VBROADCASTSS filtering<>+0(SB), V10  \
	VBROADCASTSS filtering<>+4(SB), V11  \
	VBROADCASTSS filtering<>+8(SB), V12  \
	VBROADCASTSS filtering<>+12(SB), V13 \
	VBROADCASTSS filtering<>+16(SB), V14 \
	VBROADCASTSS filtering<>+20(SB), V15

// GRAD: A.
#define GRAD \
	LOAD4                          \
	VMOVUPS     V0, (DI)           \
	VMOVUPS     V3, (DI)(R13*1)    \
	VMOVAPS     V0, V4             \
	VFMADD231PS V12, V2, V4        \ // even at ±a
	VMULPS      V10, V1, V5        \
	VFMADD231PS V14, V3, V5        \ // odd
	VADDPS      V5, V4, V6         \
	VMOVUPS     V6, (DI)(R11*1)    \
	VSUBPS      V5, V4, V6         \
	VMOVUPS     V6, (DI)(R11*2)    \
	VFMADD231PS V13, V2, V0        \ // even at ±b
	VMULPS      V11, V1, V1        \
	VFMADD231PS V15, V3, V1        \ // odd
	VADDPS      V1, V0, V6         \
	VMOVUPS     V6, (DI)(R12*1)    \
	VSUBPS      V1, V0, V6         \
	VMOVUPS     V6, (DI)(R11*4)

// OUTPUT: Aᵀ, to V0, V2, V4 and V5.
#define OUTPUT \
	LOAD6                    \
	HALVES                   \
	VADDPS      V1, V0, V0   \
	VADDPS      V3, V0, V0   \
	VMULPS      V10, V6, V2  \
	VFMADD231PS V11, V7, V2  \
	VMULPS      V12, V1, V4  \
	VFMADD231PS V13, V3, V4  \
	VFMADD231PS V14, V6, V5  \
	VFMADD231PS V15, V7, V5

// BEGIN loads the strides: R14 and R15 are from the end of a row of x and of y
// to the next, BX the bytes of a row.
#define BEGIN \
	MOVQ xs+24(FP), AX        \
	MOVQ strides_tap(AX), R8  \
	SHLQ $2, R8               \
	LEAQ (R8)(R8*2), R9       \
	LEAQ (R8)(R8*4), R10      \
	MOVQ strides_row(AX), R14 \
	MOVQ ys+8(FP), AX         \
	MOVQ strides_tap(AX), R11 \
	SHLQ $2, R11              \
	LEAQ (R11)(R11*2), R12    \
	LEAQ (R11)(R11*4), R13    \
	MOVQ strides_row(AX), R15 \
	MOVQ c+48(FP), BX         \
	SUBQ BX, R14              \
	SUBQ BX, R15              \
	SHLQ $2, R14              \
	SHLQ $2, R15              \
	SHLQ $2, BX

// PLANES does BODY for all planes, rows and channels, DX counting down the bytes.
#define PLANES(BODY) \
plane:                      \
	MOVQ y+0(FP), DI           \
	MOVQ x+16(FP), SI          \
	MOVQ rows+40(FP), CX       \
row:                        \
	MOVQ BX, DX                \
channels:                   \
	BODY                       \
	ADDQ $WIDTH, SI            \
	ADDQ $WIDTH, DI            \
	SUBQ $WIDTH, DX            \
	JNZ  channels              \
	ADDQ R14, SI               \
	ADDQ R15, DI               \
	DECQ CX                    \
	JNZ  row                   \
	MOVQ ys+8(FP), AX          \
	MOVQ strides_plane(AX), AX \
	SHLQ $2, AX                \
	ADDQ AX, y+0(FP)           \
	MOVQ xs+24(FP), AX         \
	MOVQ strides_plane(AX), AX \
	SHLQ $2, AX                \
	ADDQ AX, x+16(FP)          \
	DECQ planes+32(FP)         \
	JNZ  plane                 \
	VZEROUPPER                 \
	RET

// TILE is OUTPUT, and what is fused behind it: the bias, MASKED(at, v), which
// clears v where the mask is not positive, the residual, and the floor. The
// distances of mask and residual from y are on the stack.
#define TILE \
	OUTPUT                            \
	MOVQ   bias+72(FP), AX            \
	TESTQ  AX, AX                     \
	JZ     mask                       \
	ADDQ   BX, AX                     \
	SUBQ   DX, AX                     \ // channels done
	VMOVUPS (AX), V1                  \
	VADDPS V1, V0, V0                 \
	VADDPS V1, V2, V2                 \
	VADDPS V1, V4, V4                 \
	VADDPS V1, V5, V5                 \
mask:                                 \
	CMPQ   mask+56(FP), $0            \
	JEQ    residual                   \
	MOVQ   maskAt-8(SP), AX           \
	ADDQ   DI, AX                     \
	ZERO(V8)                          \
	MASKED((AX), V0)                  \
	CMPQ   taps+80(FP), $2            \
	JLT    residual                   \
	MASKED((AX)(R11*1), V2)           \
	JEQ    residual                   \
	MASKED((AX)(R11*2), V4)           \
	CMPQ   taps+80(FP), $4            \
	JLT    residual                   \
	MASKED((AX)(R12*1), V5)           \
residual:                             \
	CMPQ   residual+64(FP), $0        \
	JEQ    store                      \
	MOVQ   residualAt-16(SP), AX      \
	ADDQ   DI, AX                     \
	VADDPS (AX), V0, V0               \
	CMPQ   taps+80(FP), $2            \
	JLT    store                      \
	VADDPS (AX)(R11*1), V2, V2        \
	JEQ    store                      \
	VADDPS (AX)(R11*2), V4, V4        \
	CMPQ   taps+80(FP), $4            \
	JLT    store                      \
	VADDPS (AX)(R12*1), V5, V5        \
store:                                \
	CMPQ   taps+80(FP), $2            \
	VMAXPS V0, V9, V0                 \
	VMOVUPS V0, (DI)                  \
	JLT    done                       \
	VMAXPS V2, V9, V2                 \
	VMOVUPS V2, (DI)(R11*1)           \
	JEQ    done                       \
	CMPQ   taps+80(FP), $4            \
	VMAXPS V4, V9, V4                 \
	VMOVUPS V4, (DI)(R11*2)           \
	JLT    done                       \
	VMAXPS V5, V9, V5                 \
	VMOVUPS V5, (DI)(R12*1)           \
done:
