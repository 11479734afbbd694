// SPDX-License-Identifier: Apache-2.0

// Package dataset reads labelled images for search and training and draws
// batches from them.
//
// [Open] turns a spec KIND:PATH into a [Set]: a training and a test [Part], the
// mean and standard deviation of the training part, and a digest of it all.
// [Kinds] lists the kinds, one file each. A bad spec is a [*SpecError], missing
// or broken data a [*DataError]; both say what is wrong in one line.
//
// Pixels are bytes in N,H,W,C order (channels last), as the kernels want them;
// batches are float32, (pixel/255 − mean) / standard deviation per channel.
//
// [Split] halves a part for weights and architecture, a [Loader] draws shuffled,
// augmented batches without end, and a [Pass] walks through images once, in
// order, for evaluation.
//
// # Limits
//
// Images have at most 1024 rows and columns, a part at most 2³¹−1 bytes of
// pixels. What a file's header claims beyond that is refused before anything is
// allocated; below it, memory follows what the file really holds.
package dataset
