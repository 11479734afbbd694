// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/internal/ridge"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Model names a way to predict a network from the counts of its operations.
type Model string

// The models, the simplest first.
const (
	Sum         Model = "sum"          // the times of all operations
	SumConstant Model = "sum+constant" // and the constant that the profile gives
	MACs        Model = "macs"         // a line through multiply-accumulates
	ByKind      Model = "by-kind"      // the times × a factor for each kind of operation, and a constant
	ByOperation Model = "by-operation" // as by-kind, and each operation deviates from its kind
)

// Calibration says how a table predicts, and what that rests on.
type Calibration struct {
	Model     Model    `json:"model"`
	Basis     string   `json:"basis"`      // why this model, in words
	ConstantS float64  `json:"constant_s"` // of a whole network beyond its operations
	Factors   []Factor `json:"factors"`    // of the kinds that the profile has; none for MACs

	// CachePressure is how much longer operations with weights take in the network
	// that has the most weights, relative: the more there are, the fewer are still
	// in a cache when they are needed. In other networks it is in proportion.
	CachePressure float64 `json:"cache_pressure"`

	HeldOut []HeldOut `json:"held_out"` // each model that was tried; none with fewer than three networks
	Drift   bool      `json:"drift"`    // times were put right by those of the sentinel

	Measured int       `json:"measured"` // networks that were to be measured whole
	Used     int       `json:"used"`     // of them in the fit
	LeftOut  []LeftOut `json:"left_out"` // the others
}

// Factor is how many times longer operations of a kind take in a network than alone.
type Factor struct {
	Kind      string  `json:"kind"`
	Value     float64 `json:"value"`
	Deviation float64 `json:"deviation"` // standard deviation of Value, as far as the networks leave it open
	Lo        float64 `json:"lo"`        // smallest factor of one of its operations
	Hi        float64 `json:"hi"`        // largest
}

// HeldOut is how far a model's predictions are from networks that it was not fitted to.
type HeldOut struct {
	Model Model   `json:"model"`
	MAPE  float64 `json:"mape"` // mean of |predicted / measured − 1|
}

// LeftOut is a network that was measured, or was to be, and is not in the fit.
type LeftOut struct {
	Arch   string `json:"arch"`
	Reason string `json:"reason"`
}

// The prior: how far from the table the fit looks for the truth. Operations are
// measured in chains, with warm inputs; networks read memory and run cold code.
const (
	allDeviation       = 0.2 // of the factor that all operations share, from 1
	kindDeviation      = 0.1 // of a kind's factor from that of all
	operationDeviation = 0.1 // of an operation's factor from its kind's
	pressureDeviation  = 0.1 // of the cache pressure from 0, in the network with the most weights
	constantDeviation  = 0.1 // of the constant from 0, as a share of the smallest network
	noiseFloor         = 0.005
	smallestFactor     = 0.05 // an operation takes some time
)

const (
	fewNetworks  = 3    // below it, networks say too little to fit anything
	vague        = 0.25 // width of a network's bounds, relative to its median, beyond which it says nothing
	absurd       = 100  // ratio of a network to the sum of its operations that no factor explains
	manyNetworks = 40   // more are held out in groups
	foldsOfMany  = 10
	outlier      = 0.15 // a network's least held-out error for it to be an outlier
	outlierTimes = 6    // and its least, in medians of all networks' errors
	mostDrift    = 2.0  // of the sentinel from its usual time; what moves more is no drift
	mostOutliers = 0.25 // share of networks; where more are, they are no outliers
)

// network is a network that was measured whole.
type network struct {
	arch     string
	terms    []term
	seconds  float64 // measured
	steady   float64 // measured, as if the machine had been in the state that the sentinel had mostly
	own      float64 // standard deviation of seconds, relative
	sentinel float64 // while it was measured; 0: not recorded
	sum      float64
	macs     float64
}

// term is an operation of a network.
type term struct {
	cost  int // index into Table.costs
	count float64
}

// line is a fitted model. But for the cache pressure, all models are linear in the
// counts.
type line struct {
	seconds  []float64 // of each operation, as in Table.costs
	constant float64
	pressure float64   // as Calibration.CachePressure
	alone    []float64 // seconds of each operation alone; as weights, read only where there is pressure
	weights  []float64 // of each operation, as a share of the network with the most
	factors  []Factor
}

