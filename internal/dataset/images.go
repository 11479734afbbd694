// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // the two formats that image.Decode is to know
	_ "image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

var imagesKind = Kind{
	Name:     "images",
	Argument: "DIR",
	Summary:  "PNG and JPEG files, a folder a class: DIR/train/CLASS and DIR/test/CLASS, or DIR/CLASS",
	open:     openImages,
}

const (
	maxFileBytes = 64 << 20 // an image file
	testShare    = 5        // without a test folder, one image in five is for the test
)

// openImages reads a folder of images. Classes are sorted by name, and so are
// the files of a class; names that begin with a dot are passed over.
//
//   - With DIR/train and DIR/test, both have the same classes. Otherwise each
//     class of DIR is shuffled by Options.Seed and gives a fifth of its images,
//     rounded up, to the test part.
//   - Every image has the same size; nothing is resized. If all are grey, there
//     is one channel, otherwise three (a grey image then has three equal ones).
//     Alpha is laid over white. 16-bit values keep their upper 8 bits. EXIF
//     orientation is ignored.
//   - Images may be mirrored unless every class is named by a number or a single
//     character, as digits and letters are.
func openImages(dir string, o Options) (*Set, error) {
	train, test, classes, err := listImages(dir, o.Seed)
	if err != nil {
		return nil, err
	}
	s := &Set{Classes: classes}
	if err := s.probe(append(train[:len(train):len(train)], test...), o.Image); err != nil {
		return nil, err
	}
	if s.Train, err = s.load(train); err != nil {
		return nil, err
	}
	if s.Test, err = s.load(test); err != nil {
		return nil, err
	}
	s.Augment = Augment{Flip: !allSymbols(classes), Pad: max(s.H, s.W) / 8}
	return s, nil
}

// An imageFile is the path of an image and its label.
type imageFile struct {
	path  string
	label int32
}

