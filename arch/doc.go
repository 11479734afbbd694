// SPDX-License-Identifier: Apache-2.0

// Package arch knows the search spaces and the architectures found in them.
//
// A [Space] is a family of networks of one size. What may differ between its
// members is a [Choice]: for each α (a matrix of mixture weights), each row of
// it (a decision, for example an edge of the cell) takes the operation of one
// column. An [Architecture] is a space with a choice; its JSON is the file
// that search, train and export hand on.
package arch
