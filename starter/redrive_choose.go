package starter

import (
	"context"
	"iter"
	"slices"

	"volley/internal/message"
	"volley/starter/internal/large"
)

// chosenMessages are the messages of a batch that a redrive is about.
type chosenMessages struct {
	header *message.Batch // the old batch, without its messages
	view   *large.View    // nil is a small batch
	small  []message.Message
	dues   []int64 // of the messages of a small batch, in Unix ms
	now    int64
	// wanted are those that the query selects. Of them later are due in the future, and
	// doubtful may have arrived. unknown would be selected but for that.
	wanted, later, doubtful, unknown message.IndexSet
}

// redriveMessage is a message to send again.
type redriveMessage struct {
	message.Message
	index int
}

// choose reads a batch and finds the messages that a redrive is about.
func (s *Starter) choose(ctx context.Context, ref Ref, q RedriveQuery, states []message.State) (*chosenMessages, error) {
	c := &chosenMessages{now: s.o.Now().UnixMilli()}
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return nil, err
	}
	if c.view, err = s.viewBy(ctx, ref, d); err != nil {
		return nil, err
	}
	plain := len(q.States) == 0
	leavesUnknown := !slices.Contains(states, message.Unknown) // and counts them
	is := func(row *message.Row) bool {
		return row.State.Final() && (q.Code == "" || row.Code == q.Code) && (slices.Contains(states, row.State) ||
			leavesUnknown && row.State == message.Unknown || plain && row.State == message.Canceled && row.Detail == message.DetailEndedByTemporal)
	}
	add := func(row *message.Row) {
		switch {
		case leavesUnknown && row.State == message.Unknown:
			c.unknown.Add(row.Index)
			return
		case row.State == message.Unknown:
			c.doubtful.Add(row.Index)
		}
		c.wanted.Add(row.Index)
		if row.DueAt != nil && row.DueAt.UnixMilli() > c.now {
			c.later.Add(row.Index)
		}
	}
	if c.view == nil {
		return c, s.chooseSmall(ctx, ref, q, c, is, add)
	}
	m, err := c.view.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	c.header = &m.Batch
	match := matcher(c.header, q.Selector)
	for p, err := range c.view.Readable(ctx, is) {
		if err != nil {
			return nil, err
		}
		if match == nil || match(&p.Row, &p.Message) {
			add(&p.Row)
		}
	}
	return c, nil
}

func (s *Starter) chooseSmall(ctx context.Context, ref Ref, q RedriveQuery, c *chosenMessages, is func(*message.Row) bool, add func(*message.Row)) error {
	in, err := s.server.Input(ctx, ref)
	if err != nil {
		return err
	}
	c.small = in.Batch.Messages
	header := in.Batch
	header.Messages = nil
	c.header, c.dues = &header, make([]int64, len(c.small))
	match := matcher(c.header, q.Selector)
	for row, err := range s.Results(ctx, ref, ResultQuery{}) {
		if err != nil {
			return err
		}
		if row.Index >= len(c.small) || !is(&row) || match != nil && !match(&row, &c.small[row.Index]) {
			continue
		}
		if row.DueAt != nil {
			c.dues[row.Index] = row.DueAt.UnixMilli()
		}
		add(&row)
	}
	return nil
}

// messages yields the messages of a set. One that is due in the future stays so, all
// others are due with their batch.
func (c *chosenMessages) messages(ctx context.Context, set message.IndexSet) iter.Seq2[redriveMessage, error] {
	return func(yield func(redriveMessage, error) bool) {
		if c.view == nil {
			for i, m := range c.small {
				due := c.dues[i]
				m.Due = 0
				if c.later.Has(i) {
					m.Due = due
				}
				if set.Has(i) && !yield(redriveMessage{m, i}, nil) {
					return
				}
			}
			return
		}
		for p, err := range c.view.Messages(ctx, set) {
			m := redriveMessage{p.Message, p.Row.Index}
			due := c.header.DueAt(&m.Message)
			if c.view.Large.Due > c.now {
				due = c.view.Large.Due
			}
			m.Due = 0
			if c.later.Has(m.index) {
				m.Due = due
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}
