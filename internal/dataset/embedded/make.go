// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command make writes fashion-mnist.pack, the images inside edgenas, from
// Debian's package dataset-fashion-mnist. The same files give the same bytes.
//
//	go run ./internal/dataset/embedded/make.go
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/edgenas/edgenas/internal/dataset/imagepack"
)

const (
	side          = 28
	classes       = 10
	testPerClass  = 500
	trainPerClass = 2330 // the pack stays below 9.5 MB
)

func main() {
	log.SetFlags(0)
	from := flag.String("from", "/usr/share/datasets/fashion-mnist", "folder with the four IDX files of Fashion-MNIST")
	out := flag.String("o", "internal/dataset/embedded/fashion-mnist.pack", "file to write")
	flag.Parse()

	pixels := append(
		choose(*from, "t10k", testPerClass),
		choose(*from, "train", trainPerClass)...)
	packed, err := imagepack.Pack(pixels, side, side)
	if err != nil {
		log.Fatal(err)
	}
	back, _, _, err := imagepack.Unpack(packed)
	if err != nil || !bytes.Equal(back, pixels) {
		log.Fatalf("the pack does not give the images back: %v", err)
	}
	if err := os.WriteFile(*out, packed, 0o644); err != nil {
		log.Fatal(err)
	}
	n := len(pixels) / (side * side)
	fmt.Printf("%s: %d images, %d bytes, %.1f an image\n", *out, n, len(packed), float64(len(packed))/float64(n))
}

// choose returns the first perClass images of each class of one part, in the
// order of labels 0, 1, … 9, 0, 1, …
func choose(dir, part string, perClass int) []byte {
	const imageHeader, labelHeader = 16, 8
	images := read(dir, part+"-images-idx3-ubyte.gz")[imageHeader:]
	labels := read(dir, part+"-labels-idx1-ubyte.gz")[labelHeader:]
	out := make([]byte, classes*perClass*side*side)
	var taken [classes]int
	for i, label := range labels {
		if taken[label] == perClass {
			continue
		}
		at := (taken[label]*classes + int(label)) * side * side
		copy(out[at:at+side*side], images[i*side*side:])
		taken[label]++
	}
	for label, n := range taken {
		if n != perClass {
			log.Fatalf("%s: class %d has %d images, want %d", part, label, n, perClass)
		}
	}
	return out
}

func read(dir, name string) []byte {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	return data
}
