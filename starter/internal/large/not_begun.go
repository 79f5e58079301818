package large

import (
	"cmp"
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
)

// codeCanceled is what is said of a message that was canceled before anything of it was
// sent.
const codeCanceled = "canceled"

// fillUnrun fills in a segment that has no workflow: it waits for its turn, or will
// never have one.
func (r *SegmentRows) fillUnrun(ctx context.Context) error {
	large, made := &r.view.Large, r.batch.CreatedAt.UnixMilli()
	named, err := r.view.canceled(ctx)
	if err != nil {
		return err
	}
	rest := r.view.unrunOutcome(r.number)
	for pos, l := range r.lines {
		rec := l.FirstRecord(made, 0)
		by, ok := named.byIndex[l.Index]
		if large.Due != 0 && l.Code == "" && (!ok || by.At > large.DueRev>>RevShift) {
			rec.Due, rec.Expires, rec.Rev = large.Due, large.Due+l.TTL, max(rec.Rev, large.DueRev)
		}
		end := rest
		if ok && (rest == nil || rest.Finished == 0 || by.At <= rest.Finished) { // else it had ended
			end = &message.UnrunOutcome{State: message.Canceled, Code: codeCanceled, Detail: by.Reason, Finished: by.At}
		}
		switch {
		case rec.State.Final():
		case end != nil:
			rec.State, rec.Code, rec.Detail, rec.Finished = end.State, end.Code, end.Detail, end.Finished
			rec.Rev = max(rec.Rev, end.Finished<<RevShift)
		case rec.Due <= r.view.now:
			rec.State = message.Accepted
		}
		r.put(pos, &rec)
	}
	return nil
}

// unrunOutcome is what became of the messages of a segment that never ran; nil while it
// waits for its turn.
func (v *View) unrunOutcome(number int) *message.UnrunOutcome {
	if v.State(number) != message.SegmentNever {
		return nil
	}
	if own, ok := v.Large.RestOf[number]; ok {
		return &own
	}
	if v.Large.Rest != nil {
		return v.Large.Rest
	}
	return &message.UnrunOutcome{State: message.Canceled, Code: codeCanceled, Detail: message.DetailEndedByTemporal}
}

// byRows reports whether only the rows of a segment that has no workflow tell how many of
// its messages are in which state: some were canceled by name, or are due before others.
func (v *View) byRows(ctx context.Context, m *message.Manifest, number int) (bool, error) {
	g, rest := &m.Segments[number-1], v.unrunOutcome(number)
	switch {
	case rest != nil && rest.State == message.Canceled:
		return false, nil
	case rest == nil && v.Large.Due == 0 && g.First <= v.now && v.now < g.Last:
		return true, nil
	}
	named, err := v.canceled(ctx)
	return named.segments[number], err
}

// plainCounts are those of a segment that has no workflow, where its rows need not be read
// for them.
func (v *View) plainCounts(m *message.Manifest, number int) (n message.Counts, reasons message.Reasons) {
	g, state := &m.Segments[number-1], message.Scheduled
	if cmp.Or(v.Large.Due, g.Last) <= v.now {
		state = message.Accepted
	}
	reasons.Add(g.Reasons)
	if rest := v.unrunOutcome(number); rest != nil {
		state = rest.State
		reasons.Count(state, rest.Code, rest.Detail, g.Count-g.Rejected)
	}
	n[message.Rejected] = g.Rejected
	n[state] += g.Count - g.Rejected
	return n, reasons
}

// unrunCounts are those of a segment that has no workflow, and the last rev of its
// messages, if their rows tell it. After an error they are plainCounts.
func (v *View) unrunCounts(ctx context.Context, m *message.Manifest, number int) (n message.Counts, reasons message.Reasons, rev int64, err error) {
	rows, err := v.byRows(ctx, m, number)
	if rows {
		var r *SegmentRows
		if r, err = v.unrunRows(ctx, m, number); err == nil {
			n, reasons, rev = r.counts()
			return n, reasons, rev, nil
		}
	}
	n, reasons = v.plainCounts(m, number)
	return n, reasons, 0, err
}

// unrunRows are the rows of a segment that no workflow has, or of one of which nobody has
// heard yet.
func (v *View) unrunRows(ctx context.Context, m *message.Manifest, number int) (r *SegmentRows, err error) {
	r = &SegmentRows{view: v, number: number, batch: &m.Batch}
	if r.lines, err = v.lines(ctx, m, number); err != nil {
		return nil, err
	}
	r.List = make([]message.Row, len(r.lines))
	return r, r.fillUnrun(ctx)
}

// addUnrun counts the messages of segments that no workflow has, and of some that have
// just begun, and returns the last rev of those whose rows were read.
func (v *View) addUnrun(ctx context.Context, sum *message.Counts, reasons *message.Reasons, numbers []int) (rev int64, err error) {
	m, err := v.Manifest(ctx)
	if err != nil {
		sum.Add(v.Waiting)
		for _, number := range numbers {
			sum.Add(v.Counts[number])
		}
		return 0, err
	}
	for i := range m.Segments {
		if v.unrun(i + 1) {
			numbers = append(numbers, i+1)
		}
	}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(mostRead)
	for _, number := range numbers {
		group.Go(func() error {
			n, whys, last, err := v.unrunCounts(ctx, m, number)
			mu.Lock()
			defer mu.Unlock()
			sum.Add(n)
			reasons.Add(whys)
			rev = max(rev, last)
			return err
		})
	}
	err = group.Wait()
	return rev, err
}

// CanceledByName is how many messages were canceled by name of segments in a state that no
// workflow has, as far as that can be read.
func (v *View) CanceledByName(ctx context.Context, state byte) (sum int) {
	m, err := v.Manifest(ctx)
	if err != nil {
		return 0
	}
	named, _ := v.canceled(ctx)
	for number := range named.segments {
		if _, lost := v.Large.RestOf[number]; lost || v.State(number) != state {
			continue // a lost one had ended before
		}
		r, err := v.unrunRows(ctx, m, number)
		for i := 0; err == nil && i < len(r.List); i++ {
			row := &r.List[i]
			if by, ok := named.byIndex[row.Index]; ok && row.State == message.Canceled && row.FinishedAt.UnixMilli() == by.At {
				sum++
			}
		}
	}
	return sum
}
