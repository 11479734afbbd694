// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// lowering turns a recorded network into a Gorgonia graph of coarse
// operations. Its shapes are physical: maps N,H,W,C, convolution weights
// kernel,kernel,in,out.
type lowering[T kernels.Float] struct {
	grapher[T]
	expr     *gorgonia.ExprGraph
	from     *ops.Graph
	paths    bool
	readers  [][]ops.Value
	nodes    []*gorgonia.Node // by node of from; nil for zeros, and for a part of another operation
	params   []*Param[T]
	byName   map[string]*Param[T]
	inputs   map[*gorgonia.Node][]T // where the values of graph inputs live
	learn    []leaf[T]
	leaves   map[string]*gorgonia.Node // of the parameters that learn
	mixtures []Mixture[T]
	weights  gorgonia.Nodes // mixture weights of each α; nil where no mixture uses it
	gates    map[*bool]*gate
	running  map[*gorgonia.Node][]runningSource[T]
	chains   map[ops.Value][]ops.Value // last convolution of a chain of separable ones → all pointwise ones
	reduces  map[ops.Value]bool        // concatenation of a factorized reduce
	reducing map[ops.Value]bool        // convolution of a factorized reduce
	absorbed map[ops.Value]bool        // part of a chain
	known    map[ops.Value]known       // where the statistics of maps are
}

// leaf is a graph input that has a gradient.
type leaf[T kernels.Float] struct {
	node  *gorgonia.Node
	grad  []T
	param *Param[T] // nil for mixture weights
}

// runningSource is a batch norm whose running statistics follow the second
// output of an operation.
type runningSource[T kernels.Float] struct {
	runningStatistics[T]
	at, c int // where its statistics are
}

// known says where the statistics of a map are, for the batch norm after it.
type known struct {
	of *gorgonia.Node // its second output
	at int
}

func newLowering[T kernels.Float](g *ops.Graph, o Options) (*lowering[T], error) {
	l := &lowering[T]{
		grapher: grapher[T]{contributions: contributions{}}, expr: gorgonia.NewGraph(), from: g, paths: o.Paths,
		readers: make([][]ops.Value, len(g.Nodes)), nodes: make([]*gorgonia.Node, len(g.Nodes)),
		byName: map[string]*Param[T]{}, leaves: map[string]*gorgonia.Node{}, inputs: map[*gorgonia.Node][]T{},
		gates: map[*bool]*gate{}, running: map[*gorgonia.Node][]runningSource[T]{}, known: map[ops.Value]known{},
	}
	for i, n := range g.Nodes {
		if len(n.Folded) > 0 || n.ReLUIn || n.ReLUOut || n.Accumulate {
			return nil, fmt.Errorf("autodiff: %s: fused graphs are for inference", n.Name)
		}
		for _, v := range n.In {
			l.readers[v] = append(l.readers[v], ops.Value(i))
		}
	}
	if err := l.makeMixtures(o.Alphas); err != nil {
		return nil, err
	}
	l.makeParams()
	l.separables()
	l.factorizedReduces()
	for i, n := range g.Nodes {
		if err := l.lower(ops.Value(i), n); err != nil {
			return nil, err
		}
		if l.err != nil {
			return nil, l.err
		}
	}
	if l.nodes[g.Out] == nil {
		return nil, fmt.Errorf("autodiff: %s: a %v cannot be the output", g.Nodes[g.Out].Name, g.Nodes[g.Out].Kind)
	}
	return l, nil
}

