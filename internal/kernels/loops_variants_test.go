// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"slices"
	"strings"
	"testing"
)

func TestVariants(t *testing.T) {
	all := Variants()
	if all[0].Name != "portable" || !all[0].Usable {
		t.Errorf("the first variant is %+v", all[0])
	}
	used := slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return !v.Used })
	if len(used) != 1 || !used[0].Usable {
		t.Errorf("used are %+v", used)
	}
	for _, v := range all {
		t.Logf("%s: usable=%t used=%t", v.Name, v.Usable, v.Used)
		for i, l := range v.Loops {
			if l.Name != all[0].Loops[i].Name {
				t.Errorf("%s: loop %d is %s, of %s it is %s", v.Name, i, l.Name, all[0].Name, all[0].Loops[i].Name)
			}
		}
	}
	for _, l := range all[0].Loops {
		if l.Function != "portable" {
			t.Errorf("portable %s is %q", l.Name, l.Function)
		}
	}
}

// TestMicroTwins: the twin of a variant has the same loops, each of its own or portable.
func TestMicroTwins(t *testing.T) {
	for _, im := range variants() {
		loops, twins := im.loops(), twinOf(&im.micro).loops()
		for i, l := range loops {
			f := twins[i].Function
			known := strings.HasSuffix(f, "Twin") || f == "portable"
			if (l.Function == "") != (f == "") || f != "" && !known {
				t.Errorf("%s: the twin of %s is %q", im.name, l.Name, f)
			}
		}
	}
}
