package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/holdbook"
	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Selector says which messages a hold keeps back.
type Selector = contract.Selector

// Hold is one that there is.
type Hold = contract.Hold

const (
	// heldBatches is how many open batches are asked at most what a hold keeps back, and
	// heldWait how long that may take.
	heldBatches = 200
	heldWait    = 5 * time.Second
	// maxNamedHolds is how many holds an error names.
	maxNamedHolds = 10
	// heldStates are those of messages that a hold may keep back. What is sending is handed
	// to workers, of which one that has not made its request yet gives it back.
	heldStates = "accepted,scheduled,retrying,sending"
)

// HoldRequest asks to hold messages back.
type HoldRequest struct {
	Selector
	Reason string
	// Until is when the hold ends by itself; zero is never.
	Until time.Time
	// Tenant, if ByTenant is set, is the tenant who asks: it holds its own messages only.
	ByTenant string
}

// HoldResult is what a hold keeps back.
type HoldResult struct {
	Hold     Hold
	Messages HeldMessages
}

// ReleaseRequest asks to release what a selector holds. Without priorities it means
// holds of any.
type ReleaseRequest struct {
	Selector
	ByTenant string
	// Ask is asked before anything is released, unless it is nil; its error is the
	// release's.
	Ask func(context.Context, HeldMessages) error
}

// ReleaseResult is what was released.
type ReleaseResult struct {
	Released []Hold
	Messages HeldMessages
}

// HeldMessages counts the messages that a hold keeps back.
type HeldMessages struct {
	// Known means that they could be counted, which needs a worker. Partial means that
	// there are more batches than were asked.
	Known, Partial bool
	// Waiting are due, or become so before the hold ends. Of them Expiring expire before
	// it ends; without an end, or after a release, none are counted.
	Waiting, Expiring int
	// Sending are handed to workers: those that have not left yet wait as well.
	Sending int
	// Leaving are due now, and Late is by how much the first of them is.
	Leaving int
	Late    time.Duration
	// FirstExpiry is when the first one expires; zero is never.
	FirstExpiry time.Time
}

// Holds are all that there are, in the order in which they were made. ErrUnreachable.
func (s *Starter) Holds(ctx context.Context) ([]Hold, error) {
	all, err := s.book().Read(ctx)
	if err != nil {
		return nil, server.Translate(ctx, "holds", err)
	}
	return all.Current(s.o.Now().UnixMilli()), nil
}

func (s *Starter) book() *holdbook.Book {
	return holdbook.New(s.server.Client, s.o.TaskQueue, s.o.DataConverter)
}

// Hold keeps messages back from now on. It needs no worker: workers obey within two
// seconds, and before their first request when they start. Errors: ErrInvalid (a selector
// that makes no sense), ErrRefused (too many holds), ErrUnreachable.
func (s *Starter) Hold(ctx context.Context, q HoldRequest) (HoldResult, error) {
	x := Hold{Selector: q.Selector, By: message.HeldByPerson, Reason: message.Clip(q.Reason, message.MaxDetail), Since: s.o.Now().UnixMilli()}
	if q.ByTenant != "" {
		x.By = message.HeldByTenant
	}
	if err := s.checkSelector(&x.Selector, q.ByTenant); err != nil {
		return HoldResult{}, err
	}
	if !q.Until.IsZero() {
		if x.Until = q.Until.UnixMilli(); x.Until <= x.Since {
			return HoldResult{}, server.Invalid("until %s: that is past", q.Until.Format(time.RFC3339))
		}
	}
	if err := s.changeHolds(ctx, "hold "+x.Selector.String(), contract.HoldChange{Hold: &x}); err != nil {
		return HoldResult{}, err
	}
	return HoldResult{Hold: x, Messages: s.heldMessages(ctx, x.Tenant, x.Until, x.From > 0, x.Covers)}, nil
}

// Release lets messages go on that a selector holds. Errors: ErrNotFound (nothing is held
// so), those of Hold, and that of q.Ask.
func (s *Starter) Release(ctx context.Context, q ReleaseRequest) (ReleaseResult, error) {
	if err := s.checkSelector(&q.Selector, q.ByTenant); err != nil {
		return ReleaseResult{}, err
	}
	all, err := s.Holds(ctx)
	if err != nil {
		return ReleaseResult{}, err
	}
	var res ReleaseResult
	var keys []string
	for _, x := range all {
		if x.Selector == q.Selector && (q.ByTenant == "" || x.By == message.HeldByTenant) {
			res.Released, keys = append(res.Released, x), append(keys, x.Key())
		}
	}
	if len(keys) == 0 {
		return ReleaseResult{}, fmt.Errorf("release %s: %w: %s", q.Selector, ErrNotFound, otherHolds(all, q.ByTenant))
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(x Hold) bool { return slices.Contains(keys, x.Key()) })
	covered := func(some []Hold, f contract.HoldFacts) bool {
		return slices.ContainsFunc(some, func(x Hold) bool { return x.Covers(f) })
	}
	prior := slices.ContainsFunc(all, func(x Hold) bool { return x.From > 0 })
	res.Messages = s.heldMessages(ctx, q.Tenant, 0, prior, func(f contract.HoldFacts) bool {
		return covered(res.Released, f) && !covered(kept, f)
	})
	if q.Ask != nil {
		if err := q.Ask(ctx, res.Messages); err != nil {
			return ReleaseResult{}, err
		}
	}
	return res, s.changeHolds(ctx, "release "+q.Selector.String(), contract.HoldChange{Release: keys})
}

