package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"volley/internal/message"
)

// Report is what a run found.
type Report struct {
	Seed     uint64  `json:"seed"`
	Version  string  `json:"version"`
	Commit   string  `json:"commit"`
	Dispatch string  `json:"dispatch"`
	Faults   float64 `json:"faults"`
	Seconds  float64 `json:"seconds"`
	Messages int     `json:"messages"`
	Batches  int     `json:"batches"`
	Redriven int     `json:"redriven"`
	// States counts the messages of all batches by how they ended, those of redrives too.
	States message.Counts `json:"states"`
	// Requests counts those to send, Questions those that ask what the sink has.
	Requests  int `json:"requests"`
	Questions int `json:"questions"`
	// Accepted counts messages that the sink took, and Duplicates how often it took one
	// that it had.
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	// Answers counts how the sink answered, Disturbances the other faults, Controls what was
	// asked of batches.
	Answers      map[string]int `json:"answers"`
	Disturbances map[string]int `json:"disturbances"`
	Controls     map[string]int `json:"controls"`
	// Polls counts the statuses that were checked, Unanswered those that did not come.
	Polls      int         `json:"polls"`
	Unanswered int         `json:"unanswered"`
	Violations []Violation `json:"violations"`
	// Logs is where the workers' logs are; empty where nothing was violated.
	Logs string `json:"logs,omitempty"`
}

// report checks the evidence and counts what happened.
func (r *run) report(e *Evidence, took time.Duration) *Report {
	rep := &Report{
		Seed: r.o.Seed, Dispatch: r.o.Dispatch, Faults: r.o.Faults, Seconds: took.Seconds(), Messages: r.o.Messages, Batches: len(e.Batches),
		Answers: r.sink.answers(), Disturbances: r.faults, Controls: r.controls, Polls: r.polls, Unanswered: r.noAnswer,
		Violations: append([]Violation{}, Check(e)...),
	}
	total := 0
	for i := range e.Batches {
		total += len(e.Batches[i].Messages)
		for j := range e.Batches[i].Rows {
			rep.States[e.Batches[i].Rows[j].State]++
		}
	}
	rep.Redriven = total - rep.Messages
	taken := map[string]bool{}
	for i := range e.Requests {
		q := &e.Requests[i]
		switch {
		case q.Question:
			rep.Questions++
			continue
		case q.Accepted && taken[q.Reference]:
			rep.Duplicates++
		case q.Accepted:
			taken[q.Reference] = true
		}
		rep.Requests++
	}
	rep.Accepted = len(taken)
	for i, s := range r.slots {
		if n := s.process.ended.Load(); n > 0 {
			rep.Disturbances["worker "+strconv.Itoa(i)+" ended by itself"] = int(n)
		}
	}
	return rep
}

// shownViolations is how many violations a text shows.
const shownViolations = 20

// Text writes the report for people.
func (rep *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("seed", "%d", rep.Seed)
	line("version", "%s (%s)", rep.Version, rep.Commit)
	line("messages", "%d in %d batches, %d of them sent again by redrives; dispatch %s", rep.Messages, rep.Batches, rep.Redriven, rep.Dispatch)
	line("took", "%.0f s, %.0f %% of requests misbehaved by plan", rep.Seconds, 100*rep.Faults)
	line("ended", "%s", strings.Trim(countsText(&rep.States), "[ ]"))
	line("sink", "%d requests, %d questions, took %d messages, %d of them again", rep.Requests, rep.Questions, rep.Accepted, rep.Duplicates)
	line("answers", "%s", listed(rep.Answers))
	line("faults", "%s", listed(rep.Disturbances))
	line("controls", "%s", listed(rep.Controls))
	line("statuses", "%d checked, %d without an answer", rep.Polls, rep.Unanswered)
	line("violations", "%d", len(rep.Violations))
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range rep.Violations {
		v := &rep.Violations[i]
		if i == shownViolations {
			fmt.Fprintf(w, "  and %d more\n", len(rep.Violations)-i)
			break
		}
		place := v.Batch
		if v.Index >= 0 {
			place += " message " + strconv.Itoa(v.Index)
		}
		fmt.Fprintf(w, "  %s: %s: %s\n", v.Rule, place, v.Evidence)
	}
	if rep.Logs != "" {
		fmt.Fprintf(w, "the workers' logs are in %s\n", rep.Logs)
	}
	return nil
}

// listed writes counts, by name.
func listed(counts map[string]int) string {
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
