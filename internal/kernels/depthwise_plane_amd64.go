// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// depthPlaneVec is micro.depthPlane for the whole groups of eight channels, at
// least one; nothing is empty.
//
//go:noescape
func depthPlaneVec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)

// depthPlaneHalfVec is micro.depthPlane for the four channels at which the
// operands start; nothing is empty.
//
//go:noescape
func depthPlaneHalfVec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)

// slideStep is micro.slideStep of depthPlaneAVX2: half a register.
const slideStep = lanes / 2

func depthPlaneAVX2(y, mask, residual, x, w, bias []float32, floor float32, p *plane, from, rows int) {
	if p.cols == 0 || p.c == 0 || rows == 0 {
		return
	}
	if p.slide == 0 || p.c%slideStep != 0 {
		panic("kernels: depthPlane: a plane that planeOf does not make")
	}
	p.check(y, mask, residual, x, w, bias, from, rows)
	if p.c%lanes == 0 {
		depthPlaneVec(&y[0], first(mask), first(residual), first(x), first(w), first(bias), floor, p, from, rows)
		return
	}
	// Row by row, so that the last channels find the image's rows still near.
	for o := from; o < from+rows; o++ {
		at, ch := (o-from)*p.cols*p.c, p.c-slideStep
		if ch > 0 {
			depthPlaneVec(&y[at], first(tail(mask, at)), first(tail(residual, at)), first(x), first(w), first(bias), floor, p,
				o, 1)
		}
		at += ch
		depthPlaneHalfVec(&y[at], first(tail(mask, at)), first(tail(residual, at)), &x[ch], &w[ch], first(tail(bias, ch)),
			floor, p, o, 1)
	}
}

// depthPlane512Vec is micro.depthPlane; nothing is empty.
//
//go:noescape
func depthPlane512Vec(y, mask, residual, x, w, bias *float32, floor float32, p *plane, first, rows int)

func depthPlane512(y, mask, residual, x, w, bias []float32, floor float32, p *plane, from, rows int) {
	if p.cols == 0 || p.c == 0 || rows == 0 {
		return
	}
	p.check(y, mask, residual, x, w, bias, from, rows)
	depthPlane512Vec(&y[0], first(mask), first(residual), first(x), first(w), first(bias), floor, p, from, rows)
}

// check panics if a slice is too short for output rows first…first+rows−1.
func (p *plane) check(y, mask, residual, x, w, bias []float32, first, rows int) {
	depthCheck(depthOperands[float32]{y: y, mask: mask, residual: residual, yCol: p.c, bias: bias, cols: rows * p.cols,
		c: p.c})
	for _, r := range p.rowTaps {
		from, to := max(first, r.first), min(first+rows, r.end)
		for _, q := range p.colTaps {
			if from < to && q.first < q.end {
				_ = x[from*p.xRow+r.x+q.first*p.xCol+q.x]
				_ = x[(to-1)*p.xRow+r.x+(q.end-1)*p.xCol+q.x+p.c-1]
				_ = w[r.w+q.w+p.c-1]
			}
		}
	}
}
