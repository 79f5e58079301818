package large

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Naming cancels messages of a large batch by name.
type Naming struct {
	Dir     string
	Indexes []int
	Reason  string
	// At is when it was asked for, in Unix ms.
	At int64
	// ID tells it from others, so that what is asked again is known as the same.
	ID string
}

// lastRound is how often it is looked again for messages whose workflow had just ended.
const lastRound = 8

// ReadView tells how a batch stands after names were written into the store, or sees to it
// that they are not forgotten where it cannot.
type ReadView func(ctx context.Context, written message.Cancellations) (*View, error)

// Cancel writes names into the store, and asks the workflows that have the messages.
// Whoever loads them later finds the names before anything is sent. The names of calls
// that come while others are being written are written together.
//
// After an error of another kind than ErrStore the names are written. A workflow that did
// not answer finds them as a signal.
func (s *Reader) Cancel(ctx context.Context, n Naming, read ReadView) (message.CancelResult, error) {
	v, err := s.names.write(ctx, s, n, read)
	if err != nil {
		return message.CancelResult{}, err
	}
	c := &cancel{View: v, n: n, effects: map[int]message.CancelEffect{}}
	for round := 0; ; round++ {
		if err := c.round(ctx); err != nil {
			return message.CancelResult{}, err
		}
		if len(c.effects) == len(n.Indexes) {
			break
		}
		if round == lastRound {
			return message.CancelResult{}, fmt.Errorf("cancel messages of batch %s: the workflow of some of them was ended: %w", v.Ref.ID, server.ErrMayHaveChanged)
		}
		select {
		case <-ctx.Done():
			return message.CancelResult{}, ctx.Err()
		case <-time.After(server.UpdateEvery << min(round, 4)):
		}
		if c.View, err = read(ctx, nil); err != nil {
			return message.CancelResult{}, err
		}
	}
	res := message.NewCancelResult(v.Ref.ID)
	for _, i := range n.Indexes { // in the order in which they were named
		res.Add(c.Key.MessageID(i), c.effects[i])
	}
	return res, nil
}

// cancel is one call.
type cancel struct {
	*View
	n       Naming
	mu      sync.Mutex
	effects map[int]message.CancelEffect // by index
}

// member is a message of a segment.
type member struct{ index, pos int }

// round finds out what becomes of the messages of which it is not known, segment by
// segment.
func (c *cancel) round(ctx context.Context) error {
	todo := slices.DeleteFunc(slices.Clone(c.n.Indexes), func(i int) bool { return c.effects[i] > 0 })
	spots, err := c.locate(ctx, "batch "+c.Ref.ID, todo...)
	if err != nil {
		return err
	}
	members := map[int][]member{} // by segment
	for k, at := range spots {
		if at.Segment == 0 {
			return fmt.Errorf("message %d of batch %s: %w", todo[k], c.Ref.ID, server.ErrNotFound)
		}
		members[at.Segment] = append(members[at.Segment], member{todo[k], at.Pos})
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(mostRead)
	for number, some := range members {
		group.Go(func() error { return c.segment(gctx, number, some) })
	}
	return group.Wait()
}

// segment deals with messages of one segment.
func (c *cancel) segment(ctx context.Context, number int, some []member) error {
	if c.runs(number) {
		if closed, err := c.ask(ctx, number, some); err != nil || !closed {
			return err
		}
	}
	rows, err := c.Rows(ctx, number, Filter{})
	if err != nil {
		return err
	}
	for _, m := range some {
		if row := &rows.List[m.pos]; row.State.Final() && !c.known(m.index) { // else it has moved meanwhile, or its workflow told
			c.set(m.index, c.effect(row))
		}
	}
	return nil
}

// effect is what the call did to a message that has ended: what ended at the time of the
// call was canceled by its name.
func (c *cancel) effect(row *message.Row) message.CancelEffect {
	return message.CancelEffectOf(row.State, row.FinishedAt != nil && row.FinishedAt.UnixMilli() == c.n.At)
}

func (c *cancel) known(index int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.effects[index] > 0
}

func (c *cancel) set(index int, e message.CancelEffect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effects[index] = e
}

// ask asks the running workflow of a segment, and reports whether it had ended.
func (c *cancel) ask(ctx context.Context, number int, some []member) (closed bool, err error) {
	q := message.CancelRequest{Reason: c.n.Reason}
	for _, m := range some {
		q.Messages = append(q.Messages, c.Key.MessageID(m.index))
	}
	slices.Sort(q.Messages)
	actx, cancel := context.WithTimeout(ctx, c.s.Wait/2)
	defer cancel()
	var res message.CancelResult
	closed, err = c.s.Update(actx, c.Workflow(number), c.n.ID, contract.ControlCancel, &res, q)
	if err != nil {
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.s.Wait/2)
		defer cancel()
		if serr := c.s.Client.SignalWorkflow(sctx, c.Workflow(number), "", contract.ControlCancel, q); serr != nil {
			err = server.Translate(ctx, "cancel messages of batch "+c.Ref.ID, serr)
		}
	}
	for id, e := range res.All() {
		_, i, _ := message.ParseID(id)
		if e == message.CancelEnded {
			row, gone, err := c.row(ctx, number, id)
			if err != nil {
				return false, err
			}
			if gone { // its ledger tells
				closed = true
				continue
			}
			if row.State == message.Canceled {
				e = c.effect(&row)
			}
		}
		c.set(i, e)
	}
	return closed, err
}

// row is a message as its workflow has it; closed says that the workflow has ended
// meanwhile. A message that had ended when its workflow was asked may have ended by its
// name, when the workflow read that.
func (c *cancel) row(ctx context.Context, number int, id string) (row message.Row, closed bool, err error) {
	closed, err = c.s.Query(ctx, c.Workflow(number), &row, contract.QueryMessage, id)
	if err != nil {
		err = c.s.WorkerError(ctx, "message "+id, err)
	}
	return row, closed, err
}

// namesWriter writes names into the store, one write of a batch at a time: those that
// come meanwhile gather in the next.
type namesWriter struct {
	mu sync.Mutex
	// next gathers, by folder. A folder of which nothing is being written has none.
	next map[string]*nameWrite
}

// nameWrite is one write, and how the batch stood after it.
type nameWrite struct {
	names message.Cancellations
	read  ReadView
	done  chan struct{}
	view  *View
	err   error
}

func (w *namesWriter) write(ctx context.Context, s *Reader, n Naming, read ReadView) (*View, error) {
	w.mu.Lock()
	one, busy := w.next[n.Dir]
	if !busy {
		one = &nameWrite{done: make(chan struct{})}
		w.next[n.Dir] = one
		go w.run(context.WithoutCancel(ctx), s, n.Dir)
	}
	one.read = read
	for _, i := range n.Indexes {
		one.names = append(one.names, message.Cancellation{Index: i, At: n.At, Reason: n.Reason})
	}
	w.mu.Unlock()
	select {
	case <-one.done:
		return one.view, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run writes until nobody waits.
func (w *namesWriter) run(ctx context.Context, s *Reader, dir string) {
	for {
		w.mu.Lock()
		one := w.next[dir]
		if one.read == nil {
			delete(w.next, dir)
			w.mu.Unlock()
			return
		}
		w.next[dir] = &nameWrite{done: make(chan struct{})}
		w.mu.Unlock()
		wctx, cancel := context.WithTimeout(ctx, 2*s.Wait)
		one.err = server.StoreError("cancel messages by name", s.Store.AddCanceled(wctx, dir, one.names))
		if one.err == nil {
			one.view, one.err = one.read(wctx, one.names)
		}
		cancel()
		close(one.done)
	}
}
