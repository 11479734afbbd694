// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"github.com/edgenas/edgenas/internal/arena"
	"github.com/edgenas/edgenas/ops"
)

// buffers says which buffer each node writes, and how long each lives.
type buffers struct {
	of    []int // by node
	lives []arena.Span
}

// planBuffers gives each node a buffer: a new one, or that of an input which
// it is the last to read and may write over. Inputs stay for good, so that a
// program can run again on what they hold.
func planBuffers(g *ops.Graph) buffers {
	last := make([]int, len(g.Nodes)) // reader of each node
	for i, n := range g.Nodes {
		if n.Kind == ops.Input {
			last[i] = len(g.Nodes)
		}
		for _, v := range n.In {
			last[v] = max(last[v], i)
		}
	}
	last[g.Out] = len(g.Nodes)
	b := buffers{of: make([]int, len(g.Nodes))}
	for i, n := range g.Nodes {
		if v, ok := overwrites(g, n); ok && last[v] == i {
			b.of[i] = b.of[v]
			b.lives[b.of[i]].Last = last[i]
			continue
		}
		first := i
		if n.Kind == ops.Input {
			first = 0
		}
		b.of[i] = b.add(arena.Span{Len: n.Shape.Len(), First: first, Last: last[i]})
	}
	return b
}

func (b *buffers) add(l arena.Span) int {
	b.lives = append(b.lives, l)
	return len(b.lives) - 1
}

// overwrites is the input that node n can write over while it reads it.
func overwrites(g *ops.Graph, n ops.Node) (v ops.Value, ok bool) {
	switch {
	case n.Accumulate:
		v = n.In[len(n.In)-1]
	case n.Kind == ops.Add, n.Kind == ops.ReLU, n.Kind == ops.BatchNorm:
		v = n.In[0]
	default:
		return 0, false
	}
	reads := 0
	for _, w := range n.In {
		if w == v {
			reads++
		}
	}
	return v, reads == 1
}
