// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/runfile"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// WriteFile reads the run in folder dir and writes dir/report.html.
func WriteFile(dir string) error {
	run, err := Read(dir)
	if err != nil {
		return err
	}
	return run.WriteFile(dir)
}

// WriteFile writes dir/report.html.
func (run Run) WriteFile(dir string) error {
	var b bytes.Buffer
	if err := Write(&b, run); err != nil {
		return err
	}
	if err := atomicfile.Write(runfile.Dir(dir).Path(runfile.ReportName), b.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// Write writes the page of a run. Equal runs give equal bytes.
func Write(w io.Writer, run Run) error {
	p, err := newPage(run)
	if err != nil {
		return err
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// page is what the template shows; what is empty is left out.
type page struct {
	Title, Command string
	Summary        summary
	Cells          []cell
	Notation       string
	Provisional    bool // the cells are what the search would choose now
	Search, Train  []chart
	Alpha          []alphaGroup
	Legend         []legend // operations, in the colours of Alpha and Cells
	Warnings       []string
	Choice         choice
	Entries        entryTable
	Networks       scatter
	Raw            []runfile.Document // text to look up and copy
	Downloads      []download
}

type legend struct{ Class, Name string }

// download is a file inside the page.
type download struct {
	Name string
	Link template.URL
}

// maxWarnings bounds the different warnings of a search that are shown.
const maxWarnings = 5

func newPage(run Run) (*page, error) {
	p := &page{Title: title(run), Command: run.result.Command, Summary: summarise(run)}
	found := run.found()
	if found != nil {
		p.Cells = drawCells(found)
		p.Notation = found.Space.Notation(found.Space.Canonical(found.Choice))
		p.Provisional = run.architecture == nil
	}
	var search, train []*point
	for i := range run.history {
		point := &run.history[i]
		if point.Phase == "train" {
			train = append(train, point)
		} else {
			search = append(search, point)
		}
		if point.Warning != "" && len(p.Warnings) < maxWarnings && !slices.Contains(p.Warnings, point.Warning) {
			p.Warnings = append(p.Warnings, point.Warning)
		}
	}
	p.Search, p.Train = searchCharts(search, run.result), trainCharts(train, run.result)
	p.Alpha, p.Legend = alphaCharts(search, run.space())
	p.Choice = choose(run.choice, run.candidates)
	if run.profile != nil {
		p.Entries = tabulate(run.profile, found)
		p.Networks = compare(run.profile, run.result)
	}
	p.identify()
	return p, p.addRaw(run)
}

// identify numbers the pictures, so that each can refer to its description.
func (p *page) identify() {
	n := 0
	all := [][]chart{p.Search, p.Train}
	for _, g := range p.Alpha {
		all = append(all, g.Charts)
	}
	for _, charts := range all {
		for i := range charts {
			charts[i].ID = fmt.Sprintf("chart%d", n)
			n++
		}
	}
}

// addRaw adds the files behind the page.
func (p *page) addRaw(run Run) error {
	p.Raw = append(p.Raw, run.files...)
	if run.architecture != nil {
		text, err := json.MarshalIndent(run.architecture, "", "  ")
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		p.Raw = append(p.Raw, runfile.Document{Name: runfile.ArchitectureName, Text: string(text)})
	}
	var b bytes.Buffer
	if len(run.history) > 0 {
		if err := historyCSV(&b, run.history); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		p.addDownload("history.csv", b.Bytes())
	}
	if run.profile != nil {
		b.Reset()
		if err := EntriesCSV(&b, run.profile); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		p.addDownload("entries.csv", b.Bytes())
	}
	return nil
}

func (p *page) addDownload(name string, data []byte) {
	link := "data:text/csv;charset=utf-8;base64," + base64.StdEncoding.EncodeToString(data)
	p.Downloads = append(p.Downloads, download{name, template.URL(link)}) // base64: nothing to escape
}