// predict returns what a network takes.
func (l line) predict(terms []term) float64 {
	s := l.constant
	for _, t := range terms {
		s += t.count * l.seconds[t.cost]
	}
	if l.pressure > 0 {
		s += l.pressure * pressure(terms, l.alone, l.weights)
	}
	return s
}

// pressure is what the operations with weights take, times all weights.
func pressure(terms []term, seconds, weights []float64) float64 {
	time, all := 0.0, 0.0
	for _, t := range terms {
		if w := weights[t.cost]; w > 0 {
			time += t.count * seconds[t.cost]
			all += t.count * w
		}
	}
	return time * all
}

// calibrator fits models to networks. Its times are those of the operations
// alone, put right for drift or not.
type calibrator struct {
	costs    []cost
	seconds  []float64
	networks []network
	steady   bool
}

// sum is the model of the table as it is.
func (c *calibrator) sum(constant float64) line {
	return line{seconds: c.seconds, constant: constant, factors: c.factors(nil, nil)}
}

// target is what a model is fitted to.
func (c *calibrator) target(n network) float64 {
	if c.steady {
		return n.steady
	}
	return n.seconds
}

// fit fits a model to some of the networks. Not ok is a model that they do not allow.
func (c *calibrator) fit(m Model, networks []network) (l line, ok bool) {
	switch m {
	case MACs:
		return c.macs(networks)
	case ByKind:
		return c.calibrated(networks, 0), true
	case ByOperation:
		return c.calibrated(networks, operationDeviation), true
	}
	return c.sum(0), true
}

// regress fits the rows to 1, where all is relative to the measured latency, so
// that errors are relative. The last columns, so many, are not negative.
func regress(rows [][]float64, target, own, deviation []float64, positive int) ridge.Regression {
	deviation = slices.Clone(deviation)
	for {
		r := ridge.Fit(rows, target, own, deviation, noiseFloor)
		worst, least := -1, 0.0
		for i := len(deviation) - positive; i < len(deviation); i++ {
			if c := r.Coefficients[i]; c < least {
				worst, least = i, c
			}
		}
		if worst < 0 {
			return r
		}
		deviation[worst] = 0
	}
}

// macs fits the line through multiply-accumulates.
func (c *calibrator) macs(networks []network) (line, bool) {
	const wide = 10 // the prior says nothing
	var perMAC, all []float64
	for _, n := range networks {
		all = append(all, c.target(n))
		if n.macs > 0 {
			perMAC = append(perMAC, c.target(n)/n.macs)
		}
	}
	if len(perMAC) == 0 {
		return line{}, false
	}
	slope, typical := stats.Median(perMAC), stats.Median(all)
	var rows [][]float64
	var target, own []float64
	for _, n := range networks {
		s := c.target(n)
		row := []float64{slope * n.macs / s, typical / s}
		if row[0] > absurd*absurd || row[1] > absurd*absurd {
			return line{}, false
		}
		rows, target, own = append(rows, row), append(target, 1), append(own, n.own)
	}
	r := regress(rows, target, own, []float64{wide, wide}, 1)
	if r.Coefficients[0] <= 0 {
		return line{}, false
	}
	l := line{seconds: make([]float64, len(c.costs)), constant: r.Coefficients[1] * typical}
	for i := range c.costs {
		l.seconds[i] = r.Coefficients[0] * slope * macs(c.costs[i].key)
	}
	return l, true
}

