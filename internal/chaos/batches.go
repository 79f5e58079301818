package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"volley/internal/message"
	"volley/starter"
)

// batch starts one batch, controls it, follows it to its end and repeats what did not go
// out. An error means that the run proves nothing.
func (r *run) batch(ctx context.Context, p *batchPlan) error {
	if !r.sleep(ctx, p.start) {
		return ctx.Err()
	}
	b, err := r.startBatch(ctx, p)
	if err != nil {
		return err
	}
	if err := r.follow(ctx, b, p); err != nil {
		return err
	}
	if !p.redrive && p.control != controlTerminate || b.Open != "" {
		return nil
	}
	return r.redrive(ctx, b)
}

// startBatch starts a batch, again and again until it is certain that it has started.
func (r *run) startBatch(ctx context.Context, p *batchPlan) (*Batch, error) {
	b := &Batch{ID: r.name + "-" + p.name, Account: r.account(p.role), Hurried: p.validity == hurry}
	in := r.compose(p, b)
	r.mu.Lock()
	r.batches = append(r.batches, b) // so that it is taken off the server, whatever happens
	r.mu.Unlock()
	for {
		_, err := r.start(ctx, b, in)
		switch {
		case err == nil:
			return b, nil
		case errors.Is(err, starter.ErrMayHaveStarted), errors.Is(err, starter.ErrUnreachable), errors.Is(err, starter.ErrNoWorker), errors.Is(err, context.DeadlineExceeded):
		default:
			return nil, fmt.Errorf("start batch %s: %w", b.ID, err)
		}
		if !r.sleep(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
}

func (r *run) start(ctx context.Context, b *Batch, in *message.Batch) (starter.Started, error) {
	r.away.Lock()
	defer r.away.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return r.cluster.Batches.Start(ctx, starter.Request{Ref: r.ref(b), Body: []byte(b.ID), Batch: in})
}

// compose writes the messages of a batch.
func (r *run) compose(p *batchPlan, b *Batch) *message.Batch {
	now := time.Now()
	in := &message.Batch{Dialect: "volley", Account: b.Account, Dispatch: p.dispatch, CreatedAt: now, Template: message.Template{
		Body: json.RawMessage(`{"text":"chaos"}`), TextPaths: [][]string{{"text"}},
	}}
	for i := range p.messages {
		m := Message{Reference: b.ID + "-" + strconv.Itoa(i), Due: p.dueOf(i, now)}
		m.Expires = m.Due.Add(p.validity)
		b.Messages = append(b.Messages, m)
		to := "user-" + strconv.Itoa(i)
		if mix(p.draw+uint64(i))%50 == 0 {
			to = refusedPart + "-" + strconv.Itoa(i)
		}
		in.Messages = append(in.Messages, message.Message{To: to, Reference: m.Reference, Due: m.Due.UnixMilli(), TTL: p.validity.Milliseconds()})
	}
	r.cluster.Router.Accept(in, func(i int) string { return strconv.Itoa(i) })
	return in
}

// follow asks for the status of a batch until it has ended, controls it in between, and
// reads its results.
func (r *run) follow(ctx context.Context, b *Batch, p *batchPlan) error {
	if p != nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.control(ctx, b, p)
		}()
		defer func() { <-done }()
	}
	var calm time.Time
	for {
		if !r.sleep(ctx, pollEvery) {
			return ctx.Err()
		}
		st, err := r.status(ctx, b)
		if err == nil {
			r.mu.Lock()
			b.Polls, r.polls = append(b.Polls, st), r.polls+1
			r.mu.Unlock()
		} else {
			r.mu.Lock()
			r.noAnswer++
			r.mu.Unlock()
		}
		if err == nil && st.State.Closed() {
			if err = r.results(ctx, b, st); err == nil {
				return nil
			}
		}
		switch {
		case r.calm.Err() == nil:
		case calm.IsZero():
			calm = time.Now()
		case time.Since(calm) > endWait:
			b.Final, b.Open = st, fmt.Sprintf("%s after the last fault: %v", endWait, err)
			r.keep(ctx, b)
			return nil
		}
	}
}

// keep writes down what is known of a batch that has not ended, beside the workers' logs.
func (r *run) keep(ctx context.Context, b *Batch) {
	ctx, cancel := context.WithTimeout(ctx, 2*callWait)
	defer cancel()
	if status, err := json.MarshalIndent(b.Final, "", "  "); err == nil {
		_ = os.WriteFile(filepath.Join(r.dir, b.ID+".status.json"), status, 0o600)
	}
	own := message.WorkflowID("", b.ID)
	for id, n := own, 1; ; id, n = fmt.Sprintf("%s~%04d", own, n), n+1 { // and its segments
		history, err := r.cluster.History(ctx, id)
		if err != nil || os.WriteFile(filepath.Join(r.dir, id+".history.json"), history, 0o600) != nil {
			return
		}
	}
}

func (r *run) status(ctx context.Context, b *Batch) (message.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return r.cluster.Batches.Status(ctx, r.ref(b))
}

