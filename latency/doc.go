// SPDX-License-Identifier: Apache-2.0

// Package latency measures how long operations and networks take on this
// machine.
//
// [Measure] fills a profile, from which package predict predicts networks;
// [Verify] times one network. The package knows no device but this one:
// elsewhere it runs inside edgenas-agent.
//
// # Protocol
//
// One thread on one core, warmed up by time and by convergence. An operation
// is measured in a chain of copies, each with its own weights, so that its
// activations are as warm and its weights as cold as in a network. The inner
// loop repeats until a sample is long enough for the clock. All operations
// take turns in rounds of random order, so that drift becomes noise and not
// bias; a sentinel operation is measured at both ends of each round, and clock
// and temperature are watched: rounds in which the sentinel moved, or the device
// was throttled, are repeated. An entry is the median of its rounds'
// medians with order-statistic bounds; entries that are not steady get more
// rounds. What stays doubtful is kept with warnings; what fails is a status
// with its reason. What other processes have of the core is subtracted from the
// samples, and a warning says so.
//
// That is a burst. Another [Mode] soaks the device first, or sleeps between
// single runs.
package latency