// calibrated fits a factor for each kind of operation and, if operation is
// above 0, each operation's deviation from it.
func (c *calibrator) calibrated(networks []network, operation float64) line {
	smallest := math.Inf(1)
	for _, n := range networks {
		smallest = min(smallest, c.target(n))
	}
	columns := 1 + int(kinds) + len(c.costs) + 2
	deviation := make([]float64, columns)
	deviation[0] = allDeviation
	for i := range columns - 3 {
		deviation[1+i] = kindDeviation
		if i >= int(kinds) {
			deviation[1+i] = operation
		}
	}
	deviation[columns-2], deviation[columns-1] = pressureDeviation, constantDeviation
	weights, most := make([]float64, len(c.costs)), 1.0
	for i := range c.costs {
		weights[i] = weightsOf(c.costs[i].key)
	}
	for _, n := range networks {
		all := 0.0
		for _, t := range n.terms {
			all += t.count * weights[t.cost]
		}
		most = max(most, all)
	}
	for i := range weights {
		weights[i] /= most
	}
	row := func(terms []term, seconds float64) []float64 {
		row := make([]float64, columns)
		for _, t := range terms {
			share := t.count * c.seconds[t.cost] / seconds
			row[0] += share
			row[1+int(kindOf(c.costs[t.cost].key))] += share
			row[1+int(kinds)+t.cost] = share
		}
		row[columns-2] = pressure(terms, c.seconds, weights) / seconds
		row[columns-1] = smallest / seconds
		return row
	}
	var rows [][]float64
	var target, own []float64
	for _, n := range networks {
		of := row(n.terms, c.target(n))
		rows, target, own = append(rows, of), append(target, 1-of[0]), append(own, n.own)
	}
	r := regress(rows, target, own, deviation, 2)

	beta := r.Coefficients
	l := line{seconds: make([]float64, len(c.costs)), constant: beta[columns-1] * smallest,
		pressure: beta[columns-2], alone: c.seconds, weights: weights}
	factors := make([]float64, len(c.costs))
	for i := range c.costs {
		k := int(kindOf(c.costs[i].key))
		factors[i] = max(smallestFactor, 1+beta[0]+beta[1+k]+beta[1+int(kinds)+i])
		l.seconds[i] = factors[i] * c.seconds[i]
	}
	l.factors = c.factors(factors, func(k kind) (value, open float64) {
		of := make([]float64, columns)
		of[0], of[1+k] = 1, 1
		return max(smallestFactor, 1+beta[0]+beta[1+k]), r.Deviation(of)
	})
	return l
}

// factors lists the factor of each kind that the table has. Without any, all are 1.
func (c *calibrator) factors(of []float64, kindFactor func(kind) (value, deviation float64)) []Factor {
	var list []Factor
	for k := range kinds {
		f := Factor{Kind: kindNames[k], Value: 1, Lo: math.Inf(1), Hi: math.Inf(-1)}
		for i := range c.costs {
			if kindOf(c.costs[i].key) != k || c.costs[i].failure != "" {
				continue
			}
			factor := 1.0
			if of != nil {
				factor = of[i]
			}
			f.Lo, f.Hi = min(f.Lo, factor), max(f.Hi, factor)
		}
		if math.IsInf(f.Lo, 1) {
			continue
		}
		if kindFactor != nil {
			f.Value, f.Deviation = kindFactor(k)
		}
		list = append(list, f)
	}
	return list
}

// heldOut predicts each network by a model that was fitted to the others. With
// many networks, they are held out in groups.
func (c *calibrator) heldOut(m Model) (predicted []float64, ok bool) {
	folds := len(c.networks)
	if folds > manyNetworks {
		folds = foldsOfMany
	}
	predicted = make([]float64, len(c.networks))
	for f := range folds {
		var others []network
		for i, n := range c.networks {
			if i%folds != f {
				others = append(others, n)
			}
		}
		l, ok := c.fit(m, others)
		if !ok {
			return nil, false
		}
		for i := f; i < len(predicted); i += folds {
			predicted[i] = l.predict(c.networks[i].terms)
			if !(predicted[i] > 0) {
				return nil, false
			}
		}
	}
	return predicted, true
}

// mape is the mean error of predictions of the networks, measured as they were
// or as the calibrator takes them.
func (c *calibrator) mape(predicted []float64, measured func(network) float64) float64 {
	sum := 0.0
	for i, n := range c.networks {
		sum += math.Abs(predicted[i]/measured(n) - 1)
	}
	return sum / float64(len(c.networks))
}

func raw(n network) float64 { return n.seconds }

// choose picks the model that predicts best what it was not fitted to.
func (c *calibrator) choose() (best Model, predicted []float64, tried []HeldOut) {
	for _, m := range []Model{ByKind, ByOperation, Sum, MACs} {
		p, ok := c.heldOut(m)
		if !ok {
			continue
		}
		tried = append(tried, HeldOut{m, c.mape(p, raw)})
		if best == "" || tried[len(tried)-1].MAPE < c.mape(predicted, raw) {
			best, predicted = m, p
		}
	}
	return best, predicted, tried
}

