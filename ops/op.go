// SPDX-License-Identifier: Apache-2.0

package ops

// Op is a candidate operation of a search space.
type Op interface {
	// Name returns the operation's name in the literature. Architecture files
	// hold it, so it never changes.
	Name() string
	// Build records the operation on x and returns its output.
	Build(b Builder, x Value, c Config) Value
}

// Config says what an edge demands of its operation.
type Config struct {
	Channels int  // of the output
	Stride   int  // 1 or 2
	Affine   bool // batch norms learn scale and shift: false in a supernet
}

// Catalogue lists every operation. Its order is the order of α's columns and of
// files on disk: append only.
var Catalogue = []Op{
	none{},
	skipConnect{},
	norConv{kernel: 1},
	norConv{kernel: 3},
	avgPool3x3{},
	maxPool3x3{},
	sepConv{kernel: 3},
	sepConv{kernel: 5},
	dilConv{kernel: 3},
	dilConv{kernel: 5},
	mbConv{kernel: 3, expansion: 3},
	mbConv{kernel: 3, expansion: 6},
	mbConv{kernel: 5, expansion: 3},
	mbConv{kernel: 5, expansion: 6},
	mbConv{kernel: 7, expansion: 3},
	mbConv{kernel: 7, expansion: 6},
}

// ByName returns the operation of the catalogue with this name, or nil.
func ByName(name string) Op {
	for _, op := range Catalogue {
		if op.Name() == name {
			return op
		}
	}
	return nil
}
