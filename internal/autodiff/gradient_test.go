// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"github.com/edgenas/edgenas/arch"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// checkGradients compares the gradients of a step with central differences of
// the loss: for each tensor a few elements and the slope along a random
// direction, which no wrong element escapes.
func checkGradients(t *testing.T, m *Model[float64]) {
	t.Helper()
	const h = 1e-7 // so small that hardly a ReLU changes sides between the points
	m.Step(Weights)
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(name string, w, g []float64) {
		direction, old := make([]float64, len(w)), append([]float64(nil), w...)
		slope := func() float64 {
			move := func(by float64) float64 {
				for i := range w {
					w[i] = old[i] + by*direction[i]
				}
				loss, _ := m.Forward()
				copy(w, old)
				return loss
			}
			return (move(h) - move(-h)) / (2 * h)
		}
		compare := func(what string, got, want float64) {
			if !(math.Abs(got-want) <= 1e-7+1e-5*math.Abs(want)) {
				t.Errorf("%s: %s: gradient %.9g, difference quotient %.9g", name, what, got, want)
			}
		}
		for _, i := range []int{0, rng.IntN(len(w)), len(w) - 1} {
			clear(direction)
			direction[i] = 1
			compare(fmt.Sprintf("element %d", i), g[i], slope())
		}
		var dot float64
		for i := range direction {
			direction[i] = rng.NormFloat64() / math.Sqrt(float64(len(w)))
			dot += direction[i] * g[i]
		}
		compare("slope", dot, slope())
	}
	for i := range m.Alphas() {
		a := m.Alpha(i)
		if len(a.P) == 0 {
			continue
		}
		check(fmt.Sprintf("p%d", i), a.P, append([]float64(nil), a.DP...))
	}
	most := 200 // of a large network a part
	if testing.Short() {
		most = 25
	}
	every := max(1, len(m.Params())/most)
	for i, p := range m.Params() {
		if p.Active() && i%every == 0 {
			check(p.Name, p.W, append([]float64(nil), p.G...))
		}
	}
}