// calibrate makes the table's line from the networks of the profile.
func (t *Table) calibrate(p *profiles.Profile) {
	cal := &t.calibration
	cal.Measured = len(p.Networks)
	c := &calibrator{costs: t.costs, seconds: make([]float64, len(t.costs))}
	for i := range t.costs {
		c.seconds[i] = t.costs[i].alone
	}
	c.networks = t.measured(p)
	switch {
	case p.ConstantS != nil:
		t.line = c.sum(*p.ConstantS)
		cal.Model, cal.Basis = SumConstant, "the profile gives the constant"
		t.judge(c.networks, func(i int) float64 { return t.line.predict(c.networks[i].terms) })
	case len(c.networks) < fewNetworks:
		t.line = c.sum(0)
		cal.Model, cal.Basis = Sum, fmt.Sprintf("%s: no factor can be fitted", t.whole())
		t.judge(c.networks, func(i int) float64 { return t.line.predict(c.networks[i].terms) })
	default:
		c = c.withoutDrift()
		model, predicted, tried := c.choose()
		if rest, out := c.outliers(predicted); len(out) > 0 {
			cal.LeftOut = append(cal.LeftOut, out...)
			c.networks = rest
			model, predicted, tried = c.choose()
		}
		var ok bool
		if t.line, ok = c.fit(model, c.networks); !ok { // held out, some of the networks allowed it
			model, t.line = Sum, c.sum(0)
		}
		cal.Model, cal.HeldOut, cal.Drift = model, tried, c.steady
		t.judge(c.networks, func(i int) float64 { return predicted[i] })
		t.within = c.squares(predicted)
		cal.Basis = t.basis()
	}
	slices.SortFunc(cal.LeftOut, func(a, b LeftOut) int { return cmp.Compare(a.Arch, b.Arch) })
	cal.ConstantS, cal.CachePressure = t.line.constant, t.line.pressure
	cal.Factors, cal.Used = t.line.factors, len(c.networks)
	for _, n := range c.networks {
		t.references = append(t.references, Reference{Arch: n.arch, ThenS: c.target(n)})
	}
}

// squares is the sum of the squares of how far networks are from their
// predictions, relative.
func (c *calibrator) squares(predicted []float64) (sum float64) {
	for i, n := range c.networks {
		r := c.target(n)/predicted[i] - 1
		sum += r * r
	}
	return sum
}

// judge keeps how far predictions of networks are from what was measured, and
// how much of that may be the noise of entries.
func (t *Table) judge(networks []network, predicted func(i int) float64) {
	var noise []float64
	for i, n := range networks {
		s := predicted(i)
		if !(s > 0) {
			continue
		}
		t.residuals = append(t.residuals, n.seconds/s-1)
		t.networks = append(t.networks, Case{Arch: n.arch, PredictedS: s, MeasuredS: n.seconds})
		noise = append(noise, t.deviation(n.terms)/s)
	}
	if len(noise) == 0 {
		for _, c := range t.costs {
			if c.failure == "" {
				noise = append(noise, c.deviation/c.alone)
			}
		}
	}
	if len(noise) > 0 {
		t.noise = stats.Median(noise)
	}
}

// withoutDrift is the calibrator with times as if the machine had always been
// as fast as the sentinel mostly found it, if networks are predicted better then.
func (c *calibrator) withoutDrift() *calibrator {
	s := *c
	s.steady, s.seconds, s.networks = true, slices.Clone(c.seconds), slices.Clone(c.networks)
	var all []float64
	for _, n := range s.networks {
		all = append(all, n.sentinel)
		for _, t := range n.terms {
			all = append(all, s.costs[t.cost].sentinel)
		}
	}
	if slices.Min(all) == 0 {
		return c // not all were measured with a sentinel
	}
	usual := stats.Median(all)
	for i, o := range s.costs {
		if o.sentinel == 0 {
			continue // in no network
		}
		drift := o.sentinel / usual
		if !(drift < mostDrift && drift > 1/mostDrift) {
			return c
		}
		s.seconds[i] /= drift
	}
	for i := range s.networks {
		n := &s.networks[i]
		drift := n.sentinel / usual
		if !(drift < mostDrift && drift > 1/mostDrift) {
			return c
		}
		n.steady /= drift
	}
	before, ok := c.heldOut(ByKind)
	after, okSteady := s.heldOut(ByKind)
	if ok && okSteady && s.mape(after, s.target) < c.mape(before, c.target) {
		return &s
	}
	return c
}

