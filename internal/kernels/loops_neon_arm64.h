// SPDX-License-Identifier: Apache-2.0

// Go's assembler lacks the instructions below, on four float32. Arguments are
// register numbers in Go's order; d is the destination, lane an element of m.
#define FADD(m, n, d)       WORD $(0x4E20D400 | m<<16 | n<<5 | d) // d = n + m
#define FSUB(m, n, d)       WORD $(0x4EA0D400 | m<<16 | n<<5 | d) // d = n − m
#define FMAX(m, n, d)       WORD $(0x4E20F400 | m<<16 | n<<5 | d) // d = max(n, m), NaN if either is
#define FCMGT(m, n, d)      WORD $(0x6EA0E400 | m<<16 | n<<5 | d) // d = n > m ? all ones : 0
#define FCMEQ(m, n, d)      WORD $(0x4E20E400 | m<<16 | n<<5 | d) // d = n = m ? all ones : 0
#define FMUL(lane, m, n, d) WORD $(0x4F809000 | (lane&1)<<21 | (lane>>1)<<11 | m<<16 | n<<5 | d) // d = n · m[lane]
#define FMLA(lane, m, n, d) WORD $(0x4F801000 | (lane&1)<<21 | (lane>>1)<<11 | m<<16 | n<<5 | d) // d += n · m[lane]

#define FMAXNM(m, n, d)     WORD $(0x4E20C400 | m<<16 | n<<5 | d) // d = max(n, m), the other if one is NaN

// These have names in Go's assembler, but take no register numbers there.
#define COPY(n, d)          WORD $(0x4EA01C00 | n<<16 | n<<5 | d) // d = n
#define BITAND(m, n, d)     WORD $(0x4E201C00 | m<<16 | n<<5 | d) // d = n & m
#define SELECT(m, n, d)     WORD $(0x6EA01C00 | m<<16 | n<<5 | d) // d = n where m is ones
#define MULADD(m, n, d)     WORD $(0x4E20CC00 | m<<16 | n<<5 | d) // d += n · m

// WINDOW loads the rows and columns of the window at w, its first tap, and its
// distances from the end of a row of taps to the next and of taps, in bytes.
#define WINDOW(w, rows, cols, first, skip, col) \
	MOVD window_rows(w), rows   \
	MOVD window_cols(w), cols   \
	MOVD window_first(w), first \
	MOVD window_row(w), skip    \
	MOVD window_col(w), col     \
	LSL  $2, first              \
	LSL  $2, skip               \
	LSL  $2, col                \
	MSUB cols, skip, col, skip

// NUMBERS loads the number of the window's first tap and the differences of rows and columns.
#define NUMBERS(w, number, row, col) \
	MOVD window_number(w), number \
	MOVD window_numberRow(w), row \
	MOVD window_numberCol(w), col