// makeMixtures makes the α's mixture weights, of the extents given or, where
// alphas is nil, of the extents that the gates need.
func (l *lowering[T]) makeMixtures(alphas [][2]int) error {
	given := alphas != nil
	alphas = append([][2]int(nil), alphas...)
	used := map[int]bool{}
	for _, n := range l.from.Nodes {
		for _, g := range n.Gates {
			if given && (n.Alpha >= len(alphas) || g.Row >= alphas[n.Alpha][0] || g.Col >= alphas[n.Alpha][1]) {
				return fmt.Errorf("autodiff: %s: gate %+v of α %d is outside %v", n.Name, g, n.Alpha, alphas)
			}
			for len(alphas) <= n.Alpha {
				alphas = append(alphas, [2]int{})
			}
			a := &alphas[n.Alpha]
			a[0], a[1] = max(a[0], g.Row+1), max(a[1], g.Col+1)
			used[n.Alpha] = true
		}
	}
	rows := 0
	for i, a := range alphas {
		n := a[0] * a[1]
		x := Mixture[T]{Rows: a[0], Cols: a[1], P: make([]T, n), DP: make([]T, n), Open: make([]bool, n)}
		for j := range n {
			x.P[j], x.Open[j] = 1/T(a[1]), true
			l.gates[&x.Open[j]] = &gate{open: &x.Open[j], row: rows + j/a[1]}
		}
		rows += a[0]
		l.mixtures, l.weights = append(l.mixtures, x), append(l.weights, nil)
		if used[i] {
			l.weights[i] = l.input(fmt.Sprintf("p%d", i), tensor.Shape{a[0], a[1]}, x.P)
			l.learn = append(l.learn, leaf[T]{node: l.weights[i], grad: x.DP})
		}
	}
	return nil
}

// makeParams makes the stored tensors, in the order of the network.
func (l *lowering[T]) makeParams() {
	for _, n := range l.from.Nodes {
		for _, d := range l.from.Params(n) {
			p := newParam[T](d)
			l.params, l.byName[p.Name] = append(l.params, p), p
			if p.Learn {
				l.leaves[p.Name] = l.input(p.Name, p.shape, p.W)
				l.learn = append(l.learn, leaf[T]{l.leaves[p.Name], p.G, p})
			}
		}
	}
}

// input makes an input of the graph.
func (l *lowering[T]) input(name string, s tensor.Shape, data []T) *gorgonia.Node {
	n := gorgonia.NewTensor(l.expr, dtype[T](), len(s),
		gorgonia.WithShape(s...), gorgonia.WithName(name), gorgonia.WithValue(valueFor(s, data)))
	l.inputs[n] = data
	return n
}

// learned returns the graph inputs of node n's parameters, in order.
func (l *lowering[T]) learned(n ops.Node) (nodes gorgonia.Nodes) {
	for _, d := range l.from.Params(n) {
		if d.Learn {
			nodes = append(nodes, l.leaves[d.Name])
		}
	}
	return nodes
}

// statistics makes the running statistics of batch norm n, over m rows, follow
// the batch's statistics, which begin at element at of an operation's second
// output.
func (l *lowering[T]) statistics(n ops.Node, m, at int, open *bool) runningSource[T] {
	return runningSource[T]{runningStatistics[T]{m: m, open: open,
		average: l.byName[n.Name+".running_mean"].W, spread: l.byName[n.Name+".running_var"].W}, at, n.Shape.C}
}

func physical(s ops.Shape) tensor.Shape { return tensor.Shape{s.N, s.H, s.W, s.C} }

// lower adds node i to the Gorgonia graph, unless it is part of another one.
func (l *lowering[T]) lower(i ops.Value, n ops.Node) error {
	if l.absorbed[i] || l.reducing[i] {
		return nil
	}
	switch n.Kind {
	case ops.Zero:
		return nil
	case ops.Input:
		if i != 0 {
			return fmt.Errorf("autodiff: %s: a network has one input", n.Name)
		}
		l.images = l.input(n.Name, physical(n.Shape), make([]T, n.Shape.Len()))
		l.nodes[i] = l.images
		return nil
	case ops.Add:
		return l.add(i, n)
	case ops.Mix:
		return l.mix(i, n)
	case ops.Concat:
		if l.reduces[i] {
			return l.factorizedReduce(i, n)
		}
		if l.onlyPointwiseRead(i) {
			return nil
		}
		return l.concat(i, n)
	case ops.Conv:
		if chain := l.chains[i]; chain != nil {
			return l.separable(chain)
		}
		if from, relu, ok := l.isPointwise(i); ok {
			return l.pointwise(i, n, from, relu)
		}
		from, relu := l.beforeReLU(n.In[0])
		return l.conv(i, n, l.nodes[from], relu)
	case ops.ReLU:
		if l.onlyConvsRead(i) {
			return nil
		}
	case ops.BatchNorm:
		if l.mixNormalises(i) {
			return nil
		}
	}
	return l.single(i, n)
}

