package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"volley/dev/bench/roles"
)

// document is what --json holds.
type document struct {
	Machine   machine   `json:"machine"`
	InFlight  int       `json:"inFlight"`
	Rounds    int       `json:"rounds"`
	BodyBytes int       `json:"bodyBytes"`
	Sections  []section `json:"sections"`
}

func (d document) write(path string) error { return writeJSON(path, d) }

// writeJSON writes a document to a file; an empty path is none.
func writeJSON(path string, doc any) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// machine is where figures come from.
type machine struct {
	Commit    string `json:"commit"`
	Go        string `json:"go"`
	System    string `json:"system"`
	Processor string `json:"processor"`
	CPUs      int    `json:"cpus"`
	Memory    string `json:"memory"`
}

func thisMachine() machine {
	return machine{
		Commit: commit(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Processor: field("/proc/cpuinfo", "model name"), CPUs: runtime.GOMAXPROCS(0), Memory: field("/proc/meminfo", "MemTotal"),
	}
}

// commit is the version that is measured, "-dirty" if anything beside it was changed
// since; "unknown" where the program was built without.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	of := map[string]string{}
	for _, x := range info.Settings {
		of[x.Key] = x.Value
	}
	switch revision := of["vcs.revision"]; {
	case revision == "":
		return "unknown"
	case of["vcs.modified"] == "true":
		return revision + "-dirty"
	default:
		return revision
	}
}

// field reads the first line "name: value" of one of Linux's files; "" elsewhere.
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m machine) print(out io.Writer) {
	fmt.Fprintf(out, "commit %s, %s, %s, %d × %s, %s\n", m.Commit, m.Go, m.System, m.CPUs, m.Processor, m.Memory)
}

// print shows a section as a table.
func (s section) print(out io.Writer, o options) error {
	fmt.Fprintf(out, "\nServer %s, sink answers after %d ms, %d requests at once, messages of %d bytes, medians of %d rounds\n\n",
		placeOf(s.Server), s.DelayMS, o.inFlight, roles.BodyBytes, o.rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmessages\tper second\tstart\tto loop\tto bare\tevents\thistory\tactions\tworker\tstatus p50\tp99\t")
	fmt.Fprintln(w, "\t\t\t\t\t\t/message\t/message\t/1,000\tpeak\t\t\t")
	fmt.Fprintf(w, "loop\t%d\t%.0f\t\t1\t\t\t\t\t%s\t\t\t\n", s.Loop.Messages, s.Loop.Speed, size(s.Loop.Memory))
	for _, f := range s.Figures {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f %%\t%.4f\t%s\t%.2f\t%.0f B\t%.1f\t%s\t%s\t%s\t\n",
			f.Name, f.Messages, f.Speed, 100*f.Start, f.Loop, ratio(f.Bare), f.Events, f.Bytes, f.Actions,
			size(f.Memory), ms(f.P50), ms(f.P99))
	}
	return w.Flush()
}

func placeOf(server string) string {
	return map[string]string{inMemory: "in memory", inFile: "in a file", inPostgres: "in PostgreSQL"}[server]
}

func ratio(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// ms shows milliseconds; 0 means that nothing was measured.
func ms(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f ms", v)
}

// size shows bytes; 0 means that the system did not say.
func size(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
