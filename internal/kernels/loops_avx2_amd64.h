// SPDX-License-Identifier: Apache-2.0

// TAILMASK loads to m the mask of the first n of eight channels; n is changed.
#define TAILMASK(n, m) \
	NEGQ    n                            \
	LEAQ    ·tailMask+32(SB), AX         \
	VMOVUPS (AX)(n*4), m
