// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgenas/edgenas/ops"
)

// maxGenotype bounds the text of a genotype in bytes; the longest that
// Notation writes has 521.
const maxGenotype = 4096

// Notation returns the genotype as the code published with DARTS prints it:
//
//	Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))
//
// Two pairs for each inner node, of an operation and the node that it reads.
// DARTS prints the two in the order of their weights, which a choice does not
// have: here they stand in the order of the nodes that they read.
func (darts) Notation(c Choice) string {
	var b strings.Builder
	b.WriteString("Genotype(")
	for alpha, name := range dartsAlphas {
		if alpha > 0 {
			b.WriteString(", ")
		}
		var pairs []string
		for row, e := range dartsEdges {
			if op := dartsOps[c[alpha][row]]; op != ops.None {
				pairs = append(pairs, fmt.Sprintf("('%s', %d)", op, e.From))
			}
		}
		fmt.Fprintf(&b, "%s=[%s], %s_concat=range(2, 6)", name, strings.Join(pairs, ", "), name)
	}
	return b.String() + ")"
}

// Parse reads a genotype. The pairs of a node may stand in any order, spaces
// and line ends anywhere between the parts, and the concatenated nodes may be
// written [2, 3, 4, 5], as Python 2 did.
func (darts) Parse(text string) (Choice, error) {
	if len(text) > maxGenotype {
		return nil, fmt.Errorf("arch: genotype of %d bytes: want at most %d", len(text), maxGenotype)
	}
	p := genotypeParser{rest: text}
	c := make(Choice, len(dartsAlphas))
	p.expect("Genotype", "(")
	for alpha, name := range dartsAlphas {
		if alpha > 0 {
			p.expect(",")
		}
		p.expect(name, "=", "[")
		c[alpha] = make([]int, len(dartsEdges))
		for i := range dartsKeep * (dartsNodes - dartsInputs) {
			if i > 0 {
				p.expect(",")
			}
			p.pair(c[alpha], dartsInputs+i/dartsKeep)
		}
		p.expect("]", ",", name+"_concat", "=")
		if !p.take("range") {
			p.expect("[", "2", ",", "3", ",", "4", ",", "5", "]")
		} else {
			p.expect("(", "2", ",", "6", ")")
		}
	}
	p.expect(")")
	if p.skip(); p.rest != "" {
		p.fail("want the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

// genotypeParser reads the parts of a genotype one by one. After the first
// problem, which stays in err, it reads nothing more.
type genotypeParser struct {
	rest string
	err  error
}

func (p *genotypeParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("arch: genotype: at %.20q: %s", p.rest, fmt.Sprintf(format, args...))
	}
}

func (p *genotypeParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take reads a part if it comes next.
func (p *genotypeParser) take(part string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.rest, part)
	if ok && p.err == nil {
		p.rest = rest
	}
	return ok
}

func (p *genotypeParser) expect(parts ...string) {
	for _, part := range parts {
		if !p.take(part) {
			p.fail("want %s", part)
		}
	}
}

// pair reads an operation on an edge into node to.
func (p *genotypeParser) pair(columns []int, to int) {
	p.expect("(", "'")
	name, rest, _ := strings.Cut(p.rest, "'")
	col := slices.Index(dartsOps, name)
	if col < 0 || name == ops.None {
		p.fail("want one of %q", dartsOps[1:])
		return
	}
	p.rest = rest
	p.expect(",")
	p.skip()
	for _, row := range incoming(to) {
		from := strconv.Itoa(dartsEdges[row].From)
		switch {
		case !strings.HasPrefix(p.rest, from):
			continue
		case dartsOps[columns[row]] != ops.None:
			p.fail("node %d reads node %s twice", to, from)
		}
		columns[row] = col
		p.expect(from, ")")
		return
	}
	p.fail("want a node before %d", to)
}
