// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"

	"github.com/edgenas/edgenas/internal/stats"
)

// Fall is how losses fall while networks learn: a network's loss after n images is
// its level, which no training gets below, times 1 + Fall/(1+n/[lossImages]).
// Networks differ in their level, data in Fall.
// Source: a special case of the families of curves of Domhan, Springenberg, Hutter,
// Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
// Extrapolation of Learning Curves, 2015, §3; docs/SEARCH.md compares it with
// trainings.
type Fall float64

const lossImages = 5500

// capacityFall is how much further the loss of a network falls whose capacity is 1
// greater, in logarithms, for each factor of e in images: a short training tells
// what is learned fast, not what a network can learn.
const capacityFall = 0.02

// What a Fall is taken to be before any training, how far it may be from that, and
// how far levels differ: standard deviations of logarithms.
const (
	usualFall      = 3.5
	fallDeviation  = 0.4
	levelDeviation = 0.1
)

// above is the loss after so many images, relative to its level.
func (f Fall) above(images float64) float64 { return 1 + float64(f)*lossImages/(images+lossImages) }

// Left is the loss after so many images, relative to the loss after some of them.
func (f Fall) Left(some, all float64) float64 { return f.above(all) / f.above(some) }

// Further is the loss after so many images of a network whose [Structure.Capacity]
// is so far above what is usual for its size, relative to what the loss after some
// of them and Left make it.
func Further(some, all, capacity float64) float64 {
	if all == some {
		return 1
	}
	return math.Pow(all/some, -capacityFall*capacity)
}

// Falls is the most likely Fall for networks that came to these losses after so
// many images: the one that makes the levels of most of them alike, not too far
// from what is usual. Few may be out of line: those that have hardly begun to learn.
func Falls(losses, images []float64) Fall {
	const steps, widest = 40, 3 // in deviations
	best, least := Fall(usualFall), math.Inf(1)
	for i := -steps; i <= steps; i++ {
		away := widest * float64(i) / steps
		f := Fall(usualFall * math.Exp(away*fallDeviation))
		levels := make([]float64, len(losses))
		for j, loss := range losses {
			levels[j] = math.Log(loss / f.above(images[j]))
		}
		spread := stats.RobustDeviation(levels) / levelDeviation
		unlikely := float64(away*away) + float64(float64(len(levels))*spread*spread) // no fused multiply-add
		if unlikely < least {
			best, least = f, unlikely
		}
	}
	return best
}
