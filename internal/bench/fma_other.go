// SPDX-License-Identifier: Apache-2.0

//go:build noasm || !(amd64 || arm64)

package bench

// multiplyAdds has no loop for this processor.
func multiplyAdds() (loop func(turns int), flops int) { return nil, 0 }
