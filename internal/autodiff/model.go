// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"unsafe"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options says how a network is trained. The zero value is usable.
type Options struct {
	Pool      *kernels.Workers // threads; nil: the caller's alone
	Smoothing float64          // label smoothing, 0…1 (Szegedy et al. 2016, §7); 0: none
	AuxWeight float64          // of the loss of the graph's auxiliary output, if it has one; 0.4 in DARTS
	// Paths promises that at most one gate of a row is open at a time, as
	// where paths are sampled: the terms of a row then share memory.
	Paths bool
	// Alphas gives the rows and columns of each α; nil: as many as gates need.
	Alphas [][2]int
}

// Mixture is the mixture weights of one α, Rows decisions × Cols operations,
// row-major. All gates are open at first, and all weights of a row equal.
type Mixture[T kernels.Float] struct {
	Rows, Cols int
	P          []T    // the weights; the caller sets them before a step
	DP         []T    // the loss's gradient in P, of the last Step; 0 where closed and where no term is
	Open       []bool // false: the terms of this weight take no part and cost no time
}

// Mode is what a step computes gradients of.
type Mode uint8

const (
	Weights Mode = iota // of all parameters and mixture weights; running statistics follow the batch
	Alpha               // of the mixture weights alone, which costs less
	forward             // of nothing
)

// Model is a network that can be trained: its parameters, its batch of images,
// and a program of instructions on one arena of memory. It is not for
// concurrent use. Make one with [Compile].
type Model[T kernels.Float] struct {
	graph     *ops.Graph
	pool      *kernels.Workers
	paths     bool
	input     []T
	labels    []int32
	logits    []T
	loss      []T
	correct   []int32
	params    []*Param[T]
	learn     []Learnable
	leaves    []leaf[T]
	mixtures  []Mixture[T]
	program   *program[T]
	arena     []T
	reference reference
}

// reference is the graph from which the program was made.
type reference struct {
	expr  *gorgonia.ExprGraph
	loss  *gorgonia.Node
	grads gorgonia.Nodes
}

// Compile makes a trainable model of a recorded network (not of a fused one):
// coarse operations on a Gorgonia graph, differentiated by Gorgonia, made a
// program. Mixtures become gated terms, with the batch norms of their terms
// where these are not affine. Parameters are 0 until [Model.Load]. It returns
// an error for what cannot be trained: zeros as a value, grouped convolutions
// that are not depthwise.
func Compile[T kernels.Float](g *ops.Graph, o Options) (*Model[T], error) {
	m, err := compile[T](g, o)
	if err != nil {
		return nil, err
	}
	m.arena = m.program.allocate(m.program.plan(o.Paths))
	m.program.bind()
	return m, nil
}

// Plan is the size of the arena that Compile would allocate.
func Plan[T kernels.Float](g *ops.Graph, o Options) (arenaBytes int, err error) {
	m, err := compile[T](g, o)
	if err != nil {
		return 0, err
	}
	_, total := m.program.plan(o.Paths)
	var zero T
	return total * int(unsafe.Sizeof(zero)), nil
}

// compile makes a model without its arena.
func compile[T kernels.Float](g *ops.Graph, o Options) (*Model[T], error) {
	if o.Pool == nil {
		o.Pool = kernels.NewWorkers(1)
	}
	l, err := newLowering[T](g, o)
	if err != nil {
		return nil, err
	}
	m := &Model[T]{graph: g, pool: o.Pool, paths: o.Paths, params: l.params, leaves: l.learn, mixtures: l.mixtures,
		input: l.inputs[l.images], loss: make([]T, 1), correct: make([]int32, 1)}
	out := g.Shape(g.Out)
	if out.H != 1 || out.W != 1 {
		return nil, fmt.Errorf("autodiff: output %v: want N×classes×1×1", out)
	}
	m.labels, m.logits = make([]int32, out.N), make([]T, out.Len())
	logits := l.nodes[g.Out]
	args, shapes := gorgonia.Nodes{logits}, []tensor.Shape{{}, logits.Shape()}
	if g.Aux != 0 {
		if g.Shape(g.Aux) != out {
			return nil, fmt.Errorf("autodiff: auxiliary output %v: want %v", g.Shape(g.Aux), out)
		}
		args, shapes = append(args, l.nodes[g.Aux]), append(shapes, logits.Shape())
	}
	root := l.apply(loss[T]{out.N, out.C, o.Smoothing, g.Aux != 0, o.AuxWeight, m.labels, m.correct}, shapes, args...)
	root = l.pick(root, 0)
	if l.err != nil {
		return nil, l.err
	}
	pinned := map[*gorgonia.Node][]T{logits: m.logits, root: m.loss}
	var grads gorgonia.Nodes
	if len(l.learn) > 0 {
		var wrt gorgonia.Nodes
		for _, f := range l.learn {
			wrt = append(wrt, f.node)
		}
		if grads, err = gorgonia.Grad(root, wrt...); err != nil {
			return nil, fmt.Errorf("autodiff: differentiate: %w", err)
		}
		if err := l.contributions.check(); err != nil {
			return nil, err
		}
		for i, f := range l.learn {
			pinned[grads[i]] = f.grad
		}
	}
	if m.program, err = translate(m.pool, root, grads, l.inputs, pinned, l.running, o.Paths); err != nil {
		return nil, err
	}
	for _, p := range m.params {
		if p.Learn {
			m.learn = append(m.learn, p)
		}
	}
	m.reference = reference{l.expr, root, grads}
	return m, nil
}

