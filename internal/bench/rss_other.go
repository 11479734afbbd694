// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bench

// maxRSS is 0: unknown here.
func maxRSS() int64 { return 0 }
