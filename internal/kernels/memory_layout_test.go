// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

func TestLayout(t *testing.T) {
	const out, in, k = 3, 2, 2
	src := random[float32](1, out*in*k*k)
	hwio, back := make([]float32, len(src)), make([]float32, len(src))
	OIHWToHWIO(hwio, src, out, in, k)
	if got, want := hwio[((1*k+0)*in+1)*out+2], src[((2*in+1)*k+1)*k+0]; got != want {
		t.Errorf("weight [1][0][1][2] = %v, want %v", got, want)
	}
	HWIOToOIHW(back, hwio, out, in, k)
	near(t, "weights", back, convert[float64](src), 0)

	const n, c, hw = 2, 3, 4
	x := random[float32](2, n*c*hw)
	nhwc, planar := make([]float32, len(x)), make([]float32, len(x))
	NCHWToNHWC(nhwc, x, n, c, hw)
	if got, want := nhwc[(1*hw+3)*c+2], x[(1*c+2)*hw+3]; got != want {
		t.Errorf("pixel 3, channel 2 of image 1 = %v, want %v", got, want)
	}
	NHWCToNCHW(planar, nhwc, n, c, hw)
	near(t, "images", planar, convert[float64](x), 0)
}
