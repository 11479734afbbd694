// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "loops_avx2_amd64.h"

// Rows of max pooling, AVX2 and AVX-512: micro.peak, micro.pick and
// micro.pickGrad, described in loops.go. Operands are as in loops_amd64.s.

// ROW takes n pixels, again while there are as many left, then goes on at
// next. AT is the macro that applies another to n pixels: START sets a
// pixel's registers, with SI at the output and BX from one to the next; TAP
// adds the tap at AX, TAPS sets what it needs before and NUMBERS steps what it
// needs after; END writes the pixel to R10 and steps R10. The rest are labels.
// R11 is the first tap of the input's pixel, R14 its distance from the next
// pixel, R8 the distance of the next tap, in bytes, CX the columns of taps.
#define ROW(n, AT, START, FIRST, TAPS, TAP, NUMBER, NUMBERROW, END, again, eachrow, each, write, next) \
	SUBQ   $n, left-8(SP)   \
	JLT    next             \
again:                      \
	MOVQ   R10, SI          \
	AT(START)               \
	FIRST                   \
	MOVQ   R11, AX          \
	MOVQ   rows-16(SP), DX  \
	TESTQ  DX, DX           \
	JZ     write            \
eachrow:                    \
	MOVQ   CX, SI           \
each:                       \
	TAPS                    \
	AT(TAP)                 \
	ADDQ   R8, AX           \
	NUMBER                  \
	DECQ   SI               \
	JNZ    each             \
	ADDQ   R9, AX           \
	NUMBERROW               \
	DECQ   DX               \
	JNZ    eachrow          \
write:                      \
	AT(END)                 \
	IMUL3Q $n, R14, AX      \
	ADDQ   AX, R11          \
	SUBQ   $n, left-8(SP)   \
	JGE    again            \
next:                       \
	ADDQ   $n, left-8(SP)

// SETUP sets the distances of input pixels, R14, R15, R13 and R12, one, three,
// five and seven on, BX of output pixels, R8 of taps and R9 from the end of a
// row of taps to the next, in bytes. The window is at DI; AX is left at its first tap.
#define SETUP \
	SHLQ    $2, BX               \
	SHLQ    $2, R14              \
	LEAQ    (R14)(R14*2), R15    \
	LEAQ    (R14)(R14*4), R13    \
	LEAQ    (R15)(R14*4), R12    \
	MOVQ    window_rows(DI), DX  \
	MOVQ    window_cols(DI), CX  \
	TESTQ   CX, CX               \
	CMOVQEQ CX, DX               \ // no rows without columns
	MOVQ    DX, rows-16(SP)      \
	MOVQ    window_row(DI), R9   \
	MOVQ    window_col(DI), R8   \
	MOVQ    R8, AX               \
	IMULQ   CX, AX               \
	SUBQ    AX, R9               \
	SHLQ    $2, R9               \
	SHLQ    $2, R8               \
	MOVQ    window_first(DI), AX \
	SHLQ    $2, AX

// NUMBERS sets AX, DX and SI to the number of the window's first tap and the
// differences of the next in its row and of the next row.
#define NUMBERS \
	MOVQ  window_numberCol(DI), DX \
	MOVQ  DX, AX                   \
	IMULQ CX, AX                   \
	MOVQ  window_numberRow(DI), SI \
	SUBQ  AX, SI                   \
	MOVQ  window_number(DI), AX

// f takes a pixel from AX, the same from DI, and its two registers.
#define AT1(f) \
	f((AX), (DI), Y0, Y4)

#define AT2(f) \
	AT1(f)                             \
	f((AX)(R14*1), (DI)(R14*1), Y1, Y5)

#define AT4(f) \
	AT2(f)                              \
	f((AX)(R14*2), (DI)(R14*2), Y2, Y6) \
	f((AX)(R15*1), (DI)(R15*1), Y3, Y7)

#define NONE

#define LOWEST(p, q, z, w) VMOVAPS Y11, z

