package console

import (
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// batchesData is a page of batches.
type batchesData struct {
	Batches []batchLine
	Next    string
	// Tenants are those that may be chosen, where there are several.
	Tenants []string
	Tenant  string
	Open    bool
	// Cursor is where this page begins; empty is at the newest.
	Cursor string
}

// batchLine is one batch of a list.
type batchLine struct {
	Tenant, ID, Campaign string
	State                message.BatchState
	Held                 *message.HoldView
	Total                int
	Counts               *message.Counts
	Reason               *message.Reason
	CreatedAt            time.Time
	// End is when it ended, or will.
	End   time.Time
	Ended bool
	Path  string
}

// Success is the share of messages that were sent or delivered, of those that have ended.
func (b batchLine) Success() *float64 { return success(b.Counts) }

func success(c *message.Counts) *float64 {
	if c == nil {
		return nil
	}
	ended := c.Total() - c.Open()
	if ended == 0 {
		return nil
	}
	share := float64(c[message.Sent]+c[message.Delivered]) / float64(ended)
	return &share
}

// Poor means that much of it failed.
func (b batchLine) Poor() bool {
	s := b.Success()
	return s != nil && *s < 1-failingShare
}

// CanPause and CanResume say which of the two is offered.
func (b batchLine) CanPause() bool {
	return b.State == message.BatchRunning || b.State == message.BatchScheduled
}

// CanResume is that of a batch that is paused.
func (b batchLine) CanResume() bool { return b.State == message.BatchPaused }

// batchesPage lists batches, the newest first.
func (c *Console) batchesPage(v *visit) (*view, error) {
	q := v.URL.Query()
	d := batchesData{Tenant: q.Get("tenant"), Open: q.Get("open") != "", Cursor: q.Get("cursor")}
	if len(c.o.Callers) > 1 {
		for _, t := range c.o.Callers {
			if v.person.Sees(t.Tenant) {
				d.Tenants = append(d.Tenants, t.Tenant)
			}
		}
	}
	if d.Tenant == "" && v.person.Tenants != nil {
		d.Tenant = v.person.Tenants[0]
	}
	if d.Tenant != "" && !v.person.Sees(d.Tenant) {
		return nil, &wrongError{"there is no such tenant"}
	}
	out := &view{Page: "batches", Title: "Batches"}
	if err := c.listBatches(v, &d); err != nil {
		return nil, err
	}
	for i := range d.Batches {
		b := &d.Batches[i]
		b.Campaign = v.person.MaskText(b.Campaign)
		if b.Reason != nil {
			r := *b.Reason
			r.Detail = v.person.MaskText(r.Detail)
			b.Reason = &r
		}
	}
	out.Data = d
	return out, nil
}

const perPage = 25

func (c *Console) listBatches(v *visit, d *batchesData) error {
	if c.o.Index != nil {
		page, err := c.o.Index.Batches(v.Context(), index.BatchesQuery{Tenant: d.Tenant, Open: d.Open, Limit: perPage, Cursor: d.Cursor})
		if err == nil {
			d.Next = page.Next
			for i := range page.Batches {
				d.Batches = append(d.Batches, c.indexedLine(&page.Batches[i]))
			}
			return nil
		}
		if !isIndexAway(err) {
			return err
		}
	}
	if d.Tenant == "" {
		d.Tenant = c.o.Callers[0].Tenant
	}
	lq := starter.ListQuery{Tenant: d.Tenant, Limit: perPage, Cursor: d.Cursor}
	if d.Open {
		lq.State = openStates
	}
	page, err := c.o.Batches.List(v.Context(), lq)
	if err != nil {
		return err
	}
	d.Next = page.Next
	var asking errgroup.Group
	asking.SetLimit(sideBySide)
	for i := range page.Batches {
		if st := &page.Batches[i]; !st.State.Closed() {
			asking.Go(func() error {
				c.ask(v.Context(), st)
				return nil
			})
		}
	}
	_ = asking.Wait() // none fails
	for i := range page.Batches {
		d.Batches = append(d.Batches, c.listedLine(&page.Batches[i]))
	}
	return nil
}

// indexedLine is a batch as the index has it.
func (c *Console) indexedLine(b *index.Batch) batchLine {
	l := batchLine{
		Tenant: b.Tenant, ID: b.ID, Campaign: c.campaignIn(b), State: b.State, Held: b.Held, Total: b.Total, Counts: &b.Counts,
		Reason: topReason(b.Reasons), CreatedAt: b.CreatedAt, End: b.EstimatedEnd, Path: batchPath(b.Tenant, b.ID),
	}
	if b.State.Closed() {
		l.End, l.Ended = b.FinishedAt, true
	}
	return l
}

// listedLine is a batch as Temporal has it.
func (c *Console) listedLine(st *message.Status) batchLine {
	l := batchLine{
		Tenant: st.Tenant, ID: st.ID, Campaign: c.campaignOf(st.ID, st.Metadata), State: st.State, Held: st.Held, Total: st.Total, Counts: st.Counts,
		Reason: topReason(st.Reasons), CreatedAt: st.CreatedAt, Path: batchPath(st.Tenant, st.ID),
	}
	if at := firstTime(st.FinishedAt, st.EstimatedEnd); at != nil {
		l.End, l.Ended = *at, st.FinishedAt != nil
	}
	return l
}