// outliers parts the networks into those that a prediction is near and the few
// that are far off.
func (c *calibrator) outliers(predicted []float64) (rest []network, out []LeftOut) {
	away := make([]float64, len(predicted))
	for i, n := range c.networks {
		away[i] = math.Abs(n.seconds/predicted[i] - 1)
	}
	limit := max(outlier, outlierTimes*stats.Median(away))
	for i, n := range c.networks {
		if away[i] <= limit {
			rest = append(rest, n)
			continue
		}
		out = append(out, LeftOut{n.arch, fmt.Sprintf("outlier: takes %.2f times its prediction from the others",
			n.seconds/predicted[i])})
	}
	if float64(len(out)) > mostOutliers*float64(len(away)) || len(rest) < fewNetworks {
		return c.networks, nil
	}
	return rest, out
}

// measured lists the networks of the profile that a fit can use, by name, and
// notes why the others are left out.
func (t *Table) measured(p *profiles.Profile) []network {
	var networks []network
	for _, n := range p.Networks {
		m, reason := t.network(n)
		if reason != "" {
			t.calibration.LeftOut = append(t.calibration.LeftOut, LeftOut{n.Arch, reason})
			continue
		}
		networks = append(networks, m)
	}
	slices.SortFunc(networks, func(a, b network) int { return cmp.Compare(a.arch, b.arch) })
	return networks
}

// network reads a measured network. The reason says why it is of no use.
func (t *Table) network(p profiles.Network) (n network, reason string) {
	switch width := (p.HiS - p.LoS) / p.MedianS; {
	case p.Status != profiles.OK:
		return n, "failed: " + p.Reason
	case !(width <= vague):
		return n, fmt.Sprintf("vague: its bounds are %.0f %% apart", 100*width)
	case len(p.Counts) == 0:
		return n, "its operations were not recorded"
	default:
		n = network{arch: p.Arch, seconds: p.MedianS, steady: p.MedianS,
			own: width / boundsWidth, sentinel: sentinel(p.Timing)}
	}
	counts := map[ops.Key]int{}
	for text, count := range p.Counts {
		k, err := ops.ParseKey(text)
		if err != nil {
			return n, "an operation that this version does not know: " + firstUnknown(p.Counts)
		}
		counts[k] = count
	}
	terms, err := t.terms(counts)
	if err != nil {
		return n, err.Error()
	}
	n.terms = terms
	for _, term := range terms {
		n.sum += term.count * t.costs[term.cost].alone
		n.macs += term.count * macs(t.costs[term.cost].key)
	}
	if ratio := n.seconds / n.sum; !(ratio < absurd && ratio > 1.0/absurd) {
		return n, fmt.Sprintf("absurd: takes %.3g times the sum of its operations", ratio)
	}
	return n, ""
}

// firstUnknown is the first key, by its text, that does not parse.
func firstUnknown(counts map[string]int) string {
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		if _, err := ops.ParseKey(text); err != nil {
			return text
		}
	}
	return ""
}

// sentinel is the sentinel's time while something was measured; 0 is unknown.
func sentinel(t profiles.Timing) float64 {
	if len(t.SentinelS) == 0 {
		return 0
	}
	return stats.Median(t.SentinelS)
}

// whole says how many networks were measured whole, and what became of them.
func (t *Table) whole() string {
	c := t.calibration
	switch used := c.Measured - len(c.LeftOut); {
	case c.Measured == 0:
		return "no network was measured whole"
	case len(c.LeftOut) == 0:
		return fmt.Sprintf("only %d networks were measured whole", c.Measured)
	default:
		return fmt.Sprintf("of %d networks measured whole only %d can be used (%s)", c.Measured, used, c.LeftOut[0].Reason)
	}
}

// basis says why the model was chosen.
func (t *Table) basis() string {
	c := t.calibration
	var b strings.Builder
	fmt.Fprintf(&b, "least error on networks held out of the fit:")
	for i, h := range c.HeldOut {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s %.1f %%", h.Model, 100*h.MAPE)
	}
	return b.String()
}