#define PEAK(p, q, z, w) \
	VMOVUPS p, Y8     \
	VMAXPS  z, Y8, z // z if p is NaN

#define SAVE(p, q, z, w) \
	VMOVUPS z, (R10) \
	ADDQ    BX, R10

#define SAVEPICK(p, q, z, w) SAVE(p, q, w, z)

#define LOWESTPICK(p, q, z, w) \
	VMOVAPS Y11, z  \
	VMOVAPS Y13, w

// The number of a tap is in Y9, from Y13; Y14 and Y15 are the differences.
#define FIRST     VMOVAPS Y13, Y9
#define NUMBER    VADDPS Y14, Y9, Y9
#define NUMBERROW VADDPS Y15, Y9, Y9

#define LOADNUMBERS \
	NUMBERS                   \
	VXORPS       Y13, Y13, Y13 \
	VCVTSI2SSQ   AX, X13, X13 \
	VCVTSI2SSQ   DX, X13, X14 \
	VCVTSI2SSQ   SI, X13, X15 \
	VBROADCASTSS X13, Y13     \
	VBROADCASTSS X14, Y14     \
	VBROADCASTSS X15, Y15

#define PICK(p, q, z, w) \
	VMOVUPS   p, Y8           \
	VCMPPS    $0x1E, z, Y8, Y12 \ // p > z, false for NaN
	VMAXPS    z, Y8, z        \
	VBLENDVPS Y12, Y9, w, w

#define BEFORE(p, q, z, w) \
	VANDPS (SI), Y10, z \
	ADDQ   BX, SI

#define OUTPUTS LEAQ (AX)(BP*1), DI

#define PICKGRAD(p, q, z, w) \
	VCMPPS $0x00, p, Y9, Y8 \
	VANDPS q, Y8, Y8        \
	VADDPS Y8, z, z

// The same for fewer than eight channels, whose mask is Y10 for pick, else Y12.
#define PEAKTAIL(p, q, z, w) \
	VMASKMOVPS p, Y12, Y8 \
	VMAXPS     z, Y8, z

#define SAVETAIL(p, q, z, w) \
	VMASKMOVPS z, Y12, (R10) \
	ADDQ       BX, R10

#define PICKTAIL(p, q, z, w) \
	VMASKMOVPS p, Y10, Y8       \
	VCMPPS     $0x1E, z, Y8, Y12 \
	VMAXPS     z, Y8, z         \
	VBLENDVPS  Y12, Y9, w, w

#define SAVEPICKTAIL(p, q, z, w) \
	VMASKMOVPS w, Y10, (R10) \
	ADDQ       BX, R10

#define BEFORETAIL(p, q, z, w) \
	VMASKMOVPS (SI), Y12, z \
	VANDPS     z, Y10, z    \
	ADDQ       BX, SI

#define PICKGRADTAIL(p, q, z, w) \
	VMASKMOVPS p, Y12, Y8        \
	VCMPPS     $0x00, Y8, Y9, Y8 \
	VMASKMOVPS q, Y12, Y11       \
	VANDPS     Y11, Y8, Y8       \
	VADDPS     Y8, z, z

#define AT512x1(f) \
	f((AX), (DI), Z0, Z8)

#define AT512x2(f) \
	AT512x1(f)                          \
	f((AX)(R14*1), (DI)(R14*1), Z1, Z9)

#define AT512x4(f) \
	AT512x2(f)                           \
	f((AX)(R14*2), (DI)(R14*2), Z2, Z10) \
	f((AX)(R15*1), (DI)(R15*1), Z3, Z11)

#define AT512x8(f) \
	AT512x4(f)                           \
	f((AX)(R14*4), (DI)(R14*4), Z4, Z12) \
	f((AX)(R13*1), (DI)(R13*1), Z5, Z13) \
	f((AX)(R15*2), (DI)(R15*2), Z6, Z14) \
	f((AX)(R12*1), (DI)(R12*1), Z7, Z15)