// single adds a node that stands for itself and reads one map.
func (l *lowering[T]) single(i ops.Value, n ops.Node) error {
	x, in := l.nodes[n.In[0]], l.from.Shape(n.In[0])
	if x == nil {
		return fmt.Errorf("autodiff: %s: a %v reads zeros", n.Name, n.Kind)
	}
	maps := []tensor.Shape{physical(n.Shape)}
	switch n.Kind {
	case ops.ReLU:
		l.nodes[i] = l.apply(relu[T]{}, maps, x)
	case ops.MaxPool:
		d := maxPool[T]{poolShape(in, n.Window), l.site(n), l.normed(i)}
		l.pool(i, l.apply(d, poolShapes(d.PoolShape, d.norm), x), d.norm)
	case ops.AvgPool:
		d := avgPool[T]{poolShape(in, n.Window), l.site(n), l.normed(i)}
		l.pool(i, l.apply(d, poolShapes(d.PoolShape, d.norm), x), d.norm)
	case ops.GlobalAvgPool:
		l.nodes[i] = l.apply(globalAvgPool[T]{in.N, in.H * in.W, in.C}, maps, x)
	case ops.Linear:
		l.nodes[i] = l.apply(linear[T]{in.N, in.C, n.Shape.C}, maps, append(gorgonia.Nodes{x}, l.learned(n)...)...)
	case ops.BatchNorm:
		l.batchNorm(i, n, x)
	default:
		return fmt.Errorf("autodiff: %s: cannot train a %v", n.Name, n.Kind)
	}
	return nil
}

// batchNorm adds a batch norm of map x, whose statistics may be known.
func (l *lowering[T]) batchNorm(i ops.Value, n ops.Node, x *gorgonia.Node) {
	in := l.from.Shape(n.In[0])
	d := batchNorm[T]{name: n.Name, m: in.Len() / in.C, c: in.C, affine: n.Affine}
	args := append(gorgonia.Nodes{x}, l.learned(n)...)
	k, given := l.known[n.In[0]]
	if given {
		d.given = &k.at
		args = append(args, l.pick(k.of, 1))
	}
	all := l.apply(d, d.shapes(physical(n.Shape)), args...)
	if given {
		l.nodes[i] = all
	} else {
		k.of = all
		l.nodes[i] = l.pick(all, 0)
	}
	l.running[k.of] = append(l.running[k.of], l.statistics(n, d.m, k.at, nil))
}

// depthwiseShape is that of a depthwise convolution of map in.
func depthwiseShape(in ops.Shape, w ops.Window) kernels.DepthwiseShape {
	return kernels.DepthwiseShape{
		N: in.N, H: in.H, W: in.W, C: in.C, Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad, Dilation: w.Dilation,
	}
}

// poolShape is that of a pooling of map in.
func poolShape(in ops.Shape, w ops.Window) kernels.PoolShape {
	return kernels.PoolShape{N: in.N, H: in.H, W: in.W, C: in.C, Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad}
}

// normed reports whether a batch norm reads v.
func (l *lowering[T]) normed(v ops.Value) bool {
	return slices.ContainsFunc(l.readers[v], func(r ops.Value) bool { return l.from.Nodes[r].Kind == ops.BatchNorm })
}

// pool makes pooling v of the outputs of its operation. Its statistics are
// known if it is normed.
func (l *lowering[T]) pool(v ops.Value, all *gorgonia.Node, normed bool) {
	if !normed {
		l.nodes[v] = all
		return
	}
	l.nodes[v], l.known[v] = l.pick(all, 0), known{all, 0}
}

// site returns the site of a pooling, which has one where paths are sampled.
func (l *lowering[T]) site(n ops.Node) site {
	if l.paths {
		return site(n.Name)
	}
	return ""
}

// onlyConvsRead reports whether every reader of v is a convolution, which
// rectifies its input itself.
func (l *lowering[T]) onlyConvsRead(v ops.Value) bool {
	for _, r := range l.readers[v] {
		if l.from.Nodes[r].Kind != ops.Conv {
			return false
		}
	}
	return v != l.from.Out && (v != l.from.Aux || v == 0)
}

