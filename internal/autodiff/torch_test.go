// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// torchSpace is a supernet that testdata/dump_torch.py has computed.
type torchSpace struct {
	name   string
	size   arch.Size
	alphas []string // names that the α are drawn from
}

var torchSpaces = []torchSpace{
	{"nb201", tiny, []string{"alpha"}},
	{"darts", tinyDARTS, []string{"normal", "reduce"}},
	{"mbconv", tinyMBConv, []string{"first", "rest"}},
}

// values reads what testdata/dump_torch.py wrote.
func (s torchSpace) values(t *testing.T) map[string][]float32 {
	t.Helper()
	file, err := os.ReadFile("testdata/" + s.name + "_torch.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(file)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for name, h := range header {
		data := file[8+int(n):][h.Offsets[0]:h.Offsets[1]]
		v := make([]float32, len(data)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		values[name] = v
	}
	return values
}

// draw is draw of dump_torch.py.
func draw(name string, n int) []float32 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	h, out := hash.Sum64(), make([]float32, n)
	for i := range out {
		h += 0x9E3779B97F4A7C15
		z := h
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out[i] = float32(float64((z^z>>31)>>40)/(1<<23) - 1)
	}
	return out
}

// torchModel has the weights and the options of dump_torch.py.
func torchModel[T kernels.Float](t *testing.T, s torchSpace) *Model[T] {
	t.Helper()
	m := supernet[T](t, s.name, s.size, 3, Options{Smoothing: 0.1})
	w := ops.Weights{}
	for _, p := range m.Params() {
		data := draw(p.Name, len(p.W))
		for i := range data {
			switch {
			case strings.HasSuffix(p.Name, ".running_mean"):
				data[i] = 0
			case strings.HasSuffix(p.Name, ".running_var"):
				data[i] = 1
			case len(p.Dims) > 1:
				data[i] *= float32(1 / math.Sqrt(float64(len(data)/p.Dims[0])))
			case strings.HasSuffix(p.Name, ".weight"):
				data[i] = 1 + data[i]/4
			default:
				data[i] /= 8
			}
		}
		w[p.Name] = ops.Tensor{Dims: p.Dims, Data: data}
	}
	if err := m.Load(w); err != nil {
		t.Fatal(err)
	}
	return m
}

// torchBatch is batch of dump_torch.py.
func torchBatch[T kernels.Float](m *Model[T], name string) {
	images := draw(name, len(m.Input()))
	x := make([]T, len(images))
	for i, v := range images {
		x[i] = T(2 * v)
	}
	kernels.NCHWToNHWC(m.Input(), x, len(m.Labels()), tiny.Colours, tiny.Image*tiny.Image)
	for i := range m.Labels() {
		m.Labels()[i] = int32((3*i + len(name)) % tiny.Classes)
	}
}

// softmax gives p of a matrix α, and softmaxGrad α's gradient from p's.
func softmax[T kernels.Float](p, alpha []T, cols int) {
	for r := 0; r < len(p); r += cols {
		var sum T
		for i := r; i < r+cols; i++ {
			p[i] = T(math.Exp(float64(alpha[i])))
			sum += p[i]
		}
		for i := r; i < r+cols; i++ {
			p[i] /= sum
		}
	}
}

func softmaxGrad[T kernels.Float](d, p, dp []T, cols int) {
	for r := 0; r < len(p); r += cols {
		var dot T
		for i := r; i < r+cols; i++ {
			dot += p[i] * dp[i]
		}
		for i := r; i < r+cols; i++ {
			d[i] = p[i] * (dp[i] - dot)
		}
	}
}

// torchAlphas are the αs, and relax makes mixture weights of them.
func torchAlphas[T kernels.Float](m *Model[T], s torchSpace) (alphas []*Param[T]) {
	for i, name := range s.alphas {
		n := len(m.Alpha(i).P)
		alpha := NewParam(name, make([]T, n), make([]T, n))
		for j, v := range draw(name, n) {
			alpha.W[j] = T(v / 2)
		}
		alphas = append(alphas, alpha)
	}
	return alphas
}

