// SPDX-License-Identifier: Apache-2.0

package kernels

// A matrix of rows × channels is summed over its rows in chunks that stay in
// the first- or second-level cache; the chunks' results, float32 perhaps, are
// combined in float64, in order.

// rowChunks cuts m rows of c channels.
type rowChunks struct{ m, c int }

// chunkSize is 32 KiB of float32.
const chunkSize = 8 << 10

func (r rowChunks) rows() int { return min(r.m, max(16, chunkSize/r.c)) }

func (r rowChunks) count() int { return (r.m + r.rows() - 1) / r.rows() }

// at is the chunk's first element and its number of rows.
func (r rowChunks) at(chunk int) (first, rows int) {
	first = chunk * r.rows()
	return first * r.c, min(r.rows(), r.m-first)
}

// moments writes a chunk's means, sums of squared deviations, and C elements
// of working memory to out. The second pass takes the deviations from the
// first pass's means, so nothing cancels however large the mean.
func moments[T Float](m *micro[T], out, x []T, rows, c int) {
	mean, squares, sum := out[:c], out[c:2*c], out[2*c:3*c]
	clear(sum)
	clear(squares)
	none := floorOf[T](false)
	m.reduce(sum, squares, x, x[:c], x, x[:c], none, rows, c, c)
	for i, s := range sum {
		mean[i] = x[i] + s/T(rows)
	}
	clear(sum)
	clear(squares)
	m.reduce(sum, squares, x, mean, x, mean, none, rows, c, c)
	for i, s := range sum {
		mean[i] += s / T(rows)
	}
}

// combine is the mean and the sum of squared deviations of channel ch over all
// chunks. Source: Chan, Golub, LeVeque, Updating Formulae, 1979, eq. 2.1.
func combine[T Float](r rowChunks, partial []T, ch int) (mean, squares float64) {
	var n float64
	for i := range r.count() {
		_, rows := r.at(i)
		part := partial[i*3*r.c:]
		k, delta := float64(rows), float64(part[ch])-mean
		n += k
		mean += delta * k / n
		squares += float64(part[r.c+ch]) + delta*delta*k*(n-k)/n
	}
	return mean, squares
}

// total is Σ over chunks of partial[chunk·stride + i].
func total[T Float](r rowChunks, partial []T, stride, i int) (sum float64) {
	for k := range r.count() {
		sum += float64(partial[k*stride+i])
	}
	return sum
}