// mixNormalises reports whether v is a batch norm that becomes part of a mixture.
func (l *lowering[T]) mixNormalises(v ops.Value) bool {
	n := l.from.Nodes[v]
	return n.Kind == ops.BatchNorm && !n.Affine && len(l.readers[v]) == 1 && l.from.Nodes[l.readers[v][0]].Kind == ops.Mix
}

func (l *lowering[T]) conv(i ops.Value, n ops.Node, x *gorgonia.Node, relu bool) error {
	if x == nil {
		return fmt.Errorf("autodiff: %s: a conv reads zeros", n.Name)
	}
	in, w := l.from.Shape(n.In[0]), n.Window
	args, out := append(gorgonia.Nodes{x}, l.learned(n)...), []tensor.Shape{physical(n.Shape)}
	switch {
	case n.Groups == 1:
		s := kernels.ConvShape{
			N: in.N, H: in.H, W: in.W, In: in.C, Out: n.Shape.C,
			Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad, Dilation: w.Dilation, Crop: w.Crop,
		}
		l.nodes[i] = l.apply(conv[T]{s, relu, n.Bias}, out, args...)
	case n.Groups == in.C && in.C == n.Shape.C:
		l.nodes[i] = l.apply(depthwise[T]{depthwiseShape(in, w), relu, n.Bias}, out, args...)
	default:
		return fmt.Errorf("autodiff: %s: %d groups for %d to %d channels: convolutions are dense or depthwise",
			n.Name, n.Groups, in.C, n.Shape.C)
	}
	return nil
}

// add leaves zeros out of a sum, and the sum of what is left where that is one map.
func (l *lowering[T]) add(i ops.Value, n ops.Node) error {
	var xs gorgonia.Nodes
	for _, v := range n.In {
		if l.nodes[v] != nil {
			xs = append(xs, l.nodes[v])
		}
	}
	switch len(xs) {
	case 0: // zeros too
	case 1:
		l.nodes[i] = xs[0]
	default:
		l.nodes[i] = l.apply(add[T]{}, []tensor.Shape{physical(n.Shape)}, xs...)
	}
	return nil
}

// concat lays maps side by side.
func (l *lowering[T]) concat(i ops.Value, n ops.Node) error {
	d := concat[T]{m: n.Shape.Len() / n.Shape.C}
	var args gorgonia.Nodes
	for _, v := range n.In {
		if l.nodes[v] == nil {
			return fmt.Errorf("autodiff: %s: a concat reads zeros", n.Name)
		}
		args = append(args, l.nodes[v])
		d.channels = append(d.channels, l.from.Shape(v).C)
	}
	l.nodes[i] = l.apply(d, []tensor.Shape{physical(n.Shape)}, args...)
	return nil
}

func (l *lowering[T]) mix(i ops.Value, n ops.Node) error {
	d := mix[T]{name: n.Name, m: n.Shape.Len() / n.Shape.C, c: n.Shape.C, paths: l.paths}
	x := l.mixtures[n.Alpha]
	var args, given gorgonia.Nodes
	var sources []runningSource[T]
	for j, v := range n.In {
		t := mixTerm{p: n.Gates[j].Row*x.Cols + n.Gates[j].Col, stats: d.statistics()}
		t.gate = l.gates[&x.Open[t.p]]
		norm := l.from.Nodes[v]
		if t.norm = l.mixNormalises(v); t.norm {
			v = norm.In[0]
		}
		if l.nodes[v] == nil { // zeros are a term without work
			continue
		}
		if k, ok := l.known[v]; ok && t.norm {
			t.given, t.stats = true, k.at
			given = append(given, l.pick(k.of, 1))
			l.running[k.of] = append(l.running[k.of], l.statistics(norm, d.m, k.at, nil))
		} else if t.norm {
			sources = append(sources, l.statistics(norm, d.m, t.stats, t.gate.open))
		}
		args, d.terms = append(args, l.nodes[v]), append(d.terms, t)
	}
	if len(args) == 0 {
		return fmt.Errorf("autodiff: %s: a mixture of nothing but zeros", n.Name)
	}
	args = append(append(args, l.weights[n.Alpha]), given...)
	out := []tensor.Shape{physical(n.Shape), {max(1, d.statistics())}} // Gorgonia has no empty vectors
	all := l.apply(d, out, args...)
	l.running[all] = sources
	l.nodes[i] = l.pick(all, 0)
	return nil
}
