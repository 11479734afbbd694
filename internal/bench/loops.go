// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/edgenas/edgenas/internal/kernels"
)

// WriteLoops lists the inner loops of the kernels: a line for each, a column
// for each implementation of this platform. An implementation without a loop
// lets another one take its place.
func WriteLoops(w io.Writer, all []kernels.Variant) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "loop")
	for _, v := range all {
		note := ""
		switch {
		case v.Used:
			note = " (used)"
		case !v.Usable:
			note = " (not on this processor)"
		}
		fmt.Fprintf(t, "\t%s%s", v.Name, note)
	}
	fmt.Fprintln(t)
	for i, l := range all[0].Loops {
		fmt.Fprint(t, l.Name)
		for _, v := range all {
			function := v.Loops[i].Function
			if function == "" {
				function = "-"
			}
			fmt.Fprint(t, "\t", function)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}
