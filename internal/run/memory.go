// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/memory"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/search"
)

// checkMemory says how much memory a search will take, and refuses one that
// does not fit, with the batch that would. Training what it finds comes after
// it, and may take more: about as much as that of a large network.
func checkMemory(supernet arch.Space, method string, batch int, network *ops.Graph, pool *kernels.Workers) (
	note string, err error) {
	options := autodiff.Options{Pool: pool, Paths: search.Paths(method)}
	for _, alpha := range supernet.Alphas() {
		options.Alphas = append(options.Alphas, [2]int{len(alpha.Rows), len(alpha.Ops)})
	}
	g, err := supernet.Supernet(batch)
	if err != nil {
		return "", err
	}
	searching, err := toBeTrained(g, options)
	if err != nil {
		return "", err
	}
	training, err := trainingUse(network, pool)
	if err != nil {
		return "", err
	}
	available, known := memory.Available()
	if !known {
		available = math.MaxInt64
	}
	use, err := searching.Check(available)
	var large *memory.TooLargeError
	if errors.As(err, &large) {
		advice := "smaller images would"
		if large.Fits > 0 {
			advice = fmt.Sprintf("--search-batch %d would", large.Fits)
		}
		return "", fault.Usagef("the search would take %v, and %s are available: %s", large.Use,
			units.Bytes(large.Available), advice)
	}
	if err != nil {
		return "", err
	}
	note = fmt.Sprintf("the search takes about %v", use)
	if training.Total() > use.Total() {
		note += fmt.Sprintf(", training after it up to %s", units.Bytes(training.Total()))
	}
	if known {
		note += fmt.Sprintf("; %s are available", units.Bytes(available))
	}
	return note, nil
}

// trainingUse is what training a network takes, whose graph has its batch.
func trainingUse(g *ops.Graph, pool *kernels.Workers) (memory.Use, error) {
	m, err := toBeTrained(g, autodiff.Options{Pool: pool})
	if err != nil {
		return memory.Use{}, err
	}
	return m.Estimate()
}

// toBeTrained is a network as it is going to be trained. What it takes whatever
// the batch is measured on a model for one image.
func toBeTrained(g *ops.Graph, o autodiff.Options) (memory.Model, error) {
	held := memory.Held()
	m, err := autodiff.Compile[float32](g.WithBatch(1), o)
	if err != nil {
		return memory.Model{}, err
	}
	fixed := memory.Held() - held - int64(m.ArenaBytes())
	runtime.KeepAlive(m)
	plan := func(g *ops.Graph) (int, error) { return autodiff.Plan[float32](g, o) }
	return memory.Model{Graph: g, Plan: plan, Fixed: fixed, Held: held}, nil
}
