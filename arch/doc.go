// SPDX-License-Identifier: Apache-2.0

// Package arch holds the search spaces and the architectures in them.
//
// A [Space] is a family of networks of one size. Its members differ by their
// [Choice]: in each α (a matrix of mixture weights), each row (a decision, for
// example about an edge of the cell) takes the operation of one column.
// [NewSpace] makes a space by its name, [Spaces] lists them, and [All] yields
// every choice.
//
// An [Architecture] is a space with a choice. Its JSON is the file that search,
// train and export hand on; [ReadFile] and [Architecture.WriteFile] read and
// write it.
package arch
