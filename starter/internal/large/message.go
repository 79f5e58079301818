package large

import (
	"context"
	"fmt"
	"slices"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Content reads a message of a large batch. One that the store has lost is empty.
func (v *View) Content(ctx context.Context, index int) (message.Template, message.Message, error) {
	m, err := v.Manifest(ctx)
	if err != nil {
		return message.Template{}, message.Message{}, err
	}
	if index < 0 {
		return m.Batch.Template, message.Message{}, nil
	}
	at, err := v.locateOne(ctx, fmt.Sprintf("message %d of batch %s", index, v.Ref.ID), index)
	if err != nil {
		return message.Template{}, message.Message{}, err
	}
	one, err := v.storedMessage(ctx, at)
	if store.Lost(err) {
		err = nil
	}
	return m.Batch.Template, one, err
}

// show fills in what only the message itself tells. That stays empty where the store
// has lost the message, and so does the message that it returns.
func (v *View) show(ctx context.Context, p *LocatedRow) (message.Message, error) {
	m, err := v.storedMessage(ctx, p.Location)
	switch {
	case store.Lost(err):
		return message.Message{}, nil
	case err != nil:
		return message.Message{}, err
	}
	p.Row.Address(&m)
	if m.Reference != "" {
		p.Row.Reference = &m.Reference
	}
	if p.Row.Channel == "" && len(m.Channels) > 0 {
		p.Row.Channel = m.Channels[0]
	}
	return m, nil
}

// Message is one message with its trail; what names it in errors.
func (v *View) Message(ctx context.Context, what string, index int) (message.Row, error) {
	at, err := v.locateOne(ctx, what, index)
	if err != nil {
		return message.Row{}, err
	}
	r, err := v.Rows(ctx, at.Segment, Filter{})
	switch {
	case err != nil:
		return message.Row{}, err
	case at.Pos >= len(r.List):
		return message.Row{}, fmt.Errorf("%s: %w", what, server.ErrNotFound)
	}
	p := LocatedRow{at, r.List[at.Pos]}
	switch {
	case r.ledger != nil:
		trail := r.ledger.Records[at.Pos].Trail
		if l, ok := r.late[index]; ok {
			trail = append(slices.Clone(trail), l.Entry())
		}
		p.Row.Trail = r.batch.TrailOf(r.routed(at.Pos), trail)
	case r.running:
		var row message.Row
		closed, err := v.s.Query(ctx, v.Workflow(at.Segment), &row, contract.QueryMessage, v.Key.MessageID(index))
		if err != nil {
			return message.Row{}, v.s.WorkerError(ctx, what, err)
		}
		if !closed { // otherwise it ended this instant, and the row is still true
			p.Row = row
		}
	}
	m, err := v.show(ctx, &p)
	if err == nil {
		p.Row.Text = r.batch.TextOf(&m)
		if m.To != "" { // else the store has lost it
			p.Row.Addresses = r.batch.AddressesOf(&m)
		}
	}
	return p.Row, err
}
