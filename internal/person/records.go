package person

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/phone"
	"volley/internal/store"
	"volley/internal/suppression"
	"volley/starter"
)

// Batches is what is needed of a starter.Starter.
type Batches interface {
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Message(ctx context.Context, ref starter.Ref, idOrIndex string) (message.Row, error)
	Cancel(ctx context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error)
	Histories(ctx context.Context, ref starter.Ref) (starter.Histories, error)
	Listed(ctx context.Context, q starter.ListedQuery) iter.Seq2[starter.Listed, error]
}

// Records works on an index, batches and their store.
type Records struct {
	Index   *index.Index
	Batches Batches
	// Store is nil where there is none.
	Store *store.Store
	// Bound is how long a change of the list takes to be in force everywhere; 0 is
	// suppression.Bound.
	Bound time.Duration
	// Patience is how long is waited until the index has the batches that Temporal lists; 0
	// is 20 s.
	Patience time.Duration
}

// Canceled is what became of the messages that waited for somebody.
type Canceled struct {
	// Batches is in how many batches there were messages that had not ended.
	Batches int `json:"batches"`
	// Messages is how many were canceled, InFlight how many had left: they are followed to
	// their ends.
	Messages int `json:"messages"`
	InFlight int `json:"inFlight"`
	// Unreached is how many batches could not be asked. Messages of theirs are rejected when
	// their turn comes, if their recipients are suppressed.
	Unreached int `json:"unreached"`
}

// Suppressed is what came of putting recipients on the list.
type Suppressed struct {
	// Added is how many were not on it.
	Added int `json:"added"`
	// Canceled is null where there were too many recipients to look for their messages. What
	// waits for them is rejected when its turn comes.
	Canceled *Canceled `json:"canceled"`
}

// maxLookedFor is of how many recipients the waiting messages are looked for.
const maxLookedFor = 1000

// Suppress puts recipients on the list and cancels what waits for them in open batches, as
// far as the index knows it. It returns once the list is in force in every process that
// sends.
func (r *Records) Suppress(ctx context.Context, all []index.Suppression) (done Suppressed, err error) {
	done.Added, err = r.Index.Suppress(ctx, all)
	if err != nil || len(all) == 0 {
		return done, err
	}
	bound := r.Bound
	if bound == 0 {
		bound = suppression.Bound
	}
	force := time.NewTimer(bound)
	defer force.Stop()
	if len(all) <= maxLookedFor {
		done.Canceled = &Canceled{}
		for i := range all {
			s := &all[i]
			waiting, err := r.find(ctx, index.FindQuery{Tenant: s.Tenant, To: s.Recipient, States: open()})
			if err != nil {
				return done, err
			}
			if err := r.cancel(ctx, waiting, "the recipient was put on the suppression list", done.Canceled); err != nil {
				return done, err
			}
		}
	}
	select {
	case <-ctx.Done():
		return done, ctx.Err()
	case <-force.C:
	}
	return done, nil
}

// open are the states of messages that have not ended.
func open() []message.State {
	return slices.DeleteFunc(message.States(), message.State.Final)
}

// find lists all that a query finds, by batch.
func (r *Records) find(ctx context.Context, q index.FindQuery) (map[starter.Ref][]index.Found, error) {
	all := map[starter.Ref][]index.Found{}
	for {
		q.Limit = 500
		page, err := r.Index.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages {
			ref := starter.Ref{Tenant: m.Tenant, ID: m.Batch}
			all[ref] = append(all[ref], m)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// cancel cancels messages by name, batch by batch.
func (r *Records) cancel(ctx context.Context, waiting map[starter.Ref][]index.Found, why string, done *Canceled) error {
	for _, ref := range sorted(waiting) {
		q := message.CancelRequest{Reason: why, Messages: []string{}}
		for _, m := range waiting[ref] {
			q.Messages = append(q.Messages, m.ID)
		}
		res, err := r.Batches.Cancel(ctx, ref, q)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, starter.ErrNotFound):
		case err != nil:
			done.Unreached++
		default:
			done.Batches++
			done.Messages += res.Counts.Canceled
			done.InFlight += res.Counts.InFlight
		}
	}
	return nil
}

func sorted[V any](of map[starter.Ref]V) []starter.Ref {
	return slices.SortedFunc(maps.Keys(of), func(a, b starter.Ref) int { return compare(a, b) })
}

func compare(a, b starter.Ref) int {
	switch {
	case a == b:
		return 0
	case a.Tenant < b.Tenant, a.Tenant == b.Tenant && a.ID < b.ID:
		return -1
	}
	return 1
}

func text(i int) string { return strconv.Itoa(i) }

// normal is the normal form of an address.
func normal(q Query) string {
	key, _ := phone.Key(q.Text, q.Region) // what is no number stands as it is
	return key
}
