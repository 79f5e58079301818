package reports

import (
	"context"
	"slices"
	"strings"
	"time"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Bounds of what is remembered of where reports go.
const (
	maxPlaces = 20_000
	// freshFor is how long a batch is taken for what it was when it was found. It may
	// be deleted, and another one started with its id. Once that is over it is looked
	// for again, and believed for staleFor where it is not listed: between two runs of a
	// batch none of them may be.
	freshFor = time.Minute
	staleFor = 5 * time.Minute
	// missingFor is how long it is remembered that a batch was not there, and unlistedFor
	// how old a report is at most whose batch may yet be listed.
	missingFor  = time.Second
	unlistedFor = 5 * time.Minute
)

// place is what is known of where the reports of a batch go. The zero value is nothing.
type place struct {
	to    *destination // nil where the batch was never found
	found time.Time
	// looked is when the batch was last looked for in vain, and missing since when it has
	// been, with nothing believed of it.
	looked, missing time.Time
}

// believed is where the reports go; nil is that nobody knows.
func (p place) believed(now time.Time) *destination {
	if now.Sub(p.found) >= staleFor {
		return nil
	}
	return p.to
}

// unlisted reports whether the batch of a report, which was not found, may be listed yet.
// A report is as old as it says. Where it says nothing, or the clock that it tells is
// ahead, it counts from when its batch was first looked for. A first look that is older
// than a report by unlistedFor was none for it.
func (p place) unlisted(r *message.Report, now time.Time) bool {
	since := time.UnixMilli(r.At)
	if ahead := since.Sub(p.missing); r.At == 0 || since.After(now) || ahead > 0 && ahead < unlistedFor {
		since = p.missing
	}
	return now.Sub(since) < unlistedFor
}

// lookWaits are the waits before each look for batches that Temporal does not list yet,
// in sevenths of Options.Lag. Only one that nothing is known of, not even that it is
// missing, is looked for so often.
var lookWaits = [...]time.Duration{0, 1, 2, 4}

// maxKeys is how many batches one look asks for.
const maxKeys = 50

// find finds the batches of reports by their keys. What is no id has no place.
func (s *Intake) find(ctx context.Context, reports []message.Report) (map[message.Key]place, error) {
	places := map[message.Key]place{}
	var looked []message.Key
	waits := lookWaits[:1]
	for i := range reports {
		k, _, ok := message.ParseID(reports[i].ID)
		if _, seen := places[k]; !ok || seen {
			continue
		}
		p, _ := s.places.Get(k)
		places[k] = p
		now := s.Now()
		unknown := p.missing.IsZero() && p.believed(now) == nil
		if now.Sub(p.found) < freshFor || now.Sub(p.looked) < missingFor && !unknown {
			continue
		}
		looked = append(looked, k)
		if unknown {
			waits = lookWaits[:]
		}
	}
	listed, missing := map[message.Key]*destination{}, slices.Clone(looked)
	for _, wait := range waits {
		if len(missing) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait * s.o.Lag / 7):
		}
		for some := range slices.Chunk(missing, maxKeys) {
			if err := s.list(ctx, some, listed); err != nil {
				return nil, err
			}
		}
		missing = slices.DeleteFunc(missing, func(k message.Key) bool { return listed[k] != nil })
	}
	for _, k := range looked {
		places[k] = s.remember(k, listed[k])
	}
	return places, nil
}

// list asks the list of batches once.
func (s *Intake) list(ctx context.Context, keys []message.Key, listed map[message.Key]*destination) error {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = server.Quote(k.String())
	}
	query := "WorkflowType = " + server.Quote(contract.SendBatchName) + " AND ExecutionStatus != 'ContinuedAsNew' AND " +
		contract.AttrKey + " IN (" + strings.Join(names, ", ") + ")"
	for info, err := range s.Runs(ctx, query) {
		if err != nil {
			return server.Translate(ctx, "find the batches of reports", err)
		}
		if ref, ok := server.ParseWorkflowID(info.GetExecution().GetWorkflowId()); ok {
			d := s.DescriptionOf(info)
			to := newDestination(ref, d.Memo.Dir != "" || !d.Open, d.Memo.Trace)
			listed[message.KeyOf(to.wid)] = to
		}
	}
	return nil
}

// remember notes that a batch was found just now, or, where to is nil, was not. All who
// find it at the same time share one destination.
func (s *Intake) remember(k message.Key, to *destination) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	p, _ := s.places.Get(k)
	switch {
	case to == nil:
		p.looked = now
		if p.missing.IsZero() && p.believed(now) == nil {
			p.missing = now
		}
	case now.Sub(p.found) >= freshFor:
		p = place{to: to, found: now}
	}
	s.places.Add(k, p)
	return p
}

// Remember notes a batch that was started, which Temporal may take a while to list. trace
// names the span that it is a part of; empty is none.
func (s *Intake) Remember(ref server.Ref, large bool, trace string) {
	to := newDestination(ref, large, trace)
	k := message.KeyOf(to.wid)
	s.places.Remove(k) // it may have been another batch
	s.remember(k, to)
}
