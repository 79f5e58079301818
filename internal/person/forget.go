package person

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/phone"
	"volley/internal/store"
	"volley/starter"
)

// Query says who is meant: whoever has an address, or a message with a reference.
type Query struct {
	Tenant string
	// Text is an address or a reference.
	Text string
	// Region is where phone numbers without a country code are written; empty is nowhere.
	Region string
}

// Forgotten says what was forgotten, or with a dry run what would be.
type Forgotten struct {
	DryRun bool `json:"dryRun"`
	// Canceled is what became of what waited; null with a dry run.
	Canceled *Canceled `json:"canceled"`
	// Messages is how many were found, Rows how many the index had and Objects how many of the
	// store were written anew.
	Messages int `json:"messages"`
	Rows     int `json:"rows"`
	Objects  int `json:"objects"`
	// Again are batches whose objects were left alone since they have not ended, or since
	// reports of theirs come in: forget again later.
	Again []string `json:"again"`
	// Histories are those of workflows that hold the person's messages.
	Histories []History `json:"histories"`
	// Unreached names what nobody can reach from here.
	Unreached []string `json:"unreached"`
}

// History is that of a batch's workflow in Temporal.
type History struct {
	Batch    string `json:"batch"`
	Workflow string `json:"workflow"`
	// Until is when Temporal deletes it; null is not before the batch has ended.
	Until *time.Time `json:"until"`
	// Large means that the history of a large batch holds no recipient, and only what providers
	// said of messages.
	Large bool `json:"large"`
}

// unreached is what nobody can reach from here.
func unreached() []string {
	return []string{
		"backups of Temporal, of the store and of the index",
		"the providers that took messages, and their logs",
		"whoever was told by callbacks, and results that were fetched or kept as files",
		"logs and traces of other programs",
		"the log of PostgreSQL (WAL), where the index or Temporal lie in one",
	}
}

// batchOf is what is known of the person in one batch.
type batchOf struct {
	starter.Histories
	gone bool // Temporal does not have it any more
	// found are the rows of the index, places those of the store.
	found  []index.Found
	places []store.Place
}

// Forget cancels what waits for a person, and takes out of the index and of the store of a
// tenant whom messages were for and what they said. Rows stay without that, so that counters
// hold. On the suppression list the person stays by a keyed hash. With dryRun it says what it
// would do. It may be repeated, and after an error it is to be.
func (r *Records) Forget(ctx context.Context, q Query, dryRun bool) (*Forgotten, error) {
	all, err := r.gather(ctx, q)
	if err != nil {
		return nil, err
	}
	f := &Forgotten{DryRun: dryRun, Again: []string{}, Histories: []History{}, Unreached: unreached()}
	if !dryRun {
		f.Canceled = &Canceled{}
		if err := r.cancelOpen(ctx, all, f.Canceled); err != nil {
			return f, err
		}
	}
	for _, ref := range sorted(all) {
		b := all[ref]
		f.Messages += b.count()
		if !b.gone {
			h := History{Batch: ref.ID, Workflow: b.Workflow, Large: b.Dir != ""}
			if !b.Until.IsZero() {
				h.Until = &b.Until
			}
			f.Histories = append(f.Histories, h)
		}
		if err := r.forgetBatch(ctx, ref, b, q, f); err != nil {
			return f, err
		}
	}
	f.Rows = 0
	for _, b := range all {
		f.Rows += len(b.found)
	}
	if dryRun {
		return f, nil
	}
	_, err = r.Index.Forget(ctx, index.ForgetQuery{Tenant: q.Tenant, Recipient: q.Text, Reference: q.Text, Region: q.Region, Values: valuesOf(q, all)})
	if err == nil {
		err = r.Index.Compact(ctx)
	}
	return f, err
}

// count is how many messages were found.
func (b *batchOf) count() int {
	indexes := map[int]bool{}
	for _, m := range b.found {
		indexes[m.Index] = true
	}
	for _, p := range b.places {
		indexes[p.Index] = true
	}
	return len(indexes)
}

