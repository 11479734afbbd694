// SPDX-License-Identifier: Apache-2.0

package ops

// Count holds what a network costs apart from time.
type Count struct {
	MACs      int64 // multiply-accumulates of convolutions and linear layers, for all images of the batch
	Params    int64 // learned values
	PeakBytes int64 // most bytes of float32 activations alive at once, nodes run in order, none in place
}

// Count returns what the network costs.
func (g *Graph) Count() Count {
	var c Count
	last := make([]int, len(g.Nodes)) // last reader
	for i, n := range g.Nodes {
		last[i] = i
		for _, v := range n.In {
			last[v] = i
		}
	}
	last[g.Out] = len(g.Nodes)
	if g.Aux != 0 {
		last[g.Aux] = len(g.Nodes)
	}
	var alive int64
	for i, n := range g.Nodes {
		for _, p := range g.Params(n) {
			if p.Learn {
				c.Params += int64(p.Len())
			}
		}
		switch n.Kind {
		case Conv:
			k := int64(n.Window.Kernel)
			c.MACs += int64(n.Shape.Len()) * k * k * int64(g.Shape(n.In[0]).C/n.Groups)
		case Linear:
			c.MACs += int64(n.Shape.Len()) * int64(g.Shape(n.In[0]).C)
		}
		alive += 4 * int64(n.Shape.Len())
		c.PeakBytes = max(c.PeakBytes, alive)
		for v := range i + 1 {
			if last[v] == i {
				alive -= 4 * int64(g.Nodes[v].Shape.Len())
			}
		}
	}
	return c
}
