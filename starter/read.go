package starter

import (
	"context"
	"fmt"
	"iter"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Messages returns a page of a batch's messages. Those of a large batch come in
// the order of their due times. A cursor stays good when the batch ends between
// two pages.
func (s *Starter) Messages(ctx context.Context, ref Ref, q message.PageQuery) (message.Page, error) {
	if err := checkPage(q); err != nil {
		return message.Page{}, err
	}
	v, err := s.view(ctx, ref)
	switch {
	case err != nil:
		return message.Page{}, err
	case v != nil:
		return v.Page(ctx, q)
	}
	return s.smallPage(ctx, ref, q)
}

func (s *Starter) smallPage(ctx context.Context, ref Ref, q message.PageQuery) (message.Page, error) {
	if err := checkCursor(q); err != nil {
		return message.Page{}, err
	}
	var page message.Page
	closed, err := s.server.Query(ctx, WorkflowID(ref), &page, contract.QueryMessages, q)
	if err != nil || !closed {
		return page, s.server.WorkerError(ctx, "batch "+ref.ID, err)
	}
	res, err := s.end(ctx, ref, true)
	if err != nil {
		return message.Page{}, err
	}
	page, err = message.Pages(q, len(res.Rows), // just as its workflow would
		func(i int) (message.State, int64) { return res.Rows[i].State, res.Rows[i].Rev },
		func(i int) message.Row { return res.Rows[i] })
	if err != nil {
		return message.Page{}, server.Invalid("%s", err)
	}
	return page, nil
}

// Message returns one message, by its id or its index, with its trail.
// ErrNotFound is for a batch and for a message that is not there.
func (s *Starter) Message(ctx context.Context, ref Ref, idOrIndex string) (message.Row, error) {
	v, err := s.view(ctx, ref)
	if err != nil {
		return message.Row{}, err
	}
	wid := WorkflowID(ref)
	what := fmt.Sprintf("message %s of batch %s", idOrIndex, ref.ID)
	i, ok := server.MessageIndex(wid, idOrIndex)
	if !ok {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if v != nil {
		return v.Message(ctx, what, i)
	}
	var row message.Row
	closed, err := s.server.Query(ctx, wid, &row, contract.QueryMessage, message.KeyOf(wid).MessageID(i))
	if err != nil || !closed {
		return row, s.server.WorkerError(ctx, what, err)
	}
	return s.endedMessage(ctx, ref, what, i)
}

// endedMessage is a message of a small batch that has ended.
func (s *Starter) endedMessage(ctx context.Context, ref Ref, what string, i int) (message.Row, error) {
	res, err := s.end(ctx, ref, true)
	if err != nil {
		return message.Row{}, err
	}
	if i >= len(res.Rows) {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	row := res.Rows[i]
	in, err := s.server.Input(ctx, ref) // knows which accounts the hops took
	if err != nil {
		return message.Row{}, err
	}
	m := &in.Batch.Messages[i]
	row.Addresses = in.Batch.AddressesOf(m)
	if i < len(res.Trails) && len(res.Trails[i]) > 0 {
		row.Trail = in.Batch.TrailOf(m, res.Trails[i])
	}
	return row, nil
}

// Results yields a batch's rows, each once: those of a small batch in the order of
// their indexes, those of a large one in the order of their due times. It ends at
// the first error, which it yields; that a part of a large batch is lost is the last.
func (s *Starter) Results(ctx context.Context, ref Ref, q ResultQuery) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		page := message.PageQuery{State: q.State, Code: q.Code, Limit: message.MaxPage}
		v, err := s.view(ctx, ref)
		if err == nil {
			err = checkPage(page)
		}
		if err != nil {
			yield(message.Row{}, err)
			return
		}
		if v != nil {
			v.Results(ctx, page, yield)
			return
		}
		for {
			p, err := s.smallPage(ctx, ref, page)
			if err != nil {
				yield(message.Row{}, err)
				return
			}
			for _, row := range p.Messages {
				if !yield(row, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			page.Cursor = p.Next
		}
	}
}

// Wait blocks until the batch has ended, or ctx has, and returns its final
// status. It needs no worker of its own and does not poll.
func (s *Starter) Wait(ctx context.Context, ref Ref) (message.Status, error) {
	res, err := s.end(ctx, ref, false)
	return res.Status, err
}
