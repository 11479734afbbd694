// SPDX-License-Identifier: Apache-2.0

// Package report writes the folder of a search as one HTML page: what was
// found, how the search went, and the measurements that it rests on.
//
// The page needs nothing else: no network, no script, no font. It follows the
// reader's light or dark setting and fits a phone. A search that is still
// running, or that was interrupted, gives a page of what there is so far.
//
// Pictures are SVG that this package draws itself, a few lines for each kind:
// so they take their colours and fonts from the page.
package report
