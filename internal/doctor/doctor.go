package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Level says how bad a finding is.
type Level string

// The levels. Wrong keeps messages from being sent or found; Warning may.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Wrong   Level = "wrong"
)

// Finding is one thing that was looked at.
type Finding struct {
	// Check is the kind of thing, such as store or account hook.
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Detail says how it stands, and Do what to do about it; empty where it is ok.
	Detail string `json:"detail"`
	Do     string `json:"do"`
}

// Report is what was found, in the order of the checks.
type Report struct {
	// OK means that nothing is wrong. Warnings may be there.
	OK     bool      `json:"ok"`
	Checks []Finding `json:"checks"`
}

// Check is one look at something.
type Check struct {
	Name string
	Run  func(ctx context.Context) []Finding
}

// Run makes all checks side by side and waits for each of them at most so long. One that
// does not come to an end is wrong.
func Run(ctx context.Context, checks []Check, atMost time.Duration) Report {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { found[i] = c.bounded(ctx, atMost) })
	}
	wg.Wait()
	r := Report{OK: true, Checks: []Finding{}}
	for _, some := range found {
		for _, f := range some {
			r.OK = r.OK && f.Level != Wrong
			r.Checks = append(r.Checks, f)
		}
	}
	return r
}

// bounded runs a check, and leaves it behind where it does not end with ctx.
func (c Check) bounded(ctx context.Context, atMost time.Duration) []Finding {
	done := make(chan []Finding, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
	}
	select { // what ends with ctx has a moment to say what it was doing
	case found := <-done:
		return found
	case <-time.After(time.Second):
		return []Finding{{c.Name, Wrong, fmt.Sprintf("no answer within %s", atMost), "see whether it can be reached from this machine"}}
	}
}

// Behind makes checks that need what the first one looks at: where that is wrong they are
// not made, so that one fault is said once.
func Behind(first Check, rest ...Check) Check {
	return Check{first.Name, func(ctx context.Context) []Finding {
		found := first.Run(ctx)
		if slices.ContainsFunc(found, func(f Finding) bool { return f.Level == Wrong }) {
			for _, c := range rest {
				found = append(found, NotLookedAt(c, first.Name).Run(ctx)...)
			}
			return found
		}
		others := make([][]Finding, len(rest))
		var wg sync.WaitGroup
		for i, c := range rest {
			wg.Go(func() { others[i] = c.Run(ctx) })
		}
		wg.Wait()
		return slices.Concat(append([][]Finding{found}, others...)...)
	}}
}

// NotLookedAt stands in the place of a check that says nothing as something else is wrong.
func NotLookedAt(c Check, wrong string) Check {
	return Check{c.Name, func(context.Context) []Finding {
		return []Finding{warning(c.Name, "", "not looked at, as %s is wrong", wrong)}
	}}
}

// ok, warning and wrong make findings.
func ok(check, format string, args ...any) Finding {
	return Finding{check, OK, fmt.Sprintf(format, args...), ""}
}

func warning(check, do, format string, args ...any) Finding {
	return Finding{check, Warning, fmt.Sprintf(format, args...), do}
}

func wrong(check, do, format string, args ...any) Finding {
	return Finding{check, Wrong, fmt.Sprintf(format, args...), do}
}

// span is a duration for people, in days or hours.
func span(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", days)
	}
	return fmt.Sprintf("%g h", d.Hours())
}