// CHANNELS512 sets K1 to the channels of a group, sixteen or the last of DI, fewer.
#define CHANNELS512(whole) \
	KXNORW K1, K1, K1    \
	SUBQ   $16, DI       \
	JGE    whole         \
	MOVL   $0xFFFF, AX   \
	NEGL   DI            \
	SHRXL  DI, AX, AX    \
	KMOVW  AX, K1        \
whole:

#define LOWEST512(p, q, z, w) VMOVAPS Z19, z

#define PEAK512(p, q, z, w) \
	VMOVUPS.Z p, K1, Z16   \
	VMAXPS    z, Z16, z

#define SAVE512(p, q, z, w) \
	VMOVUPS z, K1, (R10) \
	ADDQ    BX, R10

#define SAVEPICK512(p, q, z, w) SAVE512(p, q, w, z)

#define LOWESTPICK512(p, q, z, w) \
	VMOVAPS Z19, z \
	VMOVAPS Z18, w

// The number of a tap is in Z17, from Z18; Z20 and Z21 are the differences.
#define FIRST512     VMOVAPS Z18, Z17
#define NUMBER512    VADDPS Z20, Z17, Z17
#define NUMBERROW512 VADDPS Z21, Z17, Z17

#define LOADNUMBERS512 \
	NUMBERS                  \
	VPXORD       Z16, Z16, Z16 \
	VCVTSI2SSQ   AX, X16, X18 \
	VCVTSI2SSQ   DX, X16, X20 \
	VCVTSI2SSQ   SI, X16, X21 \
	VBROADCASTSS X18, Z18    \
	VBROADCASTSS X20, Z20    \
	VBROADCASTSS X21, Z21

#define PICK512(p, q, z, w) \
	VMOVUPS.Z p, K1, Z16       \
	VCMPPS    $0x1E, z, Z16, K2 \
	VMAXPS    z, Z16, z        \
	VMOVAPS   Z17, K2, w

#define BEFORE512(p, q, z, w) \
	VMOVUPS.Z (SI), K3, z \
	ADDQ      BX, SI


#define PICKGRAD512(p, q, z, w) \
	VCMPPS    $0x00, p, Z17, K1, K2 \
	VMOVUPS.Z q, K2, Z16            \
	VADDPS    Z16, z, z

// Eight channels at a time.
// func peakVec(y *float32, yCol int, x *float32, xCol int, window *window, cols, c int)
TEXT ·peakVec(SB), NOSPLIT, $16-56
	MOVQ yCol+8(FP), BX
	MOVQ xCol+24(FP), R14
	MOVQ window+32(FP), DI
	SETUP
	ADDQ AX, x+16(FP)
	VPCMPEQD Y11, Y11, Y11
	VPSLLD $23, Y11, Y11      // −∞

peakChannels:
	MOVQ y+0(FP), R10
	MOVQ x+16(FP), R11
	MOVQ cols+40(FP), AX
	MOVQ AX, left-8(SP)
	CMPQ c+48(FP), $8
	JLT  peakTail
	ROW(4, AT4, LOWEST, NONE, NONE, PEAK, NONE, NONE, SAVE, peak4, peak4Row, peak4Tap, peak4Write, peak4Next)
	ROW(2, AT2, LOWEST, NONE, NONE, PEAK, NONE, NONE, SAVE, peak2, peak2Row, peak2Tap, peak2Write, peak2Next)
	ROW(1, AT1, LOWEST, NONE, NONE, PEAK, NONE, NONE, SAVE, peak1, peak1Row, peak1Tap, peak1Write, peak1Next)
	ADDQ $32, y+0(FP)
	ADDQ $32, x+16(FP)
	SUBQ $8, c+48(FP)
	JNZ  peakChannels
	VZEROUPPER
	RET