func relax[T kernels.Float](m *Model[T], alphas []*Param[T]) {
	for i, alpha := range alphas {
		softmax(m.Alpha(i).P, alpha.W, m.Alpha(i).Cols)
	}
}

// derivatives are those of the loss by all mixture weights.
func derivatives[T kernels.Float](m *Model[T]) (all []T) {
	for i := range m.Alphas() {
		all = append(all, m.Alpha(i).DP...)
	}
	return all
}

// sampled is a few elements of each learned tensor, in the order of the names.
func sampled[T kernels.Float](m *Model[T], of func(*Param[T]) []T) (all []float32) {
	params := slices.DeleteFunc(slices.Clone(m.Params()), func(p *Param[T]) bool { return !p.Learn })
	slices.SortFunc(params, func(a, b *Param[T]) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range params {
		all = append(all, spaced(p.get(of(p)))...)
	}
	return all
}

// closeTo compares relative to the largest element of want.
func closeTo[T kernels.Float](t *testing.T, what string, got []T, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	var scale, worst float64
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		worst = max(worst, math.Abs(float64(got[i])-float64(w)))
	}
	if !(worst <= tolerance*max(scale, 1e-3)) {
		t.Errorf("%s: off by %.3g of %.3g, want at most %.3g of it", what, worst, scale, tolerance)
	}
}

func TestGradientsAgainstTorch(t *testing.T) {
	for _, c := range []struct {
		name   string
		chosen []int
	}{
		{"mixture", nil},
		{"gdas", []int{3, 0, 4, 1, 2, 3}},
	} {
		t.Run(c.name+"/float32", func(t *testing.T) { testTorchGradients[float32](t, c.name, c.chosen) })
		t.Run(c.name+"/float64", func(t *testing.T) { testTorchGradients[float64](t, c.name, c.chosen) })
	}
}

func testTorchGradients[T kernels.Float](t *testing.T, name string, chosen []int) {
	space := torchSpaces[0]
	want := space.values(t)
	m := torchModel[T](t, space)
	a := m.Alpha(0)
	torchBatch(m, "train")
	if chosen == nil {
		relax(m, torchAlphas(m, space))
	} else {
		for i := range a.P {
			a.P[i], a.Open[i] = 0, chosen[i/a.Cols] == i%a.Cols
			if a.Open[i] {
				a.P[i] = 1.25
			}
		}
	}
	loss, _ := m.Step(Weights)
	closeTo(t, "loss", []T{T(loss)}, want[name+"/loss"], 1e-6)
	closeTo(t, "logits", m.Logits(), want[name+"/logits"], 1e-5)
	closeTo(t, "p", a.DP, want[name+"/p"], 1e-4)
	active := 0
	for _, p := range m.Params() {
		g, reached := want[name+"/"+p.Name]
		if !p.Learn {
			continue
		}
		if reached != p.Active() {
			t.Errorf("%s: active is %t, PyTorch's gradient is there: %t", p.Name, p.Active(), reached)
		}
		if p.Active() {
			closeTo(t, p.Name, p.get(p.G), g, 2e-4)
			active++
		}
	}
	t.Logf("%d of %d tensors have a gradient", active, len(m.Learnables()))
}

func TestSampledGradientsAgainstTorch(t *testing.T) {
	for _, space := range torchSpaces[1:] {
		t.Run(space.name+"/float32", func(t *testing.T) { testTorchSampled[float32](t, space) })
		t.Run(space.name+"/float64", func(t *testing.T) { testTorchSampled[float64](t, space) })
	}
}

func testTorchSampled[T kernels.Float](t *testing.T, space torchSpace) {
	want := space.values(t)
	m := torchModel[T](t, space)
	torchBatch(m, "train")
	relax(m, torchAlphas(m, space))
	loss, _ := m.Step(Weights)
	closeTo(t, "loss", []T{T(loss)}, want["mixture/loss"], 1e-6)
	closeTo(t, "logits", m.Logits(), want["mixture/logits"], 1e-5)
	ofP, ofWeights := 1e-3, 1e-4
	if unsafe.Sizeof(*new(T)) == 4 && space.name == "mbconv" {
		// Roundings of float32, which differ between processors, make this gradient
		// jump: inputs changed in their last bits move it as far. float64 is exact enough.
		ofP, ofWeights = 0.05, 0.05
	}
	closeTo(t, "p", derivatives(m), want["mixture/p"], ofP)
	closeTo(t, "gradients", sampled(m, func(p *Param[T]) []T { return p.G }), want["mixture/gradients"], ofWeights)
}

