// SPDX-License-Identifier: Apache-2.0

package predict

import "github.com/edgenas/edgenas/ops"

// kind is a kind of operation whose time in a network differs from that alone
// by a factor of its own.
type kind uint8

const (
	pointwise kind = iota
	conv3x3
	convLarger
	depthwise
	pooling
	sums
	others
	kinds
)

var kindNames = [kinds]string{
	"1x1 convolution", "3x3 convolution", "larger convolution", "depthwise convolution", "pooling", "sum", "other"}

func kindOf(k ops.Key) kind {
	switch {
	case k.Kind == ops.Conv && k.Groups > 1:
		return depthwise
	case k.Kind == ops.Conv && k.Window.Kernel == 1:
		return pointwise
	case k.Kind == ops.Conv && k.Window.Kernel <= 3:
		return conv3x3
	case k.Kind == ops.Conv:
		return convLarger
	case k.Kind == ops.MaxPool || k.Kind == ops.AvgPool:
		return pooling
	case k.Kind == ops.Add || k.Kind == ops.Concat:
		return sums
	}
	return others
}

// macs counts an operation's multiply-accumulates, as [ops.Graph.Count] does.
func macs(k ops.Key) float64 {
	switch k.Kind {
	case ops.Conv:
		if k.Window.Stride < 1 || k.Groups < 1 {
			return 0
		}
		return float64(k.N) * float64(k.Window.Out(k.H)) * float64(k.Window.Out(k.W)) * weightsOf(k)
	case ops.Linear:
		return float64(k.N) * weightsOf(k)
	}
	return 0
}

// weightsOf counts an operation's weights.
func weightsOf(k ops.Key) float64 {
	switch k.Kind {
	case ops.Conv:
		taps := float64(k.Window.Kernel) * float64(k.Window.Kernel)
		return taps * float64(k.In) / float64(max(1, k.Groups)) * float64(k.Out)
	case ops.Linear:
		return float64(k.In) * float64(k.Out)
	}
	return 0
}
