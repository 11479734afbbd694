// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

#include "textflag.h"

// func pause()
//
// Cores of ARM boards and phones have one thread each: nothing need be yielded.
TEXT ·pause(SB), NOSPLIT, $0-0
	NOOP
	RET
