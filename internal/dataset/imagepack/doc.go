// SPDX-License-Identifier: Apache-2.0

// Package imagepack compresses small grey images without loss, about a quarter
// tighter than gzip, and unpacks some hundred million pixels a second and core.
//
// Each pixel, in reading order, is predicted from its three nearest neighbours.
// The residual is coded by rANS (Duda, arXiv:1311.2540) with one of 432 fixed
// frequency tables. The table is chosen by a context: which neighbours are
// black, how rough the neighbourhood is, how bright the prediction is, and, in
// the right half, whether the mirrored pixel of the left half is black (many
// pictured things are symmetric).
//
// # Format
//
// Numbers are unsigned varints unless said otherwise.
//
//	magic      "pixpack1"
//	shape      width, height, images
//	checksum   CRC-32 (IEEE) of all pixels, 4 bytes little-endian
//	tables     432 times: (zeros to skip, frequency)… until the sum is 4096;
//	           a table that no pixel uses is the single number 256
//	sizes      bytes of each stream
//	streams    1024 images each (the last may have fewer): the 4-byte
//	           little-endian rANS state, then 2-byte little-endian words
package imagepack

const (
	magic     = "pixpack1"
	perStream = 1024 // images a stream

	// MaxPixels bounds what Pack takes and Unpack allocates: 64 MiB.
	MaxPixels = 1 << 26

	maxSide = 1 << 13 // of an image

	probBits = 12 // frequencies of a table sum to 1<<probBits
	probSum  = 1 << probBits
	lowState = 1 << 16 // rANS states are kept in [lowState, lowState<<16)
)
