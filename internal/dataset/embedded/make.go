// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Command make writes test.png and train.png, the images inside edgenas, from
// Debian's package dataset-fashion-mnist. A file that shows the right images
// already is left alone: another version of Go may compress it differently.
//
//	go run ./internal/dataset/embedded/make.go
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"
)

const (
	side    = 28
	columns = 100 // images in a row of a sheet
	classes = 10
)

func main() {
	log.SetFlags(0)
	from := flag.String("from", "/usr/share/datasets/fashion-mnist", "folder with the four IDX files of Fashion-MNIST")
	to := flag.String("o", "internal/dataset/embedded", "folder to write to")
	flag.Parse()
	for _, part := range []struct {
		source, file string
		perClass     int
	}{
		{"t10k", "test.png", 500},
		{"train", "train.png", 2330},
	} {
		images := choose(*from, part.source, part.perClass)
		path := filepath.Join(*to, part.file)
		if err := write(path, sheet(images)); err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		fmt.Printf("%s: %d images\n", path, len(images))
	}
}

// choose returns the first perClass images of each class of one part, class by
// class.
func choose(dir, part string, perClass int) [][]byte {
	const imageHeader, labelHeader = 16, 8
	pixels := read(dir, part+"-images-idx3-ubyte.gz")[imageHeader:]
	labels := read(dir, part+"-labels-idx1-ubyte.gz")[labelHeader:]
	images := make([][]byte, classes*perClass)
	var taken [classes]int
	for i, label := range labels {
		if taken[label] < perClass {
			images[int(label)*perClass+taken[label]] = pixels[i*side*side : (i+1)*side*side]
			taken[label]++
		}
	}
	for label, n := range taken {
		if n != perClass {
			log.Fatalf("%s: class %d has %d images, want %d", part, label, n, perClass)
		}
	}
	return images
}

// sheet lays the images out in rows.
func sheet(images [][]byte) *image.Gray {
	rows := (len(images) + columns - 1) / columns
	s := image.NewGray(image.Rect(0, 0, columns*side, rows*side))
	for i, pixels := range images {
		for y := range side {
			at := s.PixOffset(i%columns*side, i/columns*side+y)
			copy(s.Pix[at:at+side], pixels[y*side:])
		}
	}
	return s
}

// write writes the sheet to a PNG file, unless the file shows it already.
func write(path string, s *image.Gray) error {
	if data, err := os.ReadFile(path); err == nil {
		if old, err := png.Decode(bytes.NewReader(data)); err == nil {
			if g, ok := old.(*image.Gray); ok && g.Rect == s.Rect && bytes.Equal(g.Pix, s.Pix) {
				return nil
			}
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, s); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// read returns what a compressed file holds.
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
