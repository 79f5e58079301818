package large

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/closeout"
	"volley/starter/internal/server"
)

// Reader reads large batches. It is safe for concurrent use.
type Reader struct {
	*server.Server
	closed   *closeout.Reader
	rates    map[string]float64
	segments *segmentStatusCache
	queries  *semaphore.Weighted
	names    *namesWriter
}

// NewReader returns a Reader. Rates are how many messages each account may send in a
// second; an account that is not there, or has 0, has no limit.
func NewReader(s *server.Server, rates map[string]float64) *Reader {
	return &Reader{
		Server: s, closed: closeout.NewReader(s), rates: rates, segments: newSegmentStatusCache(),
		queries: semaphore.NewWeighted(mostRead), names: &namesWriter{next: map[string]*nameWrite{}},
	}
}

// View is what is known of a large batch at one moment. Its rows are read from the
// store and from running segments as they are asked for.
type View struct {
	message.Overview
	s    *Reader
	Ref  server.Ref
	wid  string
	Key  message.Key
	Open bool
	now  int64 // when the view was made, in Unix ms

	// missing caches why segments cannot be read.
	mu      sync.Mutex
	missing map[int]error
	late    *store.Reported // the summary of late reports, once it was read

	readNamed sync.Once
	named     names // once they were read
	namedErr  error
}

// View is a large batch as its overview tells it, as of a time; open means that it runs.
func (s *Reader) View(ref server.Ref, o message.Overview, open bool, asOf time.Time) *View {
	wid := server.WorkflowID(ref)
	now := s.Now().UTC()
	if open {
		o.Status.AsOf = asOf.UTC()
	}
	return &View{
		Overview: o, s: s, Ref: ref, wid: wid, Key: message.KeyOf(wid), Open: open, now: now.UnixMilli(), missing: map[int]error{},
	}
}

// State is where a segment stands.
func (v *View) State(number int) byte {
	switch {
	case number <= len(v.Large.Segments):
		return v.Large.Segments[number-1]
	case v.Open && v.Large.Rest == nil:
		return message.SegmentWaiting
	}
	return message.SegmentNever
}

// runs reports whether a segment's workflow is under way.
func (v *View) runs(number int) bool {
	state := v.State(number)
	return state == message.SegmentRunning || state == message.SegmentRetrying
}

// unrun reports whether a segment has no workflow, and has not had one.
func (v *View) unrun(number int) bool {
	state := v.State(number)
	return state == message.SegmentWaiting || state == message.SegmentNever
}

// Manifest reads the batch's manifest.
func (v *View) Manifest(ctx context.Context) (*message.Manifest, error) {
	if v.s.Store == nil {
		return nil, server.Invalid("the messages of batch %s are in the store, and none is configured", v.Ref.ID)
	}
	m, err := v.s.Store.Manifest(ctx, v.Large.Dir)
	if store.Missing(err) {
		return nil, fmt.Errorf("batch %s: its messages are not in the store, from which a purge removes them: %w (%w)", v.Ref.ID, server.ErrNotFound, err)
	}
	return m, server.StoreError("batch "+v.Ref.ID, err)
}

// locate finds messages by their indexes. One that the batch does not have has segment 0.
func (v *View) locate(ctx context.Context, what string, indexes ...int) ([]message.Location, error) {
	if _, err := v.Manifest(ctx); err != nil {
		return nil, err
	}
	spots, err := v.s.Store.Locate(ctx, v.Large.Dir, indexes)
	return spots, server.StoreError(what, err)
}

// locateOne finds one message, which what names in errors.
func (v *View) locateOne(ctx context.Context, what string, index int) (message.Location, error) {
	spots, err := v.locate(ctx, what, index)
	switch {
	case err != nil:
		return message.Location{}, err
	case spots[0].Segment == 0:
		return message.Location{}, fmt.Errorf("%s: %w", what, server.ErrNotFound)
	}
	return spots[0], nil
}

// Workflow is the id of the workflow with a number.
func (v *View) Workflow(number int) string { return server.SegmentID(v.wid, number) }
