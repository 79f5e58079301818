package workflows_test

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// away is a store that does not answer now and then.
func (c *largeChaos) away() error {
	if c.rnd.IntN(4) == 0 {
		return errors.New("the store does not answer")
	}
	return nil
}

func (c *largeChaos) onOpen() (activities.OpenResult, error) {
	if c.opens--; c.opens > 0 {
		return activities.OpenResult{V: 1}, c.away()
	}
	res := activities.OpenResult{V: 1, Found: true}
	for i := 0; i < c.n; i += c.size {
		s := message.Segment{First: c.lines[i].Due}
		for _, l := range c.lines[i:min(i+c.size, c.n)] {
			s.Count++
			s.Last, s.Expires = max(s.Last, l.Due), max(s.Expires, l.Due+l.TTL)
			if l.Code != "" {
				s.Rejected++
			}
		}
		res.Segments = append(res.Segments, s)
	}
	return res, nil
}

func (c *largeChaos) onLoad(in activities.LoadInput) (activities.LoadResult, error) {
	if err := c.away(); err != nil {
		return activities.LoadResult{}, err
	}
	res := activities.LoadResult{V: 1, Found: true, Batch: c.head}
	for _, s := range in.Sources {
		first := (s.Segment - 1) * c.size
		if !s.Left {
			res.Lines = append(res.Lines, c.lines[first:min(first+c.size, c.n)]...)
			continue
		}
		if res.Records == nil {
			res.Records = &message.Ledger{V: 1, Spots: []message.Spot{}}
		}
		for k, rec := range c.ledgers[s.Segment].Records {
			if !rec.State.Final() {
				res.Lines = append(res.Lines, c.lines[first+k])
				res.Records.Spots, res.Records.Records = append(res.Records.Spots, c.lines[first+k].Spot), append(res.Records.Records, rec)
			}
		}
	}
	return res, nil
}

func (c *largeChaos) onKeep(ctx workflow.Context, in activities.KeepInput) error {
	if err := c.away(); err != nil {
		return err
	}
	c.pass(ctx, 3*time.Second)
	c.ledgers[in.Number] = in.Ledger
	c.pass(ctx, 3*time.Second)
	return nil
}

func (c *largeChaos) onLocate(ctx workflow.Context, in activities.LocateInput) (activities.LocateResult, error) {
	if err := c.away(); err != nil {
		return activities.LocateResult{}, err
	}
	c.pass(ctx, 2*time.Second)
	res := activities.LocateResult{V: 1}
	for _, i := range in.Indexes {
		l := c.lines[i]
		f := activities.Located{Segment: l.Segment, Pos: l.Pos}
		if rec, ok := c.record(&in.Large, i); ok && rec.State.Final() {
			f.State = &rec.State
		}
		res.Found = append(res.Found, f)
	}
	c.pass(ctx, 3*time.Second)
	return res, nil
}

// record is what the store and the batch say of a message.
func (c *largeChaos) record(large *message.Large, i int) (message.Record, bool) {
	l := c.lines[i]
	letter := byte(message.SegmentWaiting)
	switch {
	case l.Segment <= len(large.Segments):
		letter = large.Segments[l.Segment-1]
	case large.Rest != nil: // it ended before it was opened
		letter = message.SegmentNever
	}
	switch letter {
	case message.SegmentEnded, message.SegmentLeft:
		for _, r := range large.Retries {
			if k := slices.Index(c.ledgers[r.Number].Spots, l.Spot); k >= 0 && r.Ended {
				return c.ledgers[r.Number].Records[k], true
			}
		}
		return c.ledgers[l.Segment].Records[l.Pos], true
	case message.SegmentWaiting, message.SegmentNever:
		switch {
		case l.Code != "":
			return message.Record{State: message.Rejected}, true
		case letter == message.SegmentWaiting:
			return message.Record{}, false
		case slices.Contains(large.Canceled, i):
			return message.Record{State: message.Canceled}, true
		}
		return message.Record{State: large.Rest.State}, true
	}
	return message.Record{}, false
}