// results reads how every message ended, and the status that belongs to it.
func (r *run) results(ctx context.Context, b *Batch, st message.Status) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callWait)
	defer cancel()
	var rows []message.Row
	for row, err := range r.cluster.Batches.Results(ctx, r.ref(b), starter.ResultQuery{}) {
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	b.Final, b.Rows = st, rows
	return nil
}

// control does to a batch what the plan says.
func (r *run) control(ctx context.Context, b *Batch, p *batchPlan) {
	if p.control == controlNone || !r.sleep(ctx, p.at) {
		return
	}
	cctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	var err error
	switch p.control {
	case controlCancel:
		err = r.cancel(cctx, b, nil)
	case controlCancelSome:
		err = r.cancel(cctx, b, p.chosen())
	case controlPause:
		err = r.pause(cctx, ctx, b, p)
	case controlReschedule:
		err = r.reschedule(cctx, b, p.pause)
	case controlTerminate:
		b.Terminated = true
		err = r.cluster.Terminate(cctx, message.WorkflowID("", b.ID))
	}
	if err == nil || errors.Is(err, starter.ErrEnded) {
		r.count(r.controls, p.control)
		return
	}
	r.count(r.controls, p.control+", not confirmed")
	r.o.Say("%s, not confirmed: %v", p.control, err)
}

// cancel cancels a batch, or messages of it by index.
func (r *run) cancel(ctx context.Context, b *Batch, some []int) error {
	var q message.CancelRequest
	for _, i := range some {
		q.Messages = append(q.Messages, strconv.Itoa(i))
	}
	res, err := r.cluster.Batches.Cancel(ctx, r.ref(b), q)
	x := Cancel{Named: q.Messages, Answered: time.Now(), Result: res}
	if err != nil {
		x.Result.Confirmed = false
	}
	b.Cancels = append(b.Cancels, x)
	return err
}

// pause pauses a batch for a time. It is resumed in any case.
func (r *run) pause(cctx, ctx context.Context, b *Batch, p *batchPlan) error {
	res, err := r.cluster.Batches.Pause(cctx, r.ref(b))
	x := Pause{Answered: time.Now(), InFlight: res.InFlight, Listed: err == nil && res.Confirmed && len(b.Messages) <= inline && p.dispatch == dispatchMessage}
	r.sleep(ctx, p.pause)
	x.Until = time.Now()
	b.Pauses = append(b.Pauses, x)
	for ctx.Err() == nil {
		rctx, cancel := context.WithTimeout(ctx, callWait)
		_, rerr := r.cluster.Batches.Resume(rctx, r.ref(b))
		cancel()
		if rerr == nil || errors.Is(rerr, starter.ErrEnded) || errors.Is(rerr, starter.ErrNotFound) {
			return err
		}
		r.sleep(ctx, time.Second)
	}
	return err
}

// reschedule makes what has not left due in a while.
func (r *run) reschedule(ctx context.Context, b *Batch, in time.Duration) error {
	at := time.Now().Add(in).Truncate(time.Millisecond)
	res, err := r.cluster.Batches.Reschedule(ctx, r.ref(b), message.RescheduleRequest{SendAfter: at.UTC().Format(time.RFC3339Nano)})
	b.Reschedules = append(b.Reschedules, Reschedule{At: at, Answered: time.Now(), Confirmed: err == nil && res.Confirmed})
	return err
}

// redrive sends again what a batch that has ended did not send, and follows that.
func (r *run) redrive(ctx context.Context, old *Batch) error {
	b := &Batch{ID: old.ID + "-again", Account: old.Account, Hurried: old.Hurried}
	for {
		s, err := r.redriveOnce(ctx, old, b)
		switch {
		case errors.Is(err, starter.ErrNotFound):
			return nil // all of it went out
		case err == nil:
			r.count(r.controls, "redrive")
			return r.followAgain(ctx, old, b, s.Total)
		}
		if !r.sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

func (r *run) redriveOnce(ctx context.Context, old, b *Batch) (starter.Started, error) {
	r.away.Lock()
	defer r.away.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return r.cluster.Batches.Redrive(ctx, r.ref(old), starter.RedriveQuery{ID: b.ID})
}

// followAgain follows a redrive. Which messages it has follows from what became of those
// of the old batch.
func (r *run) followAgain(ctx context.Context, old, b *Batch, total int) error {
	now := time.Now()
	for i := range old.Rows {
		row := &old.Rows[i]
		if row.State != message.Failed && row.State != message.Expired && (row.State != message.Canceled || old.Final.State != message.BatchFailed) {
			continue
		}
		m := old.Messages[row.Index]
		// It is due at once, or when it was due before.
		ttl := m.Expires.Sub(m.Due)
		b.Messages = append(b.Messages, Message{Reference: m.Reference, Due: old.Messages[row.Index].Due, Expires: later(now, m.Due).Add(ttl + callWait)})
	}
	if len(b.Messages) != total {
		b.Open = fmt.Sprintf("the redrive took %d messages, %d were to be sent again", total, len(b.Messages))
	}
	r.mu.Lock()
	r.batches = append(r.batches, b)
	r.mu.Unlock()
	if b.Open != "" {
		return nil
	}
	return r.follow(ctx, b, nil)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
