package starter

import (
	"context"
	"errors"
	"strings"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// shownProblems is how many problems of a large batch a start answers with.
const shownProblems = 100

// upload writes a batch into the store. After an error nothing of it is there.
func (s *Starter) upload(ctx context.Context, ref Ref, src *source) (*launch, error) {
	s.prepare(ref, src.header)
	src.header.Messages = nil
	w, err := s.o.Store.Create(ctx, src.header, store.WriteOptions{
		Namespace: s.o.Namespace, Cluster: s.server.Cluster(ctx), New: s.storeIsNew,
	})
	if err != nil {
		return nil, server.StoreError("batch "+ref.ID, err)
	}
	l := launchOf(src.header, s.contentSum(src.header))
	if err := s.write(ctx, l, w, src); err != nil {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
		defer cancel()
		if aerr := w.Abort(cctx); aerr != nil {
			return nil, errors.Join(err, server.StoreError("clean up", aerr))
		}
		return nil, err
	}
	return l, nil
}

// write takes in all messages and finishes the batch in the store.
func (s *Starter) write(ctx context.Context, l *launch, w *store.Writer, src *source) error {
	estimator := message.NewEstimator(s.o.Rates, s.o.ActionPrice, s.o.Now())
	b := l.Header
	for m, err := range src.messages {
		if err != nil {
			return err
		}
		m.Problems = m.Problems[:min(len(m.Problems), maxProblems)]
		if len(m.Problems) == 0 {
			hops := b.HopsOf(&m)
			if len(hops) == 0 {
				return server.Invalid("message %d has no problem and no way", l.Total)
			}
			due := b.DueAt(&m)
			estimator.Add(hops[0].Account, due, due+b.Validity(&m))
		}
		l.add(&m)
		l.problems = l.problems[:min(len(l.problems), shownProblems)]
		if err := w.Add(ctx, &m); err != nil {
			return server.StoreError("batch "+b.ID, err)
		}
	}
	l.hash = src.hash
	if l.Total == l.Rejected {
		return &NoneValidError{Started: l.started()}
	}
	b.Dispatch = b.DispatchFor(l.Total, true, s.o.GroupAbove)
	manifest, err := w.Finish(ctx)
	if err != nil {
		return server.StoreError("batch "+b.ID, err)
	}
	l.dir, l.segments = w.Dir(), len(manifest.Segments)
	large := &contract.LargeInput{Dir: l.dir, Total: l.Total, Rejected: l.Rejected}
	for _, segment := range manifest.Segments {
		large.Expires = max(large.Expires, segment.Expires)
	}
	l.in = contract.Input{V: message.Version, Batch: segmentless(*b), Large: large}
	estimate := estimator.Estimate(l.segments, b.Dispatch)
	l.Estimate = &estimate
	return nil
}

// problemOf is the problem of a rejected message as the store has it.
func problemOf(l message.MessageMeta) message.Problem {
	p := message.Problem{Index: l.Index, Code: l.Code, Detail: l.Detail}
	// A place that has no blank is the path in front of the detail.
	if path, detail, ok := strings.Cut(l.Detail, ": "); ok && !strings.Contains(path, " ") {
		p.Path, p.Detail = path, detail
	}
	return p
}