// SetPool makes the steps run on pool from now on. It must not have more
// threads than the pool that the model was compiled for.
func (m *Model[T]) SetPool(pool *kernels.Workers) { m.pool = pool }

// Input is the batch of images, N,H,W,C. Fill it before a step.
func (m *Model[T]) Input() []T { return m.input }

// Labels are the classes of the images. Fill them before a step.
func (m *Model[T]) Labels() []int32 { return m.labels }

// Logits are the outputs of the last step, N×classes.
func (m *Model[T]) Logits() []T { return m.logits }

// Params are all stored tensors, in the order of the network.
func (m *Model[T]) Params() []*Param[T] { return m.params }

// Learnables are the parameters that learn, for solvers. The slice is the
// model's own.
func (m *Model[T]) Learnables() []Learnable { return m.learn }

// Alphas is the number of αs.
func (m *Model[T]) Alphas() int { return len(m.mixtures) }

// Alpha gives the mixture weights of α i. Its slices are the model's own.
func (m *Model[T]) Alpha(i int) Mixture[T] { return m.mixtures[i] }

// ArenaBytes is the size of the memory in which a step runs. Parameters, their
// gradients and the images are not in it.
func (m *Model[T]) ArenaBytes() int {
	var zero T
	return len(m.arena) * int(unsafe.Sizeof(zero))
}

// Step runs the network forward and backward on the batch in Input and Labels.
// It returns the mean loss and the number of images whose greatest logit is
// the label's. It does not allocate. Labels outside the classes panic, as do
// two open gates of a row with Options.Paths.
func (m *Model[T]) Step(mode Mode) (loss float64, correct int) {
	if mode >= forward {
		panic(fmt.Sprintf("autodiff: step: unknown mode %d", mode))
	}
	m.run(mode)
	for i, f := range m.leaves {
		there := m.program.live[m.program.grads[i]]
		if f.param != nil {
			f.param.active = there && mode == Weights
		} else if !there {
			clear(f.grad)
		}
	}
	return float64(m.loss[0]), int(m.correct[0])
}

// Forward is Step without gradients: batch norms take the statistics of this
// batch, nothing is learned, and no running statistics move. Gradients are
// left as they are.
func (m *Model[T]) Forward() (loss float64, correct int) {
	m.run(forward)
	return float64(m.loss[0]), int(m.correct[0])
}

func (m *Model[T]) run(mode Mode) {
	if m.paths {
		for a, x := range m.mixtures {
			for r := range x.Rows {
				open := 0
				for _, o := range x.Open[r*x.Cols : (r+1)*x.Cols] {
					if o {
						open++
					}
				}
				if open > 1 {
					panic(fmt.Sprintf("autodiff: step: row %d of α %d has %d open gates: Paths promises one", r, a, open))
				}
			}
		}
	}
	p := m.program
	clear(p.wanted)
	p.wanted[p.loss] = true
	for i, f := range m.leaves {
		p.wanted[p.grads[i]] = mode == Weights || mode == Alpha && f.param == nil
	}
	p.choose()
	for _, x := range p.ins {
		if x.on {
			x.kernel.Run(m.pool)
			if x.effect != nil && mode == Weights {
				x.effect.Run(m.pool)
			}
		}
	}
}