peakTail:
	MOVQ c+48(FP), DI
	TAILMASK(DI, Y12)
	ROW(4, AT4, LOWEST, NONE, NONE, PEAKTAIL, NONE, NONE, SAVETAIL, peakTail4, peakTail4Row, peakTail4Tap, peakTail4Write, peakTail4Next)
	ROW(1, AT1, LOWEST, NONE, NONE, PEAKTAIL, NONE, NONE, SAVETAIL, peakTail1, peakTail1Row, peakTail1Tap, peakTail1Write, peakTail1Next)
	VZEROUPPER
	RET

// func pickVec(from *float32, col int, x *float32, xCol int, window *window, cols, c int)
TEXT ·pickVec(SB), NOSPLIT, $16-56
	MOVQ col+8(FP), BX
	MOVQ xCol+24(FP), R14
	MOVQ window+32(FP), DI
	SETUP
	ADDQ AX, x+16(FP)
	LOADNUMBERS
	VPCMPEQD Y11, Y11, Y11
	VPSLLD $23, Y11, Y11      // −∞

pickChannels:
	MOVQ from+0(FP), R10
	MOVQ x+16(FP), R11
	MOVQ cols+40(FP), AX
	MOVQ AX, left-8(SP)
	CMPQ c+48(FP), $8
	JLT  pickTail
	ROW(4, AT4, LOWESTPICK, FIRST, NONE, PICK, NUMBER, NUMBERROW, SAVEPICK, pick4, pick4Row, pick4Tap, pick4Write, pick4Next)
	ROW(2, AT2, LOWESTPICK, FIRST, NONE, PICK, NUMBER, NUMBERROW, SAVEPICK, pick2, pick2Row, pick2Tap, pick2Write, pick2Next)
	ROW(1, AT1, LOWESTPICK, FIRST, NONE, PICK, NUMBER, NUMBERROW, SAVEPICK, pick1, pick1Row, pick1Tap, pick1Write, pick1Next)
	ADDQ $32, from+0(FP)
	ADDQ $32, x+16(FP)
	SUBQ $8, c+48(FP)
	JNZ  pickChannels
	VZEROUPPER
	RET

pickTail:
	MOVQ c+48(FP), DI
	TAILMASK(DI, Y10)
	ROW(4, AT4, LOWESTPICK, FIRST, NONE, PICKTAIL, NUMBER, NUMBERROW, SAVEPICKTAIL, pickTail4, pickTail4Row, pickTail4Tap, pickTail4Write, pickTail4Next)
	ROW(1, AT1, LOWESTPICK, FIRST, NONE, PICKTAIL, NUMBER, NUMBERROW, SAVEPICKTAIL, pickTail1, pickTail1Row, pickTail1Tap, pickTail1Write, pickTail1Next)
	VZEROUPPER
	RET

// func pickGradVec(dx *float32, dxCol int, dy, from *float32, col int, window *window, cols, c int, add bool)
TEXT ·pickGradVec(SB), NOSPLIT, $16-65
	MOVQ dxCol+8(FP), BX
	MOVQ col+32(FP), R14
	MOVQ window+40(FP), DI
	SETUP
	ADDQ AX, dy+16(FP)
	ADDQ AX, from+24(FP)
	LOADNUMBERS
	MOVBLZX add+64(FP), AX
	NEGL AX
	VMOVD AX, X10
	VPBROADCASTD X10, Y10     // all ones if add

