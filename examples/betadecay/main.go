// SPDX-License-Identifier: Apache-2.0

// Command betadecay shows what β-decay is for: it searches nb201 with plain
// DARTS, without a latency term to speak of (a budget of an hour), without
// β-decay, with the default strength and with that of its paper, for several
// seeds, and prints how many edges end as skip connections. The supernet has
// the depth of the literature (5 cells a stage); that a search takes a minute
// comes from the images: 5,000 of the embedded ones, made 8×8. From the root of
// the repository:
//
//	go run ./examples/betadecay
//
// Each finished search is a line of -out/runs.jsonl. Stopped, the program goes
// on where it was when it is started again.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"

	"github.com/edgenas/edgenas/internal/dataset"
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
	program := filepath.Join(out, "edgenas")
	if text, err := exec.Command("go", "build", "-o", program, "./cmd/edgenas").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, text)
	}
	done, err := read(filepath.Join(out, "runs.jsonl"))
	if err != nil {
		return err
	}
	if err := writeImages(filepath.Join(out, "images")); err != nil {
		return err
	}
	profile := filepath.Join(out, "profile.json")
	if _, err := os.Stat(profile); errors.Is(err, fs.ErrNotExist) { // one for all: it only has to be there
		if text, err := exec.CommandContext(ctx, program, "profile", "--quiet", "--image", fmt.Sprint(imageSize), "-o", profile).CombinedOutput(); err != nil {
			return fmt.Errorf("profile: %w: %s", err, text)
		}
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
			err := search(ctx, program, out, &r)
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
	slices.SortFunc(done, func(a, b run) int { return bytes.Compare([]byte(a.name()), []byte(b.name())) })
	fmt.Println("| seed | epochs | β-decay | skip connections of 6 edges | mean weight of skip_connect | entropy of α |\n|---|---|---|---|---|---|")
	for _, r := range done {
		fmt.Printf("| %d | %d | %g | %d | %.3f | %.3f |\n", r.Seed, r.Epochs, r.BetaDecay, r.Skips, r.SkipWeight, r.Entropy)
	}
	return failed
}

// search runs one, or goes on with it, and reads how α ended.
func search(ctx context.Context, program, out string, r *run) error {
	dir := filepath.Join(out, r.name())
	args := []string{"search", "--method", "darts", "--beta-decay", fmt.Sprint(r.BetaDecay), "--seed", fmt.Sprint(r.Seed),
		"--latency-budget", "1h", "--profile", filepath.Join(out, "profile.json"), "--data", "idx:" + filepath.Join(out, "images"),
		"--search-cells", "5", "--search-channels", "8", "--alpha-lr", "0.003",
		"--search-epochs", fmt.Sprint(r.Epochs), "--epochs", "0.02", "--out", dir}
	if _, err := os.Stat(filepath.Join(dir, "request.json")); err == nil {
		args = []string{"search", "--resume", dir}
	}
	c := exec.CommandContext(ctx, program, append(args, "--threads", "1", "--quiet")...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", dir, err, text)
	}
	return r.end(filepath.Join(dir, "history.jsonl"))
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

// end reads the last step of a search.
func (r *run) end(history string) error {
	f, err := os.Open(history)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var point struct {
			Phase   string        `json:"phase"`
			Alpha   [][][]float64 `json:"alpha"`
			Entropy float64       `json:"alpha_entropy"`
		}
		if err := json.Unmarshal(lines.Bytes(), &point); err != nil {
			return fmt.Errorf("%s: %w", history, err)
		}
		if point.Phase != "search" {
			continue
		}
		r.Skips, r.SkipWeight, r.Entropy = 0, 0, point.Entropy
		for _, row := range point.Alpha[0] {
			r.SkipWeight += row[skip] / float64(len(point.Alpha[0]))
			if row[skip] == slices.Max(row[1:]) {
				r.Skips++
			}
		}
	}
	return lines.Err()
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