func listImages(dir string, seed uint64) (train, test []imageFile, classes []string, err error) {
	if isDir(filepath.Join(dir, "train")) && isDir(filepath.Join(dir, "test")) {
		var testClasses []string
		if classes, train, err = listClasses(filepath.Join(dir, "train")); err != nil {
			return nil, nil, nil, err
		}
		if testClasses, test, err = listClasses(filepath.Join(dir, "test")); err != nil {
			return nil, nil, nil, err
		}
		for _, name := range append(classes[:len(classes):len(classes)], testClasses...) {
			if !slices.Contains(classes, name) || !slices.Contains(testClasses, name) {
				return nil, nil, nil, dataErrorf(dir, "class %q is not in both train and test", name)
			}
		}
		return train, test, classes, nil
	}
	classes, all, err := listClasses(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	for label, name := range classes {
		n := 0
		for n < len(all) && all[n].label == int32(label) {
			n++
		}
		if n < 2 {
			return nil, nil, nil, dataErrorf(filepath.Join(dir, name), "1 image, want one for training and one for the test")
		}
		rng := rand.New(rand.NewPCG(seed, uint64(label)))
		order := rng.Perm(n)
		cut := (n + testShare - 1) / testShare
		slices.Sort(order[:cut])
		slices.Sort(order[cut:])
		for i, k := range order {
			if i < cut {
				test = append(test, all[k])
			} else {
				train = append(train, all[k])
			}
		}
		all = all[n:]
	}
	return train, test, classes, nil
}

// listClasses returns the folders of dir and the images in them, in order.
func listClasses(dir string) (classes []string, files []imageFile, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, &DataError{dir, cause(err)}
	}
	for _, e := range entries {
		class := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !isDir(class) {
			continue
		}
		inside, err := os.ReadDir(class)
		if err != nil {
			return nil, nil, &DataError{class, cause(err)}
		}
		before := len(files)
		for _, f := range inside {
			if strings.HasPrefix(f.Name(), ".") {
				continue
			}
			path := filepath.Join(class, f.Name())
			switch strings.ToLower(filepath.Ext(f.Name())) {
			case ".png", ".jpg", ".jpeg":
				files = append(files, imageFile{path, int32(len(classes))})
			default:
				return nil, nil, dataErrorf(path, "not a .png, .jpg or .jpeg file")
			}
		}
		if len(files) == before {
			return nil, nil, dataErrorf(class, "a class without images")
		}
		classes = append(classes, e.Name())
	}
	if len(classes) < 2 {
		return nil, nil, dataErrorf(dir, "%d class folders, want at least 2", len(classes))
	}
	return classes, files, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// allSymbols reports whether every class is named by a number or one character.
func allSymbols(classes []string) bool {
	for _, name := range classes {
		if _, err := strconv.Atoi(name); err != nil && utf8.RuneCountInString(name) > 1 {
			return false
		}
	}
	return true
}

// probe reads the headers of all files and sets C, H and W: side×side, or the
// size of the first if side is 0. It refuses other sizes.
func (s *Set) probe(files []imageFile, side int) error {
	s.C, s.H, s.W = 1, side, side
	var mutex sync.Mutex
	sizeOf := func(f imageFile) (w, h, c int, err error) {
		r, err := os.Open(f.path)
		if err != nil {
			return 0, 0, 0, err
		}
		defer r.Close()
		return imageShape(r)
	}
	if side == 0 {
		w, h, _, err := sizeOf(files[0])
		if err != nil {
			return &DataError{files[0].path, cause(err)}
		}
		s.W, s.H = w, h
	}
	err := eachFile(files, func(_ int, f imageFile) error {
		w, h, c, err := sizeOf(f)
		if err != nil {
			return err
		}
		if w != s.W || h != s.H {
			return fmt.Errorf("%d×%d pixels, want %d×%d", w, h, s.W, s.H)
		}
		mutex.Lock()
		s.C = max(s.C, c)
		mutex.Unlock()
		return nil
	})
	if err == nil && len(files) > maxPartBytes/s.ImageLen() {
		return dataErrorf(filepath.Dir(files[0].path), "more than %d bytes of pixels", maxPartBytes)
	}
	return err
}

// load decodes files into a part.
func (s *Set) load(files []imageFile) (Part, error) {
	size := s.ImageLen()
	p := Part{Pixels: make([]uint8, len(files)*size), Labels: make([]int32, len(files))}
	err := eachFile(files, func(i int, f imageFile) error {
		p.Labels[i] = f.label
		r, err := os.Open(f.path)
		if err != nil {
			return err
		}
		defer r.Close()
		data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
		if err != nil {
			return err
		}
		return s.decode(p.Pixels[i*size:(i+1)*size], data)
	})
	return p, err
}

// eachFile calls do for all files on all cores. The error is that of the first
// file that failed.
func eachFile(files []imageFile, do func(i int, f imageFile) error) error {
	errs := make([]error, len(files))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				errs[i] = do(i, files[i])
			}
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			return &DataError{files[i].path, cause(err)}
		}
	}
	return nil
}

// imageShape reads the size of an image and its channels (1 or 3) from its
// header. It refuses what is larger than maxSide.
func imageShape(r io.Reader) (w, h, c int, err error) {
	config, format, err := image.DecodeConfig(r)
	switch {
	case errors.Is(err, image.ErrFormat), err == nil && format != "png" && format != "jpeg":
		return 0, 0, 0, errors.New("neither PNG nor JPEG")
	case err != nil:
		return 0, 0, 0, err
	case config.Width < 1 || config.Height < 1 || config.Width > maxSide || config.Height > maxSide:
		return 0, 0, 0, fmt.Errorf("%d×%d pixels, at most %d×%d", config.Width, config.Height, maxSide, maxSide)
	case config.ColorModel == color.GrayModel || config.ColorModel == color.Gray16Model:
		return config.Width, config.Height, 1, nil
	}
	return config.Width, config.Height, 3, nil
}

// decode fills dst, H·W·C values, with the image that data holds.
func (s *Set) decode(dst []uint8, data []byte) error {
	if len(data) > maxFileBytes {
		return fmt.Errorf("more than %d bytes", maxFileBytes)
	}
	w, h, c, err := imageShape(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if w != s.W || h != s.H || c > s.C {
		return fmt.Errorf("%d×%d pixels of %d channels, want %d×%d of %d", w, h, c, s.W, s.H, s.C)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	canvas := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(canvas, canvas.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(canvas, canvas.Bounds(), img, img.Bounds().Min, draw.Over)
	for i := range w * h {
		copy(dst[i*s.C:(i+1)*s.C], canvas.Pix[4*i:])
	}
	return nil
}
