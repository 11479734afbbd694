// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"strconv"

	"github.com/edgenas/edgenas/export"
)

// Prediction is what a model says of its latency, and what it holds for.
type Prediction struct {
	Device, Runtime string // names
	Threads         int    // 0: the model does not say
	Cluster         string
	Mode            string // empty: the model does not say
	Seconds         float64
}

// The names of a prediction in a model's metadata.
const (
	metaDevice  = "device"
	metaRuntime = "runtime"
	metaThreads = "infer_threads"
	metaCluster = "cluster"
	metaMode    = "mode"
	metaSeconds = "latency_predicted_s"
)

func number(x float64) string { return fmt.Sprint(x) }

func (p Prediction) write(meta export.Meta) {
	meta[metaDevice], meta[metaRuntime], meta[metaSeconds] = p.Device, p.Runtime, number(p.Seconds)
	meta[metaThreads], meta[metaMode] = strconv.Itoa(p.Threads), p.Mode
	if p.Cluster != "" {
		meta[metaCluster] = p.Cluster
	}
}

// ReadPrediction reads it from the metadata of an ONNX file; ok is false where
// there is none.
func ReadPrediction(metadata map[string]string) (p Prediction, ok bool) {
	of := func(name string) string { return metadata[export.Prefix+name] }
	seconds, err := strconv.ParseFloat(of(metaSeconds), 64)
	if err != nil || !(seconds > 0) {
		return Prediction{}, false
	}
	threads, err := strconv.Atoi(of(metaThreads))
	if err != nil {
		threads = 0
	}
	return Prediction{of(metaDevice), of(metaRuntime), threads, of(metaCluster), of(metaMode), seconds}, true
}

// HoldsFor reports whether the prediction is one of what was measured so. What
// the model does not say may be anything.
func (p Prediction) HoldsFor(device, runtime string, threads int, cluster, mode string) bool {
	return (p.Device == "" || p.Device == device) && (p.Runtime == "" || p.Runtime == runtime) &&
		(p.Threads == 0 || p.Threads == threads) && (p.Mode == "" || p.Mode == mode && p.Cluster == cluster)
}

// Where says what the prediction holds for, in words.
func (p Prediction) Where() string {
	text := p.Device
	if p.Runtime != "" {
		text += ", " + p.Runtime + " runtime"
	}
	if p.Threads > 0 {
		text += fmt.Sprintf(", %d thread(s)", p.Threads)
	}
	if p.Cluster != "" {
		text += ", cores " + p.Cluster
	}
	if p.Mode != "" {
		text += ", " + p.Mode
	}
	return text
}
