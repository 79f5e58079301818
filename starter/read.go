package starter

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"

	"volley/internal/message"
	"volley/starter/internal/large"
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
	if err != nil {
		return message.Page{}, err
	}
	if v != nil {
		match, err := s.matcherOf(ctx, v, q.Selector)
		if err != nil {
			return message.Page{}, err
		}
		return v.Page(ctx, q, match)
	}
	if q.Selector.IsZero() {
		return s.smallPage(ctx, ref, q)
	}
	limit := min(cmp.Or(q.Limit, message.DefaultPage), message.MaxPage)
	page := message.Page{Messages: []message.Row{}}
	q.Limit = message.MaxPage
	for row, err := range s.smallRows(ctx, ref, q, nil) {
		if err != nil {
			return message.Page{}, err
		}
		if len(page.Messages) == limit {
			page.Next = strconv.Itoa(row.Index)
			break
		}
		page.Messages = append(page.Messages, row)
	}
	return page, nil
}

// matcherOf is matcher for a large batch.
func (s *Starter) matcherOf(ctx context.Context, v *large.View, q message.Selector) (large.Match, error) {
	if q.IsZero() {
		return nil, nil
	}
	m, err := v.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	return matcher(&m.Batch, q), nil
}

// smallRows yields the rows of a small batch that a query selects, and of them those of
// which match says so; nil is all. It ends at the first error.
func (s *Starter) smallRows(ctx context.Context, ref Ref, q message.PageQuery, match large.Match) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		var messages []message.Message
		if match != nil || !q.Selector.IsZero() {
			in, err := s.server.Input(ctx, ref)
			if err != nil {
				yield(message.Row{}, err)
				return
			}
			messages = in.Batch.Messages
			if match == nil {
				match = matcher(&in.Batch, q.Selector)
			}
		}
		q.Selector = message.Selector{}
		for {
			p, err := s.smallPage(ctx, ref, q)
			if err != nil {
				yield(message.Row{}, err)
				return
			}
			for _, row := range p.Messages {
				if match != nil && (row.Index >= len(messages) || !match(&row, &messages[row.Index])) {
					continue
				}
				if !yield(row, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			q.Cursor = p.Next
		}
	}
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

// Message returns one message with its trail and what it said. It is named by its id or
// index, or else by its recipient, in any spelling, or its reference. ErrNotFound is for a
// batch and for a message that is not there; where several are meant the error is a
// *SeveralError.
func (s *Starter) Message(ctx context.Context, ref Ref, name string) (message.Row, error) {
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return message.Row{}, err
	}
	i, err := s.indexOf(ctx, ref, name, d.Memo.Total)
	if err != nil {
		return message.Row{}, err
	}
	what := fmt.Sprintf("message %s of batch %s", name, ref.ID)
	v, err := s.viewBy(ctx, ref, d)
	if err != nil {
		return message.Row{}, err
	}
	if v != nil {
		return v.Message(ctx, what, i)
	}
	in, err := s.server.Input(ctx, ref) // knows what it said, and which accounts the hops took
	if err != nil {
		return message.Row{}, err
	}
	wid := WorkflowID(ref)
	var row message.Row
	closed, err := s.server.Query(ctx, wid, &row, contract.QueryMessage, message.KeyOf(wid).MessageID(i))
	if err != nil {
		return row, s.server.WorkerError(ctx, what, err)
	}
	if closed {
		if row, err = s.endedMessage(ctx, ref, what, i, &in.Batch); err != nil {
			return row, err
		}
	}
	if i < len(in.Batch.Messages) {
		m := &in.Batch.Messages[i]
		row.Text, row.Addresses = in.Batch.TextOf(m), in.Batch.AddressesOf(m)
	}
	return row, nil
}

// endedMessage is a message of a small batch that has ended.
func (s *Starter) endedMessage(ctx context.Context, ref Ref, what string, i int, b *message.Batch) (message.Row, error) {
	res, err := s.end(ctx, ref, true)
	if err != nil {
		return message.Row{}, err
	}
	if i >= len(res.Rows) {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	row := res.Rows[i]
	if i < len(res.Trails) && len(res.Trails[i]) > 0 {
		row.Trail = b.TrailOf(&b.Messages[i], res.Trails[i])
	}
	return row, nil
}

// Results yields a batch's rows, each once: those of a small batch in the order of
// their indexes, those of a large one in the order of their due times. It ends at
// the first error, which it yields; that a part of a large batch is lost is the last.
func (s *Starter) Results(ctx context.Context, ref Ref, q ResultQuery) iter.Seq2[message.Row, error] {
	page := message.PageQuery{State: q.State, Code: q.Code, Limit: message.MaxPage, Selector: q.Selector}
	return s.matching(ctx, ref, page, nil)
}

// matching is Results for messages of which match says so; nil is those that page's
// selector chooses.
func (s *Starter) matching(ctx context.Context, ref Ref, page message.PageQuery, match large.Match) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		err := checkPage(page)
		var v *large.View
		if err == nil {
			v, err = s.view(ctx, ref)
		}
		if err == nil && v != nil && match == nil {
			match, err = s.matcherOf(ctx, v, page.Selector)
		}
		switch {
		case err != nil:
			yield(message.Row{}, err)
		case v != nil:
			v.Results(ctx, page, match, yield)
		default:
			s.smallRows(ctx, ref, page, match)(yield)
		}
	}
}

// Wait blocks until the batch has ended, or ctx has, and returns its final
// status. It needs no worker of its own and does not poll.
func (s *Starter) Wait(ctx context.Context, ref Ref) (message.Status, error) {
	res, err := s.end(ctx, ref, false)
	return res.Status, err
}
