package starter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"volley/internal/message"
	"volley/internal/store"
)

// view is what is known of a large batch at one moment. Its rows are read from the
// store and from running segments as they are asked for.
type view struct {
	s      *Starter
	ref    Ref
	wid    string
	key    message.Key
	open   bool
	status message.Status
	large  message.Large
	// counts are those that status has of each running workflow, reported at its revs.
	counts map[int]message.Counts
	revs   map[int]int64
	// taken caches what retries took over, by their number, and lost why segments
	// cannot be read.
	mu    sync.Mutex
	taken map[int]*taken
	lost  map[int]error
	late  *store.Reported // the summary of late reports, once it was read
}

func (s *Starter) newView(ref Ref) *view {
	wid := WorkflowID(ref)
	return &view{s: s, ref: ref, wid: wid, key: message.KeyOf(wid), taken: map[int]*taken{}, lost: map[int]error{}}
}

// viewOf is how a large batch stands.
func (s *Starter) viewOf(ref Ref, st standing) *view {
	v := s.newView(ref)
	v.open, v.status, v.large, v.counts, v.revs = st.open, st.Status, st.Large, st.Counts, st.Revs
	return v
}

// viewOfResult is a large batch that has ended.
func (s *Starter) viewOfResult(ref Ref, res message.Result) (*view, error) {
	st, err := ended(res, true)
	if err != nil {
		return nil, err
	}
	return s.viewOf(ref, st), nil
}

// remembered is a batch that Temporal no longer has, as the store knows it. It is
// ErrNotFound when the store has no batch of that id that ended.
func (s *Starter) remembered(ctx context.Context, ref Ref) (message.Result, error) {
	none := fmt.Errorf("batch %s: %w", ref.ID, ErrNotFound)
	if s.o.Store == nil {
		return message.Result{}, none
	}
	dirs, err := s.o.Store.Find(ctx, tenantOf(ref), ref.ID)
	if err != nil {
		return message.Result{}, s.storeError("batch "+ref.ID, err)
	}
	for _, dir := range dirs {
		res, err := s.o.Store.Result(ctx, dir)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return message.Result{}, s.storeError("batch "+ref.ID, err)
		}
		return *res, nil
	}
	return message.Result{}, none
}

// located is a batch as reading it begins: a small one has no view.
type located struct {
	description
	view *view
}

// locate finds out whether a batch is large, and if so how it stands.
func (s *Starter) locate(ctx context.Context, ref Ref) (located, error) {
	d, err := s.recall(ctx, ref)
	if err != nil || d.memo.Dir == "" {
		return located{description: d}, err
	}
	if d.end != nil {
		v, err := s.viewOfResult(ref, *d.end)
		return located{description: d, view: v}, err
	}
	st, err := s.ask(ctx, ref, true)
	if err != nil {
		return located{}, err
	}
	return located{description: d, view: s.viewOf(ref, st)}, nil
}

// recall describes a batch, also one that only the store remembers.
func (s *Starter) recall(ctx context.Context, ref Ref) (description, error) {
	d, err := s.describe(ctx, ref)
	if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	res, err := s.remembered(ctx, ref)
	if err != nil {
		return description{}, err
	}
	if res.Large == nil {
		return description{}, fmt.Errorf("batch %s: its result does not say where its messages are", ref.ID)
	}
	return description{known: true, end: &res, memo: memo{Total: res.Status.Total, Dir: res.Large.Dir}}, nil
}

// letter is where a segment stands.
func (v *view) letter(number int) byte {
	if number <= len(v.large.Segments) {
		return v.large.Segments[number-1]
	}
	if v.open {
		return message.SegmentWaiting
	}
	return message.SegmentNever
}

// manifest reads the batch's manifest.
func (v *view) manifest(ctx context.Context) (*message.Manifest, error) {
	if v.s.o.Store == nil {
		return nil, invalid("the messages of batch %s are in the store, and none is configured", v.ref.ID)
	}
	m, err := v.s.o.Store.Manifest(ctx, v.large.Dir)
	if err != nil {
		return nil, v.s.storeError("batch "+v.ref.ID, err)
	}
	return m, nil
}

// workflow is the id of the workflow with a number.
func (v *view) workflow(number int) string { return segmentID(v.wid, number) }

func segmentID(workflowID string, number int) string {
	return fmt.Sprintf("%s~%04d", workflowID, number)
}
