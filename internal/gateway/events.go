package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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
	// sortedEvents is the largest batch of which changes are told in their order.
	sortedEvents = 1000
)

// ownEvents tells what becomes of a batch as it happens, as server-sent events:
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
func (g *Gateway) ownEvents(w http.ResponseWriter, r asked) error {
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
	st, err := g.status.get(r.Context(), r.ref())
	if err != nil {
		return err
	}
	if st.State.Closed() && since >= st.Rev && since > 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	e := &events{g: g, w: w, ctl: http.NewResponseController(w), ref: r.ref(), since: since}
	e.rows = rows == "true" || rows == "" && st.Total <= sortedEvents
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	_ = e.follow(r.Context(), st) // the client has gone, or comes back
	return nil
}

// events is one client that follows a batch.
type events struct {
	g     *Gateway
	w     http.ResponseWriter
	ctl   *http.ResponseController
	ref   starter.Ref
	rows  bool
	since int64
	told  bool // a status
	buf   bytes.Buffer
}

// follow tells everything until the batch has ended, the client goes or the gateway
// leaves.
func (e *events) follow(ctx context.Context, st message.Status) error {
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	for quiet := time.Duration(0); ; {
		if st.Rev > e.since || !e.told {
			if err := e.tell(ctx, st); err != nil {
				return err
			}
			quiet = 0
		}
		if st.State.Closed() {
			return e.send("end", 0, st)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.g.leaving:
			return nil
		case <-tick.C:
		}
		if quiet += eventsEvery; quiet >= keepAlive {
			if err := e.push(": still here\n\n"); err != nil {
				return err
			}
			quiet = 0
		}
		next, err := e.g.status.get(ctx, e.ref)
		if err == nil {
			st = next
		} else if ctx.Err() != nil {
			return err
		} // else nobody answers now, and the stream goes on once somebody does
	}
}

// tell sends what has changed up to a status, and the status.
func (e *events) tell(ctx context.Context, st message.Status) error {
	if e.rows {
		if err := e.tellRows(ctx, st); err != nil {
			return err
		}
	}
	e.since, e.told = max(st.Rev, e.since), true
	return e.send("status", e.since, st)
}

func (e *events) tellRows(ctx context.Context, st message.Status) error {
	sorted := st.Total <= sortedEvents
	var held []message.Row
	q := message.PageQuery{Since: e.since, Limit: message.MaxPage}
	for {
		page, err := e.g.pages.get(ctx, pageKey{e.ref, q, st.Rev})
		if err != nil {
			return err
		}
		if sorted {
			held = append(held, page.Messages...)
		} else {
			for i := range page.Messages {
				if err := e.send("message", 0, page.Messages[i]); err != nil {
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
		if err := e.send("message", held[i].Rev, held[i]); err != nil {
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
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.ctl.Flush()
}
