package starter

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/workflows"
)

// ReportOutcome counts what became of reports.
type ReportOutcome struct {
	// Accepted reports are durable: with the workflow that has their messages, or with
	// the one that keeps late reports.
	Accepted int
	// Unknown reports are of no batch that Temporal knows. Repeating them is no use.
	Unknown int
}

// Report takes delivery reports in: each finds its batch by its message's id, and
// is durable when Report returns. Reports of a batch that runs are applied at once;
// those that come after it has ended are kept in the store within seconds.
//
// It takes a few seconds until reports of an id that Temporal does not know count as
// unknown, since the list of batches lags behind.
//
// Errors: ErrUnreachable, ErrNoStore (a report came after the end of its batch, and
// there is no store); after one the reports can be given again.
func (s *Starter) Report(ctx context.Context, reports []message.Report) (ReportOutcome, error) {
	var out ReportOutcome
	groups, err := s.grouped(ctx, reports, &out)
	if err != nil {
		return out, err
	}
	for _, h := range slices.SortedFunc(maps.Keys(groups), byWorkflow) {
		for _, some := range signals(groups[h]) {
			if err := s.deliver(ctx, h, some); err != nil {
				return out, err
			}
			out.Accepted += len(some)
		}
	}
	return out, nil
}

func byWorkflow(a, b *home) int { return cmp.Compare(a.wid, b.wid) }

// home is the batch that reports go to.
type home struct {
	ref   Ref
	wid   string
	large bool

	mu    sync.Mutex
	ended bool
}

func (h *home) hasEnded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

func (h *home) ends() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
}

// grouped finds the batches of reports, and counts those that have none.
func (s *Starter) grouped(ctx context.Context, reports []message.Report, out *ReportOutcome) (map[*home][]message.Report, error) {
	keys := map[message.Key]bool{}
	for i := range reports {
		if k, _, ok := message.ParseID(reports[i].ID); ok {
			keys[k] = true
		}
	}
	homes, err := s.homes(ctx, keys)
	if err != nil {
		return nil, err
	}
	groups := map[*home][]message.Report{}
	for _, p := range reports {
		k, _, ok := message.ParseID(p.ID)
		if h := homes[k]; ok && h != nil {
			groups[h] = append(groups[h], p.Bounded())
		} else {
			out.Unknown++
		}
	}
	return groups, nil
}

// maxSignal is how many bytes the reports of one signal take at most, roughly.
const maxSignal = 200 << 10

// signals cuts reports into as many as one signal brings.
func signals(reports []message.Report) [][]message.Report {
	var all [][]message.Report
	first, size := 0, 0
	for i := range reports {
		n := sizeOf(&reports[i])
		if i-first == message.MaxReports || size > 0 && size+n > maxSignal {
			all = append(all, reports[first:i])
			first, size = i, 0
		}
		size += n
	}
	return append(all, reports[first:])
}

// sizeOf is about how many bytes a report takes as JSON.
func sizeOf(p *message.Report) int {
	return 160 + len(p.Account) + len(p.ProviderID) + len(p.Code) + 2*len(p.Detail)
}

// deliver makes reports of one batch durable: with its workflow, or, for a large
// one and for one that has ended, with the workflow that keeps late reports.
func (s *Starter) deliver(ctx context.Context, h *home, reports []message.Report) error {
	sctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	what := "report to batch " + h.ref.ID
	q := workflows.Reports{V: message.Version, Reports: reports}
	if !h.large && !h.hasEnded() {
		err := s.c.SignalWorkflow(sctx, h.wid, "", workflows.SignalReports, q)
		if !gone(err) {
			return s.translate(ctx, what, err)
		}
		h.ends()
	}
	if s.o.Store == nil {
		return fmt.Errorf("%s: %w", what, ErrNoStore)
	}
	_, err := s.c.SignalWithStartWorkflow(sctx, workflows.ReportsID(h.wid), workflows.SignalReports, q, client.StartWorkflowOptions{
		TaskQueue:             s.o.TaskQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "late reports",
	}, workflows.KeepReportsName, workflows.KeepReportsInput{V: message.Version, Batch: h.wid})
	return s.translate(ctx, what, err)
}

// looks are the waits before each look for batches that Temporal does not list yet,
// in sevenths of Options.ReportLag.
var looks = [...]time.Duration{0, 1, 2, 4}

// maxKeys is how many batches one look asks for.
const maxKeys = 50

// homes finds batches by the keys of their messages; one that is not there has
// none.
func (s *Starter) homes(ctx context.Context, keys map[message.Key]bool) (map[message.Key]*home, error) {
	found := map[message.Key]*home{}
	missing := s.home.known(keys, s.o.Now(), found)
	for _, wait := range looks {
		if len(missing) == 0 {
			break
		}
		if err := pause(ctx, wait*s.o.ReportLag/7); err != nil {
			return nil, err
		}
		for some := range slices.Chunk(missing, maxKeys) {
			if err := s.lookFor(ctx, some, found); err != nil {
				return nil, err
			}
		}
		missing = slices.DeleteFunc(missing, func(k message.Key) bool { return found[k] != nil })
	}
	s.home.add(found, missing, s.o.Now())
	return found, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lookFor asks the list of batches once.
func (s *Starter) lookFor(ctx context.Context, keys []message.Key, found map[message.Key]*home) error {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = quote(k.String())
	}
	lctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.c.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: maxList,
		Query: "WorkflowType = " + quote(workflows.SendBatchName) + " AND ExecutionStatus != 'ContinuedAsNew' AND " +
			workflows.AttrKey + " IN (" + strings.Join(names, ", ") + ")",
	})
	if err != nil {
		return s.translate(ctx, "find the batches of reports", err)
	}
	for _, info := range res.GetExecutions() {
		wid := info.GetExecution().GetWorkflowId()
		key := message.KeyOf(wid)
		ref, ok := parseWorkflowID(wid)
		if !ok || !slices.Contains(keys, key) {
			continue
		}
		d := s.descriptionOf(info)
		found[key] = &home{ref: ref, wid: wid, large: d.memo.Dir != "", ended: !d.open}
	}
	return nil
}

// Bounds of what is remembered of where reports go.
const (
	maxHomes = 20_000
	// nowhereFor is how long it is remembered that a batch is not there.
	nowhereFor = 30 * time.Second
)

// homes remembers where reports go. The zero value remembers nothing.
type homes struct {
	mu      sync.Mutex
	at      map[message.Key]*home
	nowhere map[message.Key]time.Time
}

// known fills in what is remembered, and returns the keys to look for.
func (m *homes) known(keys map[message.Key]bool, now time.Time, found map[message.Key]*home) []message.Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	var missing []message.Key
	for k := range keys {
		switch h := m.at[k]; {
		case h != nil:
			found[k] = h
		case now.Sub(m.nowhere[k]) >= nowhereFor:
			missing = append(missing, k)
		}
	}
	return missing
}

// add remembers what was found and what was not, and forgets everything else when
// that is too much.
func (m *homes) add(found map[message.Key]*home, missing []message.Key, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil || len(m.at) >= maxHomes {
		m.at = map[message.Key]*home{}
	}
	if m.nowhere == nil || len(m.nowhere) >= maxHomes {
		m.nowhere = map[message.Key]time.Time{}
	}
	for k, h := range found {
		if m.at[k] == nil {
			m.at[k] = h
		}
		delete(m.nowhere, k)
	}
	for _, k := range missing {
		m.nowhere[k] = now
	}
}
