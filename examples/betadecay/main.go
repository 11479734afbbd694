// SPDX-License-Identifier: Apache-2.0

// Command betadecay shows what β-decay is for: it searches nb201 with plain
// DARTS and without a budget, without β-decay, with the default strength and
// with that of its paper, for several seeds, and prints how many edges end as
// skip connections. The supernet has the depth of the literature (5 cells a
// stage); that a search takes a minute comes from the images: 5,000 of the
// embedded ones, made 8×8. From the root of the repository:
//
//	go run ./examples/betadecay
//
// Each finished search is a line of -out/runs.jsonl. Stopped, the program does
// the searches that are missing when it is started again.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/search"
)

// run is one search, and what it ended with.
type run struct {
	Seed       int     `json:"seed"`
	BetaDecay  float64 `json:"beta_decay"`
	Epochs     int     `json:"epochs"`
	Skips      int     `json:"skips"`       // edges on which skip_connect has the greatest weight but for none
	SkipWeight float64 `json:"skip_weight"` // mean over the edges
	Entropy    float64 `json:"alpha_entropy"`
}

// betas are the strengths of β-decay: none, edgenas' default, its paper's on
// this space (Ye et al., β-DARTS, 2022).
var betas = []float64{0, 1, 50}

// skip is the column of skip_connect in nb201; column 0 is none.
const skip = 1

func (r run) name() string {
	return fmt.Sprintf("seed%d-beta%g-epochs%d", r.Seed, r.BetaDecay, r.Epochs)
}

func main() {
	out := flag.String("out", "runs/beta-decay", "folder for the searches")
	seeds := flag.Int("seeds", 3, "number of seeds")
	epochs := flag.Int("epochs", 25, "epochs of each search")
	jobs := flag.Int("jobs", 2, "searches at a time, one thread each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := all(ctx, *out, *seeds, *epochs, *jobs); err != nil {
		fmt.Fprintln(os.Stderr, "betadecay:", err)
		os.Exit(1)
	}
}

// all does the searches that are missing and prints those that are done.
func all(ctx context.Context, out string, seeds, epochs, jobs int) error {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	done, err := read(filepath.Join(out, "runs.jsonl"))
	if err != nil {
		return err
	}
	images := filepath.Join(out, "images")
	if err := writeImages(images); err != nil {
		return err
	}
	set, err := dataset.Open("idx:"+images, dataset.Options{})
	if err != nil {
		return err
	}
	var missing []run
	for seed := 1; seed <= seeds; seed++ {
		for _, beta := range betas {
			r := run{Seed: seed, BetaDecay: beta, Epochs: epochs}
			if !slices.ContainsFunc(done, func(d run) bool { return d.name() == r.name() }) {
				missing = append(missing, r)
			}
		}
	}
	fmt.Printf("%d searches done, %d missing\n", len(done), len(missing))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var lock sync.Mutex
	var failed error
	turn := make(chan struct{}, jobs)
	for _, r := range missing {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if ctx.Err() != nil {
				return
			}
			err := r.search(ctx, set)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				stop()
			} else {
				done = append(done, r)
				err = add(filepath.Join(out, "runs.jsonl"), r)
			}
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	slices.SortFunc(done, func(a, b run) int { return strings.Compare(a.name(), b.name()) })
	fmt.Println("| seed | epochs | β-decay | skip connections of 6 edges | mean weight of skip_connect | entropy of α |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, r := range done {
		fmt.Printf("| %d | %d | %g | %d | %.3f | %.3f |\n", r.Seed, r.Epochs, r.BetaDecay, r.Skips, r.SkipWeight, r.Entropy)
	}
	return failed
}

// search does one and reads how α ended.
func (r *run) search(ctx context.Context, set *dataset.Set) error {
	space, err := arch.NewSpace("nb201", arch.Size{
		Cells: 5, Channels: 8, Image: set.H, Colours: set.C, Classes: len(set.Classes),
	})
	if err != nil {
		return err
	}
	c := search.DefaultConfig()
	c.Method, c.Seed, c.Epochs, c.BetaDecay, c.AlphaLR = "darts", uint64(r.Seed), r.Epochs, r.BetaDecay, 0.003
	c.WarmupEpochs = min(c.WarmupEpochs, c.Epochs-1)
	c.Candidates = 1
	first, second := dataset.Split(&set.Train, 0.5, rand.New(rand.NewPCG(c.Seed, 3)))
	half := func(images []int, stream uint64) source {
		return source{dataset.NewLoader(set, &set.Train, images, set.Augment, rand.NewPCG(c.Seed, stream))}
	}
	s, err := search.New(c, search.Problem{
		Proxy: space, Target: space, Costs: free{}, Weights: half(first, 4), Alpha: half(second, 5), Threads: 1,
	})
	if err != nil {
		return err
	}
	var last search.Point
	if _, err := s.Run(ctx, func(p search.Point) { last = p }); err != nil {
		return err
	}
	r.Entropy = last.AlphaEntropy
	for _, row := range last.Alpha[0] {
		r.SkipWeight += row[skip] / float64(len(last.Alpha[0]))
		if row[skip] == slices.Max(row[1:]) {
			r.Skips++
		}
	}
	return nil
}

// free are the costs where there is no budget.
type free struct{}

func (free) Latency(arch.Choice) (float64, error) { return 0, nil }

// source makes a loader what a search learns from.
type source struct{ *dataset.Loader }

func (s source) MarshalJSON() ([]byte, error) { return json.Marshal(s.State()) }

func (s source) UnmarshalJSON(text []byte) error {
	var st dataset.LoaderState
	if err := json.Unmarshal(text, &st); err != nil {
		return err
	}
	return s.Restore(st)
}

// How many images there are to search with, and beside them, and how large; the
// margin put around the 28×28 pixels, and how many rows and columns become one.
const trainImages, testImages, imageSize, margin, block = 5000, 1000, 8, 2, 4

// writeImages writes some of the embedded images, made smaller, as IDX files.
func writeImages(dir string) error {
	set, err := dataset.Open("embedded", dataset.Options{})
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		dataset.Part
		n int
	}{{"train", set.Train, trainImages}, {"t10k", set.Test, testImages}} {
		images := idx(3, part.n, imageSize, imageSize)
		labels := idx(1, part.n)
		for i, l := range part.Labels[:part.n] {
			images = append(images, smaller(part.Pixels[i*set.ImageLen():][:set.ImageLen()], set.H, set.W)...)
			labels = append(labels, byte(l))
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, part.name+"-images-idx3-ubyte"), images, 0o666),
			os.WriteFile(filepath.Join(dir, part.name+"-labels-idx1-ubyte"), labels, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// smaller puts a black margin around a grey image and gives the means of its blocks.
func smaller(image []byte, h, w int) []byte {
	out := make([]int, imageSize*imageSize)
	for y := range h {
		for x := range w {
			out[(y+margin)/block*imageSize+(x+margin)/block] += int(image[y*w+x])
		}
	}
	means := make([]byte, len(out))
	for i, sum := range out {
		means[i] = byte((sum + block*block/2) / (block * block))
	}
	return means
}

// idx is the header of an IDX file of bytes.
func idx(rank byte, dims ...int) []byte {
	header := []byte{0, 0, 8, rank}
	for _, d := range dims {
		header = binary.BigEndian.AppendUint32(header, uint32(d))
	}
	return header
}

// read gives the runs of a file, none if it is not there.
func read(path string) (runs []run, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for err == nil && d.More() {
		var r run
		if err = d.Decode(&r); err == nil {
			runs = append(runs, r)
		}
	}
	return runs, err
}

// add appends a run.
func add(path string, r run) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