pickGradChannels:
	MOVQ dx+0(FP), R10
	MOVQ from+24(FP), R11
	MOVQ dy+16(FP), BP
	SUBQ R11, BP              // from a tap to its gradient
	MOVQ cols+48(FP), AX
	MOVQ AX, left-8(SP)
	CMPQ c+56(FP), $8
	JLT  pickGradTail
	ROW(4, AT4, BEFORE, FIRST, OUTPUTS, PICKGRAD, NUMBER, NUMBERROW, SAVE, pickGrad4, pickGrad4Row, pickGrad4Tap, pickGrad4Write, pickGrad4Next)
	ROW(2, AT2, BEFORE, FIRST, OUTPUTS, PICKGRAD, NUMBER, NUMBERROW, SAVE, pickGrad2, pickGrad2Row, pickGrad2Tap, pickGrad2Write, pickGrad2Next)
	ROW(1, AT1, BEFORE, FIRST, OUTPUTS, PICKGRAD, NUMBER, NUMBERROW, SAVE, pickGrad1, pickGrad1Row, pickGrad1Tap, pickGrad1Write, pickGrad1Next)
	ADDQ $32, dx+0(FP)
	ADDQ $32, dy+16(FP)
	ADDQ $32, from+24(FP)
	SUBQ $8, c+56(FP)
	JNZ  pickGradChannels
	VZEROUPPER
	RET

pickGradTail:
	MOVQ c+56(FP), DI
	TAILMASK(DI, Y12)
	ROW(4, AT4, BEFORETAIL, FIRST, OUTPUTS, PICKGRADTAIL, NUMBER, NUMBERROW, SAVETAIL, pickGradTail4, pickGradTail4Row, pickGradTail4Tap, pickGradTail4Write, pickGradTail4Next)
	ROW(1, AT1, BEFORETAIL, FIRST, OUTPUTS, PICKGRADTAIL, NUMBER, NUMBERROW, SAVETAIL, pickGradTail1, pickGradTail1Row, pickGradTail1Tap, pickGradTail1Write, pickGradTail1Next)
	VZEROUPPER
	RET

// func peak512Vec(y *float32, yCol int, x *float32, xCol int, window *window, cols, c int)
TEXT ·peak512Vec(SB), NOSPLIT, $16-56
	MOVQ yCol+8(FP), BX
	MOVQ xCol+24(FP), R14
	MOVQ window+32(FP), DI
	SETUP
	ADDQ AX, x+16(FP)
	VPTERNLOGD $0xFF, Z19, Z19, Z19
	VPSLLD $23, Z19, Z19      // −∞

peak512Channels:
	MOVQ c+48(FP), DI
	CHANNELS512(peak512Row)
	MOVQ y+0(FP), R10
	MOVQ x+16(FP), R11
	MOVQ cols+40(FP), AX
	MOVQ AX, left-8(SP)
	ROW(8, AT512x8, LOWEST512, NONE, NONE, PEAK512, NONE, NONE, SAVE512, peak512x8, peak512x8Row, peak512x8Tap, peak512x8Write, peak512x8Next)
	ROW(4, AT512x4, LOWEST512, NONE, NONE, PEAK512, NONE, NONE, SAVE512, peak512x4, peak512x4Row, peak512x4Tap, peak512x4Write, peak512x4Next)
	ROW(2, AT512x2, LOWEST512, NONE, NONE, PEAK512, NONE, NONE, SAVE512, peak512x2, peak512x2Row, peak512x2Tap, peak512x2Write, peak512x2Next)
	ROW(1, AT512x1, LOWEST512, NONE, NONE, PEAK512, NONE, NONE, SAVE512, peak512x1, peak512x1Row, peak512x1Tap, peak512x1Write, peak512x1Next)
	ADDQ $64, y+0(FP)
	ADDQ $64, x+16(FP)
	SUBQ $16, c+48(FP)
	JGT  peak512Channels
	VZEROUPPER
	RET

// func pick512Vec(from *float32, col int, x *float32, xCol int, window *window, cols, c int)
TEXT ·pick512Vec(SB), NOSPLIT, $16-56
	MOVQ col+8(FP), BX
	MOVQ xCol+24(FP), R14
	MOVQ window+32(FP), DI
	SETUP
	ADDQ AX, x+16(FP)
	LOADNUMBERS512
	VPTERNLOGD $0xFF, Z19, Z19, Z19
	VPSLLD $23, Z19, Z19      // −∞

