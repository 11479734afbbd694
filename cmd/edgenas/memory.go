// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/memory"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/search"
)

// checkMemory says how much memory a search will take, and refuses one that
// does not fit, with the batch that would.
func (a *app) checkMemory(supernet arch.Space, c search.Config, set *dataset.Set) error {
	method, err := search.NewMethod(c.Method)
	if err != nil {
		return err
	}
	options := autodiff.Options{Pool: a.workers(), Paths: method.Paths()}
	for _, alpha := range supernet.Alphas() {
		options.Alphas = append(options.Alphas, [2]int{len(alpha.Rows), len(alpha.Ops)})
	}
	g, err := supernet.Supernet(c.Batch)
	if err != nil {
		return err
	}
	plan := func(g *ops.Graph) (int, error) { return autodiff.Plan[float32](g, options) }
	data := int64(len(set.Train.Pixels) + len(set.Test.Pixels))
	available, known := memory.Available()
	if !known {
		use, err := memory.Estimate(g, plan, data)
		if err == nil {
			a.note("the search takes about %v", use)
		}
		return err
	}
	use, err := memory.Check(g, plan, data, available)
	var large *memory.TooLargeError
	if errors.As(err, &large) {
		advice := "a smaller supernet would (--search-cells, --search-channels)"
		if large.Fits > 0 {
			advice = fmt.Sprintf("--search-batch %d would", large.Fits)
		}
		return usagef("the search would take %v, and %s are available: %s", large.Use, memory.Bytes(large.Available), advice)
	}
	if err == nil {
		a.note("the search takes about %v; %s are available", use, memory.Bytes(available))
	}
	return err
}