func TestGradientsOfOperations(t *testing.T) {
	gates := []ops.Gate{{Row: 0, Col: 1}, {Row: 0, Col: 2}, {Row: 1, Col: 0}, {Row: 1, Col: 3}}
	for _, c := range []struct {
		name  string
		build func(b ops.Builder, x ops.Value) ops.Value
	}{
		{"conv3x3", func(b ops.Builder, x ops.Value) ops.Value { return b.Conv("y", x, 5, ops.Same(3, 1, 1), 1, false) }},
		{"conv1x1 stride 2", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 5, ops.Same(1, 2, 1), 1, false)
		}},
		{"conv3x3 dilated, bias", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 5, ops.Same(3, 1, 2), 1, true)
		}},
		{"relu conv", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", b.ReLU("relu", x), 5, ops.Same(3, 2, 1), 1, false)
		}},
		{"relu of conv and other", func(b ops.Builder, x ops.Value) ops.Value {
			r := b.ReLU("relu", x)
			return b.Add("y", b.Conv("conv", r, 4, ops.Same(3, 1, 1), 1, false), r, x)
		}},
		{"depthwise5x5", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 4, ops.Same(5, 2, 1), 4, false)
		}},
		{"relu depthwise dilated, bias", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", b.ReLU("relu", x), 4, ops.Same(3, 1, 2), 4, true)
		}},
		{"batch norm", func(b ops.Builder, x ops.Value) ops.Value { return b.BatchNorm("y", x, false) }},
		{"batch norm, affine", func(b ops.Builder, x ops.Value) ops.Value { return b.BatchNorm("y", x, true) }},
		{"batch norm in place of a max pool", func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("y", b.MaxPool("pool", x, ops.Same(3, 1, 1)), false)
		}},
		{"batch norm in place of an avg pool stride 2", func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("y", b.AvgPool("pool", x, ops.Same(3, 2, 1)), false)
		}},
		{"batch norm in place of a conv1x1", func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("y", b.Conv("conv", b.ReLU("relu", x), 5, ops.Same(1, 1, 1), 1, false), false)
		}},
		{"batch norm of a batch norm in place", func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("y", b.BatchNorm("bn", b.Conv("conv", x, 5, ops.Same(3, 1, 1), 1, false), false), false)
		}},
		{"relu", func(b ops.Builder, x ops.Value) ops.Value { return b.ReLU("y", x) }},
		{"max pool", func(b ops.Builder, x ops.Value) ops.Value { return b.MaxPool("y", x, ops.Same(3, 1, 1)) }},
		{"max pool stride 2", func(b ops.Builder, x ops.Value) ops.Value { return b.MaxPool("y", x, ops.Same(3, 2, 1)) }},
		{"avg pool", func(b ops.Builder, x ops.Value) ops.Value { return b.AvgPool("y", x, ops.Same(3, 1, 1)) }},
		{"avg pool 2x2", func(b ops.Builder, x ops.Value) ops.Value {
			return b.AvgPool("y", x, ops.Window{Kernel: 2, Stride: 2, Dilation: 1})
		}},
		{"add", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Add("y", x, b.ReLU("relu", x), b.Zero("zero", x, 1), x)
		}},
		{"chain of sums", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Add("a", x, b.BatchNorm("bn", x, true))
			z := b.Add("b", y, b.Conv("conv", y, 4, ops.Same(3, 1, 1), 1, false))
			return b.Add("c", z, y, x)
		}},
		{"mix", func(b ops.Builder, x ops.Value) ops.Value {
			conv := b.BatchNorm("bn", b.Conv("conv", b.ReLU("relu", x), 4, ops.Same(3, 1, 1), 1, false), false)
			pool := b.BatchNorm("poolbn", b.AvgPool("pool", x, ops.Same(3, 1, 1)), false)
			return b.Mix("y", 0, []ops.Value{conv, x, pool, b.MaxPool("max", x, ops.Same(3, 1, 1))}, gates)
		}},
		{"mix without norm", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("y", 0, []ops.Value{x, b.AvgPool("pool", x, ops.Same(3, 1, 1)), b.Zero("zero", x, 1)}, gates[:3])
		}},
		{"mix of one map twice", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("y", 0, []ops.Value{x, b.ReLU("relu", x), x}, gates[:3])
		}},
		{"two mixes of one α", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Mix("m", 0, []ops.Value{x, b.AvgPool("pool", x, ops.Same(3, 1, 1))}, gates[:2])
			return b.Mix("y", 0, []ops.Value{x, b.BatchNorm("bn", y, false), y}, gates[1:])
		}},
		{"two α", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Mix("m", 1, []ops.Value{x, b.AvgPool("pool", x, ops.Same(3, 1, 1))}, gates[:2])
			return b.Mix("y", 0, []ops.Value{x, y}, gates[:2])
		}},
		{"norm read twice", func(b ops.Builder, x ops.Value) ops.Value {
			n := b.BatchNorm("bn", x, false)
			return b.Add("y", n, b.Mix("m", 0, []ops.Value{n, x}, gates[:2]))
		}},
		{"separable", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Conv("depth", b.ReLU("relu", x), 4, ops.Same(3, 1, 2), 4, false)
			return b.Conv("y", y, 6, ops.Same(1, 1, 1), 1, false)
		}},
		{"separable twice, stride 2", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Conv("depth1", b.ReLU("relu1", x), 4, ops.Same(5, 2, 1), 4, false)
			y = b.BatchNorm("bn1", b.Conv("point1", y, 7, ops.Same(1, 1, 1), 1, false), false)
			y = b.Conv("depth2", b.ReLU("relu2", y), 7, ops.Same(5, 1, 1), 7, false)
			return b.BatchNorm("y", b.Conv("point2", y, 5, ops.Same(1, 1, 1), 1, false), false)
		}},
		{"separable three times, affine", func(b ops.Builder, x ops.Value) ops.Value {
			for i := range 3 {
				b := b.Scope(fmt.Sprint(i))
				x = b.Conv("depth", b.ReLU("relu", x), b.Shape(x).C, ops.Same(3, 1, 1), b.Shape(x).C, false)
				x = b.BatchNorm("bn", b.Conv("point", x, 5, ops.Same(1, 1, 1), 1, false), true)
			}
			return x
		}},
		{"mix of separables", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Conv("depth1", b.ReLU("relu1", x), 4, ops.Same(3, 1, 1), 4, false)
			y = b.BatchNorm("bn1", b.Conv("point1", y, 4, ops.Same(1, 1, 1), 1, false), false)
			z := b.Conv("depth2", b.ReLU("relu2", y), 4, ops.Same(5, 1, 1), 4, false)
			z = b.BatchNorm("bn2", b.Conv("point2", z, 4, ops.Same(1, 1, 1), 1, false), false)
			return b.Mix("y", 0, []ops.Value{z, y, x}, gates[:3])
		}},
		{"inverted residual 7x7", func(b ops.Builder, x ops.Value) ops.Value {
			return ops.ByName("mbconv_7x7_e3").Build(b, x, ops.Config{Channels: 4, Stride: 1, Affine: true})
		}},
		{"inverted residual 7x7 stride 2", func(b ops.Builder, x ops.Value) ops.Value {
			return ops.ByName("mbconv_7x7_e6").Build(b, x, ops.Config{Channels: 5, Stride: 2})
		}},
		{"mix of inverted residuals", func(b ops.Builder, x ops.Value) ops.Value {
			terms := []ops.Value{x}
			for _, op := range []string{"mbconv_3x3_e3", "mbconv_5x5_e6", "mbconv_7x7_e3"} {
				terms = append(terms, ops.ByName(op).Build(b.Scope(op), x, ops.Config{Channels: 4, Stride: 1}))
			}
			return b.Mix("y", 0, terms, gates)
		}},
		{"concat", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Conv("conv", b.ReLU("relu", x), 5, ops.Same(3, 1, 1), 1, false)
			return b.Conv("y", b.Concat("concat", x, y, x), 3, ops.Same(1, 1, 1), 1, false)
		}},
		{"cropped conv", func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", b.ReLU("relu", x), 3, ops.Window{Kernel: 1, Stride: 2, Dilation: 1, Crop: 1}, 1, false)
		}},
		{"factorized reduce", func(b ops.Builder, x ops.Value) ops.Value {
			return ops.FactorizedReduce(b.Scope("reduce"), x, ops.Config{Channels: 5, Stride: 3})
		}},
		{"factorized reduce of maps side by side", func(b ops.Builder, x ops.Value) ops.Value {
			y := b.Concat("maps", x, b.Conv("conv", x, 3, ops.Same(3, 1, 1), 1, false))
			c := ops.Config{Channels: 4, Stride: 3}
			return b.Add("y", ops.FactorizedReduce(b.Scope("a"), y, c), ops.FactorizedReduce(b.Scope("b"), y, c))
		}},
		{"factorized reduce without relu and norm, input read twice", func(b ops.Builder, x ops.Value) ops.Value {
			w := ops.Same(1, 3, 1)
			even := b.Conv("even", x, 2, w, 1, false)
			w.Crop = 1
			y := b.Concat("concat", even, b.Conv("odd", x, 3, w, 1, false))
			return b.Add("y", y, b.Conv("other", x, 5, ops.Same(3, 3, 1), 1, false))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, x := ops.NewBuilder(ops.Shape{N: 3, C: 2, H: 6, W: 5})
			x = b.BatchNorm("before.bn", b.Conv("before", x, 4, ops.Same(3, 1, 1), 1, true), true)
			// no relu after: it would hide gradients; the norm gives every pixel its own weight
			y := c.build(b, x)
			after := b.Conv("after.conv", y, b.Shape(y).C, ops.Same(3, 1, 1), 1, false)
			y = b.ReLU("after.relu", b.BatchNorm("after.bn", b.Add("after", y, after), true))
			g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool.global", y), 3))
			if err != nil {
				t.Fatal(err)
			}
			m := model[float64](t, g, Options{Smoothing: 0.1})
			checkGradients(t, m)
			checkTape(t, m)
		})
	}
}

func TestGradientsOfSupernet(t *testing.T) {
	for _, tt := range []struct {
		space string
		size  arch.Size
	}{{"nb201", tiny}, {"darts", tinyDARTS}} {
		t.Run(tt.space, func(t *testing.T) {
			m := supernet[float64](t, tt.space, tt.size, 3, Options{Smoothing: 0.1})
			checkGradients(t, m)
			checkTape(t, m)
		})
	}
}

func TestGradientsOfGates(t *testing.T) {
	for _, paths := range []bool{false, true} {
		m := supernet[float64](t, "nb201", tiny, 3, Options{Paths: paths})
		for _, columns := range [][]int{{3, 3, 3, 3, 3, 3}, {3, 0, 4, 1, 2, 3}, {2, 3, 0, 0, 0, 1}} {
			open(m.Alpha(0), columns)
			checkGradients(t, m)
		}
	}
}

func TestGradientsOfNetworks(t *testing.T) {
	for _, text := range []string{
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
		"|skip_connect~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|",
	} {
		m := network[float64](t, text, 3, Options{})
		checkGradients(t, m)
		checkTape(t, m)
	}
}
