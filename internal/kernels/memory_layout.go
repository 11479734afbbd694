// SPDX-License-Identifier: Apache-2.0

package kernels

// OIHWToHWIO translates convolution weights from PyTorch's and ONNX's
// order, src [out][in][k][k], to dst [k][k][in][out]. Depthwise weights
// [c][1][k][k] are the case out = c, in = 1.
func OIHWToHWIO[T Float](dst, src []T, out, in, k int) {
	for o := range out {
		for i := range in {
			for t := range k * k {
				dst[(t*in+i)*out+o] = src[(o*in+i)*k*k+t]
			}
		}
	}
}

// HWIOToOIHW is the inverse of [OIHWToHWIO].
func HWIOToOIHW[T Float](dst, src []T, out, in, k int) {
	for o := range out {
		for i := range in {
			for t := range k * k {
				dst[(o*in+i)*k*k+t] = src[(t*in+i)*out+o]
			}
		}
	}
}

// NCHWToNHWC translates n images of c channels and hw pixels to channels-last.
func NCHWToNHWC[T Float](dst, src []T, n, c, hw int) {
	for i := range n {
		transpose(dst[i*c*hw:], src[i*c*hw:], c, hw)
	}
}

// NHWCToNCHW is the inverse of [NCHWToNHWC].
func NHWCToNCHW[T Float](dst, src []T, n, c, hw int) {
	for i := range n {
		transpose(dst[i*c*hw:], src[i*c*hw:], hw, c)
	}
}

// transpose turns src [rows][cols] into dst [cols][rows].
func transpose[T Float](dst, src []T, rows, cols int) {
	for r := range rows {
		for c := range cols {
			dst[c*rows+r] = src[r*cols+c]
		}
	}
}