// otherHolds says what somebody may release instead.
func otherHolds(all []Hold, tenant string) string {
	var some []string
	for i := range all {
		if x := &all[i]; tenant == "" || x.By == message.HeldByTenant && x.Tenant == tenant {
			some = append(some, x.Selector.String())
		}
	}
	slices.Sort(some)
	some = slices.Compact(some)
	if len(some) == 0 {
		return "nothing is held"
	}
	n := min(len(some), maxNamedHolds)
	names := strings.Join(some[:n], "; ")
	if n < len(some) {
		names += "; and " + message.Plural(len(some)-n, "other")
	}
	return "a release names what was held, which is: " + names
}

// checkSelector refuses what makes no sense, and keeps a tenant to its own messages.
func (s *Starter) checkSelector(sel *Selector, tenant string) error {
	if tenant != "" && sel.Account == "" && sel.Tenant == "" && sel.Meta == "" && !sel.All {
		return server.Invalid("what to hold: expected account, meta, or all for all of tenant %s", tenant)
	}
	if tenant != "" {
		if sel.Tenant != "" && sel.Tenant != tenant {
			return server.Invalid("tenant %q: only messages of %s can be held with its key", sel.Tenant, tenant)
		}
		sel.Tenant, sel.All = tenant, false
	}
	if err := sel.Check(); err != nil {
		return server.Invalid("what to hold: %s", err)
	}
	for _, name := range []string{sel.Account, sel.Tenant} {
		if name != "" && !ValidID(name) {
			return server.Invalid("%q: %s", name, server.IDRule)
		}
	}
	return nil
}

func (s *Starter) changeHolds(ctx context.Context, what string, c contract.HoldChange) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	err := s.book().Change(ctx, c)
	if errors.Is(err, holdbook.ErrFull) {
		return fmt.Errorf("%s: %w: there are %d holds, or no worker has taken in the last thousands of changes", what, ErrRefused, contract.MaxHolds)
	}
	return server.Translate(ctx, what, err)
}

// heldMessages counts what is held, until a time in Unix ms, as far as that can be done in
// time; 0 is no end. What waits in a paused batch waits for something else. No list tells
// priorities, so that they are asked for where they matter.
func (s *Starter) heldMessages(ctx context.Context, tenant string, until int64, priorities bool, held func(contract.HoldFacts) bool) (n HeldMessages) {
	ctx, cancel := context.WithTimeout(ctx, heldWait)
	defer cancel()
	query := OpenBatchesQuery()
	if tenant != "" {
		query += " AND " + contract.AttrTenant + " = " + server.Quote(tenant)
	}
	res, err := s.server.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: heldBatches, Query: query})
	if err != nil {
		return n
	}
	n.Known, n.Partial = true, len(res.GetNextPageToken()) > 0
	for _, info := range res.GetExecutions() {
		ref, ok := server.ParseWorkflowID(info.GetExecution().GetWorkflowId())
		if !ok {
			continue
		}
		st := s.listedStatus(ref, info)
		if st.State == message.BatchPaused {
			continue
		}
		facts := contract.HoldFacts{Tenant: cmp.Or(ref.Tenant, DefaultTenant), Metadata: st.Metadata}
		if priorities {
			if facts.Priority, err = s.priorityOf(ctx, ref); err != nil {
				n.Known = false
				return n
			}
		}
		err = s.countHeld(ctx, ref, facts, until, held, &n)
		if err != nil && !errors.Is(err, ErrNotFound) {
			n.Known = false
			return n
		}
	}
	return n
}

func (s *Starter) priorityOf(ctx context.Context, ref Ref) (int, error) {
	d, err := s.server.Client.DescribeWorkflowExecution(ctx, WorkflowID(ref), "")
	return int(d.GetWorkflowExecutionInfo().GetPriority().GetPriorityKey()), err
}

// countHeld counts the messages of one batch.
func (s *Starter) countHeld(ctx context.Context, ref Ref, facts contract.HoldFacts, until int64, held func(contract.HoldFacts) bool, n *HeldMessages) error {
	q := message.PageQuery{State: heldStates, Limit: server.MaxList}
	for {
		page, err := s.Messages(ctx, ref, q)
		if err != nil {
			return err
		}
		for i := range page.Messages {
			row := &page.Messages[i]
			if facts.Account = row.Account; held(facts) {
				n.add(row, s.o.Now(), until)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// add counts a message that a hold keeps back until a time in Unix ms; 0 is no end.
func (n *HeldMessages) add(row *message.Row, now time.Time, until int64) {
	if row.DueAt != nil && until != 0 && row.DueAt.UnixMilli() >= until {
		return
	}
	if row.State == message.Sending {
		n.Sending++
		return
	}
	n.Waiting++
	if row.DueAt != nil && !row.DueAt.After(now) {
		n.Leaving++
		n.Late = max(n.Late, now.Sub(*row.DueAt))
	}
	if at := row.ExpiresAt; at != nil {
		if until != 0 && at.UnixMilli() <= until {
			n.Expiring++
		}
		if n.FirstExpiry.IsZero() || at.Before(n.FirstExpiry) {
			n.FirstExpiry = *at
		}
	}
}