// gather finds the person's messages, in the index and in the store.
func (r *Records) gather(ctx context.Context, q Query) (map[starter.Ref]*batchOf, error) {
	if err := r.caughtUp(ctx, q.Tenant); err != nil {
		return nil, err
	}
	all := map[starter.Ref]*batchOf{}
	for _, by := range []index.FindQuery{{Tenant: q.Tenant, To: q.Text, Region: q.Region}, {Tenant: q.Tenant, Reference: q.Text}} {
		found, err := r.find(ctx, by)
		if err != nil {
			return nil, err
		}
		for ref, some := range found {
			b := all[ref]
			if b == nil {
				b = &batchOf{}
				all[ref] = b
			}
			for _, m := range some {
				if !hasRow(b.found, m.Index) {
					b.found = append(b.found, m)
				}
			}
		}
	}
	if err := r.scan(ctx, q, all); err != nil {
		return nil, err
	}
	for ref, b := range all {
		h, err := r.Batches.Histories(ctx, ref)
		switch {
		case errors.Is(err, starter.ErrNotFound):
			b.gone = true
		case err != nil:
			return nil, err
		default:
			b.Histories = h
		}
	}
	return all, nil
}

func hasRow(rows []index.Found, i int) bool {
	for _, r := range rows {
		if r.Index == i {
			return true
		}
	}
	return false
}

// scan reads all messages that the store has of a tenant.
func (r *Records) scan(ctx context.Context, q Query, all map[starter.Ref]*batchOf) error {
	if r.Store == nil {
		return nil
	}
	key, _ := phone.Key(q.Text, q.Region) // what is no number is compared as it is
	for f, err := range r.Store.Folders(ctx) {
		if err != nil {
			return err
		}
		if f.Tenant != q.Tenant || !f.Complete {
			continue
		}
		places, err := r.Store.FindMessages(ctx, f.Dir, func(b *message.Batch, m *message.Message) bool { return is(b, m, key, q.Text) })
		if err != nil {
			return fmt.Errorf("batch %s: %w", f.Batch, err)
		}
		if len(places) == 0 {
			continue
		}
		ref := starter.Ref{Tenant: f.Tenant, ID: f.Batch}
		b := all[ref]
		if b == nil {
			b = &batchOf{}
			all[ref] = b
		}
		b.Dir, b.places = f.Dir, places
	}
	return nil
}

// is reports whether a message is the person's.
func is(b *message.Batch, m *message.Message, key, reference string) bool {
	if m.Reference != "" && m.Reference == reference {
		return true
	}
	for _, value := range message.Reachable(m.To, m.Phone, m.Addresses) {
		if value == key {
			return true
		}
		if normal, _ := phone.Key(value, b.Region); normal == key { // one that is no number is compared as it is
			return true
		}
	}
	return false
}

// cancelOpen cancels the person's messages in batches that have not ended.
func (r *Records) cancelOpen(ctx context.Context, all map[starter.Ref]*batchOf, done *Canceled) error {
	waiting := map[starter.Ref][]index.Found{}
	for ref, b := range all {
		if b.gone || !b.Open {
			continue
		}
		waiting[ref] = b.found
		for _, p := range b.places {
			if !hasRow(b.found, p.Index) {
				id := message.KeyOf(starter.WorkflowID(ref)).MessageID(p.Index)
				waiting[ref] = append(waiting[ref], index.Found{Index: p.Index, ID: id})
			}
		}
	}
	return r.cancel(ctx, waiting, "its recipient is forgotten", done)
}

// forgetBatch takes the person out of what the store has of a batch.
func (r *Records) forgetBatch(ctx context.Context, ref starter.Ref, b *batchOf, q Query, f *Forgotten) error {
	if r.Store == nil || b.gone && b.Dir == "" {
		return nil
	}
	if h, err := r.Batches.Histories(ctx, ref); err == nil { // it may have ended meanwhile
		b.Histories = h
	} else if !errors.Is(err, starter.ErrNotFound) {
		return err
	}
	dir, places := b.Dir, b.places
	if dir == "" { // of a small one there are late reports at the most
		dir = store.ReportsDir(ref.Tenant, ref.ID, b.Workflow, b.Created)
		for _, m := range b.found {
			places = append(places, store.Place{Index: m.Index})
		}
	}
	if b.Open || b.KeepsReports {
		f.Again = append(f.Again, ref.ID)
		return nil
	}
	if f.DryRun || len(places) == 0 {
		return nil
	}
	n, err := r.Store.Forget(ctx, dir, places, values(q, b))
	f.Objects += n
	return err
}

// values are the texts under which the person may be named.
func values(q Query, b *batchOf) []string {
	key, _ := phone.Key(q.Text, q.Region) // what is no number stands as it is
	all := []string{q.Text, key, strings.TrimPrefix(key, "+")}
	for _, m := range b.found {
		all = append(all, m.To, strings.TrimPrefix(m.To, "+"), m.Reference)
	}
	return all
}

func valuesOf(q Query, all map[starter.Ref]*batchOf) (list []string) {
	for _, b := range all {
		list = append(list, values(q, b)...)
	}
	return list
}
