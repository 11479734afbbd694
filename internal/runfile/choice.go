// SPDX-License-Identifier: Apache-2.0

package runfile

// Choice says how a run chose its network: choice.json.
type Choice struct {
	// Funnel has the stages in their order, and how many networks came to each.
	Funnel []Stage `json:"funnel"`
	// AlphaEntropy is that of α at the end: 1 undecided, 0 decided.
	AlphaEntropy float64 `json:"alpha_entropy"`
	// AlphaPrefers is the network of α's best operations, in the literature's notation.
	AlphaPrefers string `json:"alpha_prefers"`
	// SmallerIsBetter says that the network uses less than four fifths of the
	// budget, because larger ones lost to it.
	SmallerIsBetter bool `json:"smaller_is_better"`
	// Notes say in words what a reader should know of the choice.
	Notes []string `json:"notes"`
}

// Stage is a stage of the choice.
type Stage struct {
	Name     string `json:"name"`
	Networks int    `json:"networks"`
	// Prior and Alpha are the rank correlations of these scores with the results
	// of the stage's trainings: 1 would have made them needless. Null: the stage
	// trains nothing, or too few.
	Prior *float64 `json:"prior_correlation"`
	Alpha *float64 `json:"alpha_correlation"`
}

// WriteChoice writes choice.json.
func (d Dir) WriteChoice(c *Choice) error { return d.write(ChoiceName, c) }

// ReadChoice reads choice.json. Errors are as those of ReadRequest.
func (d Dir) ReadChoice() (Choice, error) {
	var c Choice
	_, err := d.read(ChoiceName, &c)
	return c, err
}
