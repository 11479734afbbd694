// SPDX-License-Identifier: Apache-2.0

package safetensors

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

var update = flag.Bool("update", false, "write golden files anew")

// raw is a file with this header and data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

var small = File{
	Weights: ops.Weights{
		"stem.conv.weight": {Dims: []int{2, 1, 1, 3},
			Data: []float32{1, -2, 3.5, 0, float32(math.Inf(1)), math.SmallestNonzeroFloat32}},
		"scalar":           {Dims: []int{}, Data: []float32{7}},
		"empty":            {Dims: []int{0, 5}, Data: []float32{}},
		"a \"quoted\" <ü>": {Dims: []int{1}, Data: []float32{-1}},
	},
	Metadata: map[string]string{"space": "nb201", "architecture": `{"x":"|nor_conv_3x3~0|"}`},
}

func TestGolden(t *testing.T) {
	data, err := small.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "small.safetensors")
	if *update {
		if err := WriteFile(path, small); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("bytes differ from %s:\n%q", path, data)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, small) {
		t.Errorf("read %v, want %v", got, small)
	}
}

func TestRoundTripRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for range 200 {
		f := File{Weights: ops.Weights{}}
		for i := range rng.IntN(6) {
			dims, n := make([]int, rng.IntN(MaxRank+1)), 1
			for j := range dims {
				dims[j] = rng.IntN(4)
				n *= dims[j]
			}
			data := make([]float32, n)
			for j := range data {
				data[j] = float32(rng.NormFloat64())
			}
			f.Weights[fmt.Sprintf("t%d.%d", rng.IntN(9), i)] = ops.Tensor{Dims: dims, Data: data}
		}
		data, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, f) {
			t.Fatalf("read %v, want %v", got, f)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty file", nil, "file of 0 bytes"},
		{"short", []byte("1234567"), "file of 7 bytes"},
		{"header length beyond file", []byte("\xff\x00\x00\x00\x00\x00\x00\x00{}"), "header of 255 bytes, 2 follow"},
		{"header length huge", []byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "header of 18446744073709551615 bytes"},
		{"no JSON", raw("hello", 0), "want a JSON object"},
		{"leading space", raw(" {}", 0), "want a JSON object"},
		{"JSON array", raw("[]", 0), "want a JSON object"},
		{"unclosed", raw("{"+a, 8), "EOF"},
		{"after object", raw("{"+a+"}x", 8), "1 bytes after"},
		{"twice", raw("{"+a+","+a+"}", 8), `"a" stands twice`},
		{"unknown field", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), "unknown field"},
		{"other type", raw(`{"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}`, 8),
			`tensor "a": type "BF16": only F32`},
		{"null", raw(`{"a":null}`, 0), `type ""`},
		{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "no shape"},
		{"no offsets", raw(`{"a":{"dtype":"F32","shape":[2]}}`, 8), "data_offsets []"},
		{"one offset", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}`, 8), "data_offsets [0]"},
		{"negative dimension", raw(`{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, 8), "negative"},
		{"fraction", raw(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}`, 8), "cannot unmarshal"},
		{"negative offset", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8), "cannot unmarshal"},
		{"product overflows", raw(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,8]}}`, 8),
			"want at most 2 elements"},
		{"overflow to 0", raw(`{"a":{"dtype":"F32","shape":[1073741824,1073741824,16],"data_offsets":[0,0]}}`, 0),
			"want at most 0 elements"},
		{"rank", raw(`{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}`, 8), "9 dimensions"},
		{"shape and offsets differ", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8), "want [0 4]"},
		{"beyond data", raw("{"+a+"}", 4), "want at most 1 elements"},
		{"data left over", raw("{"+a+"}", 12), "4 bytes of data belong to no tensor"},
		{"gap", raw(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16), "want [8 12]"},
		{"overlap", raw(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "want [8 16]"},
		{"metadata not text", raw(`{"__metadata__":{"a":1}}`, 0), `"__metadata__": json`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.file))
			if err == nil || !strings.HasPrefix(err.Error(), "safetensors: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

func TestMarshalRefuses(t *testing.T) {
	one := []float32{1}
	tests := []struct {
		name string
		ws   ops.Weights
		want string
	}{
		{"dimensions", ops.Weights{"a": {Dims: []int{2}, Data: one}}, "dimensions [2] with 1 elements"},
		{"negative", ops.Weights{"a": {Dims: []int{-1, -1}, Data: one}}, "negative"},
		{"rank", ops.Weights{"a": {Dims: make([]int, 9)}}, "9 dimensions"},
		{"overflow", ops.Weights{"a": {Dims: []int{1 << 30, 1 << 30, 1 << 4}}}, "want at most"},
		{"reserved", ops.Weights{metadataKey: {Dims: []int{1}, Data: one}}, "reserved"},
		{"not UTF-8", ops.Weights{"\xff": {Dims: []int{1}, Data: one}}, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := (File{Weights: tt.ws}).Marshal(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := WriteFile(path, small); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, File{Weights: ops.Weights{"a": {Dims: []int{3}}}}); err == nil {
		t.Error("no error for a bad tensor")
	}
	if got, err := ReadFile(path); err != nil || !reflect.DeepEqual(got, small) {
		t.Errorf("after a failed write: %v, %v", got, err)
	}
	if err := WriteFile(filepath.Join(path, "w"), small); err == nil || !strings.HasPrefix(err.Error(), "safetensors: ") {
		t.Errorf("error %v for a folder that is a file", err)
	}
}

// FuzzRead: no panic, and what is read is written and read the same.
func FuzzRead(f *testing.F) {
	data, err := small.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(raw(`{"__metadata__":{"k":"v"}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		once, err := file.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(once))
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written again: %v, %q, first %q", err, twice, once)
		}
	})
}
