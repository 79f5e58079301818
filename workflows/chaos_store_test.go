package workflows_test

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// away is a store that does not answer now and then.
func (c *largeChaos) away() error {
	if c.rnd.IntN(4) == 0 {
		return errors.New("the store does not answer")
	}
	return nil
}

func (c *largeChaos) onOpen() (contract.OpenResult, error) {
	if c.opens--; c.opens > 0 {
		return contract.OpenResult{V: 1}, c.away()
	}
	res := contract.OpenResult{V: 1, Found: true}
	for i := 0; i < c.n; i += c.size {
		s := message.Segment{First: c.lines[i].Due}
		for _, l := range c.lines[i:min(i+c.size, c.n)] {
			s.Count++
			s.Last, s.Expires = max(s.Last, l.Due), max(s.Expires, l.Due+l.TTL)
			switch expires := l.Due + l.TTL; {
			case l.Code != "":
				s.Rejected++
			case s.FirstExpires == 0 || expires < s.FirstExpires:
				s.FirstExpires = expires
			}
		}
		res.Segments = append(res.Segments, s)
	}
	return res, nil
}

func (c *largeChaos) onLoad(in contract.LoadInput) (contract.LoadResult, error) {
	if err := c.away(); err != nil {
		return contract.LoadResult{}, err
	}
	res := contract.LoadResult{V: 1, Found: true, Batch: c.head}
	first := (in.Segment - 1) * c.size
	res.Lines = append(res.Lines, c.lines[first:min(first+c.size, c.n)]...)
	for _, l := range res.Lines {
		if at, ok := c.named[l.Index]; ok {
			res.Canceled = append(res.Canceled, message.Cancellation{Index: l.Index, At: at})
		}
	}
	return res, nil
}

func (c *largeChaos) onKeep(ctx workflow.Context, in contract.KeepInput) error {
	if err := c.away(); err != nil {
		return err
	}
	c.pass(ctx, 3*time.Second)
	c.ledgers[in.Number] = in.Ledger
	c.pass(ctx, 3*time.Second)
	return nil
}

// record is what the store and the batch say of a message.
func (c *largeChaos) record(large *message.Large, i int) (message.Record, bool) {
	l := c.lines[i]
	letter := byte(message.SegmentWaiting)
	switch {
	case c.segmentOf(i) <= len(large.Segments):
		letter = large.Segments[c.segmentOf(i)-1]
	case large.Rest != nil: // it ended before it was opened
		letter = message.SegmentNever
	}
	switch letter {
	case message.SegmentEnded:
		return c.ledgers[c.segmentOf(i)].Records[i%c.size], true
	case message.SegmentWaiting, message.SegmentNever:
		switch {
		case l.Code != "":
			return message.Record{State: message.Rejected}, true
		case letter == message.SegmentWaiting:
			return message.Record{}, false
		}
		return message.Record{State: large.Rest.State}, true
	}
	return message.Record{}, false
}
