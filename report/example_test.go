// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgenas/edgenas/report"
)

// The page of a run stands in the run's folder, in one file.
func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS("testdata/run")); err != nil {
		log.Fatal(err)
	}
	if err := report.WriteFile(dir); err != nil {
		log.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		log.Fatal(err)
	}
	_, title, _ := strings.Cut(string(page), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	fmt.Println(strings.ReplaceAll(title, "\u00a0", " "))
	// Output:
	// A network for 2 ms on Example Board Rev 1.0 – edgenas
}
