package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"volley/internal/message"
	"volley/starter"
)

const (
	// eventsEvery is how often a batch is looked at for those who follow it.
	eventsEvery = 500 * time.Millisecond
	// keepAlive is how long a stream stays silent at most.
	keepAlive = 15 * time.Second
	// openWait is how long a stream waits for a first status before it opens.
	openWait = 5 * time.Second
	// sortedEvents is the largest batch of which changes are told in their order.
	sortedEvents = 1000
)

// v1Events tells what becomes of a batch as it happens, as server-sent events:
//
//	event: message   data: the row     id: its rev
//	event: status    data: the status  id: the batch's rev
//	event: end       data: the status  after the last change of a batch that has ended
//
// A client that comes back with Last-Event-ID, or since=, hears what changed since
// then and misses nothing. Above 1,000 messages rows come only with messages=true, in
// no order and without ids, before the status that has one: after a break they may
// come twice, which their rev tells. A batch that has ended and told everything
// answers 204, on which an EventSource stops.
func (g *Gateway) v1Events(w http.ResponseWriter, r tenantRequest) error {
	q := queryOf(r)
	since, rows := q.number("since"), q.text("messages")
	switch rows {
	case "", "true", "false":
	default:
		q.fail("messages", "is neither true nor false")
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n < 0 {
			return fail(http.StatusBadRequest, codeInvalid, "Last-Event-ID is none that this stream gave")
		}
		since = n
	}
	if err := q.end(); err != nil {
		return err
	}
	st, known, err := g.firstStatus(r.Context(), r.ref())
	if err != nil {
		return err
	}
	if known && st.State.Closed() && since >= st.Rev && since > 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	e := &events{g: g, w: w, ctl: http.NewResponseController(w), r: r, ref: r.ref(), rows: rows, since: since}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	_ = e.follow(r.Context(), st, known) // the client has gone, or comes back
	return nil
}

// firstStatus returns the batch's status if it comes within openWait. A stream opens
// for every batch that exists, even when no worker answers: an EventSource does not
// reconnect after a refusal.
func (g *Gateway) firstStatus(ctx context.Context, ref starter.Ref) (st message.Status, known bool, err error) {
	timer := time.NewTimer(openWait)
	defer timer.Stop()
	a := g.status.join(ctx, ref)
	select {
	case <-a.done:
		if !isUnavailable(a.err) {
			return a.value, a.err == nil, a.err
		}
	case <-ctx.Done():
		return st, false, ctx.Err()
	case <-timer.C:
	}
	_, err = g.exists.get(ctx, ref)
	return st, false, err
}

// isUnavailable reports whether an error means that nobody answers at the moment, which passes.
func isUnavailable(err error) bool {
	for _, e := range []error{starter.ErrNoWorker, starter.ErrUnreachable, starter.ErrBusy, starter.ErrStore, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// events is one client that follows a batch.
type events struct {
	g          *Gateway
	w          http.ResponseWriter
	ctl        *http.ResponseController
	r          tenantRequest
	ref        starter.Ref
	rows       string // the client's choice: true, false, or empty
	since      int64
	sentStatus bool // a status
	// alive fires when the client has heard nothing for keepAlive.
	alive *time.Timer
	buf   bytes.Buffer
}

// follow tells everything until the batch has ended or is gone, the client goes or the
// gateway leaves. The status is only where the stream begins, if that is known.
func (e *events) follow(ctx context.Context, st message.Status, known bool) error {
	e.alive = time.NewTimer(keepAlive)
	defer e.alive.Stop()
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	if err := e.ctl.Flush(); err != nil {
		return err
	}
	for {
		if known && (st.Rev > e.since || !e.sentStatus) {
			err := e.sendChanges(ctx, st)
			if err != nil && !isUnavailable(err) {
				return err
			}
			known = err == nil
		}
		if known && st.State.Closed() {
			return e.send("end", 0, e.r.masked(st))
		}
		if err := wait(ctx, e, tick.C); err != nil {
			return err
		}
		a := e.g.status.join(ctx, e.ref)
		if err := wait(ctx, e, a.done); err != nil {
			return err
		}
		switch {
		case a.err == nil:
			st, known = a.value, true
		case errors.Is(a.err, starter.ErrNotFound):
			return a.err
		} // else nobody answers now, and the stream goes on once somebody does
	}
}

// wait returns when the next status may be read and keeps the stream alive until then.
// An error means that the stream has ended.
func wait[T any](ctx context.Context, e *events, what <-chan T) error {
	for {
		select {
		case <-what:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-e.g.leaving:
			return http.ErrServerClosed
		case <-e.alive.C:
			if err := e.push(": still here\n\n"); err != nil {
				return err
			}
		}
	}
}

// sendChanges sends what has changed up to a status, and the status.
func (e *events) sendChanges(ctx context.Context, st message.Status) error {
	if e.rows == "true" || e.rows == "" && st.Total <= sortedEvents {
		if err := e.sendRows(ctx, st); err != nil {
			return err
		}
	}
	e.since, e.sentStatus = max(st.Rev, e.since), true
	return e.send("status", e.since, e.r.masked(st))
}

func (e *events) sendRows(ctx context.Context, st message.Status) error {
	sorted := st.Total <= sortedEvents
	var held []message.Row
	q := message.PageQuery{Since: e.since, Limit: message.MaxPage}
	for {
		a := e.g.pages.join(ctx, pageKey{e.ref, q, st.Rev})
		if err := wait(ctx, e, a.done); err != nil {
			return err
		}
		page, err := a.value, a.err
		if err != nil {
			return err
		}
		if sorted {
			held = append(held, page.Messages...)
		} else {
			for i := range page.Messages {
				if err := e.send("message", 0, e.r.maskedRow(page.Messages[i])); err != nil {
					return err
				}
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	slices.SortStableFunc(held, func(a, b message.Row) int { return cmp.Compare(a.Rev, b.Rev) })
	for i := range held {
		// Those beyond the status changed after it, and between two pages others may
		// have: they come again with the next one.
		if held[i].Rev > st.Rev {
			break
		}
		if err := e.send("message", held[i].Rev, e.r.maskedRow(held[i])); err != nil {
			return err
		}
	}
	return nil
}

// send writes one event; id 0 is none.
func (e *events) send(name string, id int64, doc any) error {
	e.buf.Reset()
	fmt.Fprintf(&e.buf, "event: %s\n", name)
	if id > 0 {
		fmt.Fprintf(&e.buf, "id: %d\n", id)
	}
	e.buf.WriteString("data: ")
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	e.buf.WriteByte('\n')
	return e.push(e.buf.String())
}

func (e *events) push(text string) error {
	e.alive.Reset(keepAlive)
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.ctl.Flush()
}