func TestRunningStatisticsAgainstTorch(t *testing.T) {
	for _, space := range torchSpaces {
		t.Run(space.name, func(t *testing.T) {
			want := space.values(t)
			m := torchModel[float32](t, space)
			relax(m, torchAlphas(m, space))
			torchBatch(m, "train")
			m.Forward()
			m.Step(Alpha)
			for _, p := range m.Params() {
				if strings.HasSuffix(p.Name, ".running_mean") && slices.Max(p.W) != 0 {
					t.Fatalf("%s moved without a step that trains weights", p.Name)
				}
			}
			m.Step(Weights)
			n := 0
			for _, p := range m.Params() {
				if !p.Learn {
					closeTo(t, p.Name, p.W, want["running/"+p.Name], 3e-5)
					n++
				}
			}
			if n < 40 {
				t.Errorf("%d tensors of running statistics, want those of every batch norm", n)
			}
		})
	}
}

// TestStepsAgainstTorch takes ten search steps: Adam on α, then clip and SGD on
// the weights, each on a batch of its own.
func TestStepsAgainstTorch(t *testing.T) {
	for _, c := range []struct {
		space    torchSpace
		name     string
		nesterov bool
	}{{torchSpaces[0], "sgd", false}, {torchSpaces[0], "nesterov", true}, {torchSpaces[1], "sgd", false}} {
		t.Run(c.space.name+"/"+c.name, func(t *testing.T) {
			want := c.space.values(t)
			m := torchModel[float32](t, c.space)
			alphas := torchAlphas(m, c.space)
			var learn []Learnable
			for _, a := range alphas {
				learn = append(learn, a)
			}
			sgd := SGD[float32]{LR: 0.025, Momentum: 0.9, WeightDecay: 3e-4, Nesterov: c.nesterov}
			adam := Adam[float32]{LR: 0.01, Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}
			var losses []float32
			for range 10 {
				torchBatch(m, "valid")
				relax(m, alphas)
				loss, _ := m.Step(Alpha)
				losses = append(losses, float32(loss))
				for i, alpha := range alphas {
					softmaxGrad(alpha.G, m.Alpha(i).P, m.Alpha(i).DP, m.Alpha(i).Cols)
				}
				if err := adam.Step(learn); err != nil {
					t.Fatal(err)
				}
				torchBatch(m, "train")
				relax(m, alphas)
				loss, _ = m.Step(Weights)
				norm, err := ClipGradNorm[float32](m.Learnables(), 1)
				if err != nil {
					t.Fatal(err)
				}
				losses = append(losses, float32(loss), float32(norm))
				if err := sgd.Step(m.Learnables()); err != nil {
					t.Fatal(err)
				}
			}
			var w, first, second []float32
			for _, a := range alphas {
				moments := adam.State[a.Name]
				w, first, second = append(w, a.W...), append(first, moments.First...), append(second, moments.Second...)
			}
			closeTo(t, "losses and norms", losses, want[c.name+"/losses"], 1e-4)
			closeTo(t, "α", w, want[c.name+"/alpha"], 5e-4)
			closeTo(t, "Adam's mean", first, want[c.name+"/alpha/first"], 5e-3)
			closeTo(t, "Adam's squares", second, want[c.name+"/alpha/second"], 5e-3)
			closeTo(t, "weights", sampled(m, func(p *Param[float32]) []float32 { return p.W }), want[c.name+"/weights"], 1e-4)
			momenta := sampled(m, func(p *Param[float32]) []float32 { return sgd.State[p.Name].First })
			closeTo(t, "momentum", momenta, want[c.name+"/momentum"], 1e-3)
		})
	}
}

// spaced is spaced of dump_torch.py.
func spaced(v []float32) []float32 {
	n := min(12, len(v))
	out := make([]float32, n)
	for i := range out {
		out[i] = v[i*len(v)/n]
	}
	return out
}