pick512Channels:
	MOVQ c+48(FP), DI
	CHANNELS512(pick512Row)
	MOVQ from+0(FP), R10
	MOVQ x+16(FP), R11
	MOVQ cols+40(FP), AX
	MOVQ AX, left-8(SP)
	ROW(8, AT512x8, LOWESTPICK512, FIRST512, NONE, PICK512, NUMBER512, NUMBERROW512, SAVEPICK512, pick512x8, pick512x8Row, pick512x8Tap, pick512x8Write, pick512x8Next)
	ROW(4, AT512x4, LOWESTPICK512, FIRST512, NONE, PICK512, NUMBER512, NUMBERROW512, SAVEPICK512, pick512x4, pick512x4Row, pick512x4Tap, pick512x4Write, pick512x4Next)
	ROW(2, AT512x2, LOWESTPICK512, FIRST512, NONE, PICK512, NUMBER512, NUMBERROW512, SAVEPICK512, pick512x2, pick512x2Row, pick512x2Tap, pick512x2Write, pick512x2Next)
	ROW(1, AT512x1, LOWESTPICK512, FIRST512, NONE, PICK512, NUMBER512, NUMBERROW512, SAVEPICK512, pick512x1, pick512x1Row, pick512x1Tap, pick512x1Write, pick512x1Next)
	ADDQ $64, from+0(FP)
	ADDQ $64, x+16(FP)
	SUBQ $16, c+48(FP)
	JGT  pick512Channels
	VZEROUPPER
	RET

// func pickGrad512Vec(dx *float32, dxCol int, dy, from *float32, col int, window *window, cols, c int, add bool)
TEXT ·pickGrad512Vec(SB), NOSPLIT, $16-65
	MOVQ dxCol+8(FP), BX
	MOVQ col+32(FP), R14
	MOVQ window+40(FP), DI
	SETUP
	ADDQ AX, dy+16(FP)
	ADDQ AX, from+24(FP)
	LOADNUMBERS512

pickGrad512Channels:
	MOVQ c+56(FP), DI
	CHANNELS512(pickGrad512Row)
	MOVBLZX add+64(FP), AX
	NEGL AX
	KMOVW AX, K3
	KANDW K1, K3, K3          // the channels if add, else none
	MOVQ dx+0(FP), R10
	MOVQ from+24(FP), R11
	MOVQ dy+16(FP), BP
	SUBQ R11, BP              // from a tap to its gradient
	MOVQ cols+48(FP), AX
	MOVQ AX, left-8(SP)
	ROW(8, AT512x8, BEFORE512, FIRST512, OUTPUTS, PICKGRAD512, NUMBER512, NUMBERROW512, SAVE512, pickGrad512x8, pickGrad512x8Row, pickGrad512x8Tap, pickGrad512x8Write, pickGrad512x8Next)
	ROW(4, AT512x4, BEFORE512, FIRST512, OUTPUTS, PICKGRAD512, NUMBER512, NUMBERROW512, SAVE512, pickGrad512x4, pickGrad512x4Row, pickGrad512x4Tap, pickGrad512x4Write, pickGrad512x4Next)
	ROW(2, AT512x2, BEFORE512, FIRST512, OUTPUTS, PICKGRAD512, NUMBER512, NUMBERROW512, SAVE512, pickGrad512x2, pickGrad512x2Row, pickGrad512x2Tap, pickGrad512x2Write, pickGrad512x2Next)
	ROW(1, AT512x1, BEFORE512, FIRST512, OUTPUTS, PICKGRAD512, NUMBER512, NUMBERROW512, SAVE512, pickGrad512x1, pickGrad512x1Row, pickGrad512x1Tap, pickGrad512x1Write, pickGrad512x1Next)
	ADDQ $64, dx+0(FP)
	ADDQ $64, dy+16(FP)
	ADDQ $64, from+24(FP)
	SUBQ $16, c+56(FP)
	JGT  pickGrad512Channels
	VZEROUPPER
	RET
