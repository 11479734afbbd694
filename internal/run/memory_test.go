// SPDX-License-Identifier: Apache-2.0

package run

import (
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/memory"
	"github.com/edgenas/edgenas/search"
)

// TestCheckMemory plans a search that fits any machine, and one for which none
// has the memory: that is refused, with a batch that would fit.
func TestCheckMemory(t *testing.T) {
	if _, known := memory.Available(); !known {
		t.Log("this system does not say how much memory there is: nothing is refused")
		return
	}
	supernet, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 64, Image: 128, Colours: 3, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	pool := kernels.NewWorkers(2)
	defer pool.Close()
	batch := 1
	largest, err := supernet.Training(arch.Choice{{0, 0, 0, 1, 1, 1}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkMemory(supernet, search.Reinforce, batch, largest, pool); err != nil {
		t.Errorf("batch 1: %v", err)
	}
	batch = 4096 // half a terabyte; the images alone are less than one gigabyte
	_, err = checkMemory(supernet, search.Reinforce, batch, largest, pool)
	if err == nil || fault.Code(err) != fault.Usage || !strings.Contains(err.Error(), "--search-batch ") {
		t.Errorf("batch %d: %v: want a usage error with the batch that would fit", batch, err)
	}
}
