// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"path"
	"reflect"
	"runtime"
	"strings"
)

// Variant is an implementation of the inner loops.
type Variant struct {
	Name   string `json:"name"`
	Usable bool   `json:"usable"` // this processor can run it
	Used   bool   `json:"used"`   // kernels use it
	Loops  []Loop `json:"loops"`
}

// Loop is an inner loop of a variant.
type Loop struct {
	Name     string `json:"name"`
	Function string `json:"function"` // the Go function that does it, or portable; "" if the variant does without the loop
}

// Variants lists the implementations that this program has for its platform,
// the slowest first, each with the same loops.
func Variants() (all []Variant) {
	for _, im := range variants() {
		all = append(all, Variant{im.name, im.usable, im.name == micro32.name, im.loops()})
	}
	return all
}

// loops lists the functions of the table.
func (m *micro[T]) loops() (all []Loop) {
	table := reflect.ValueOf(m).Elem()
	for _, f := range reflect.VisibleFields(table.Type()) {
		if f.Type.Kind() != reflect.Func {
			continue
		}
		loop := Loop{Name: f.Name}
		if v := table.FieldByIndex(f.Index); !v.IsNil() {
			name := path.Base(runtime.FuncForPC(v.Pointer()).Name())
			loop.Function = strings.TrimPrefix(name, "kernels.")
			if strings.Contains(name, "[") { // generic: its instance has no name
				loop.Function = "portable"
			}
		}
		all = append(all, loop)
	}
	return all
}
