package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"volley/internal/message"
	"volley/internal/store"
)

// arrival is a large batch on its way into the store, and afterwards what a start
// tells of it.
type arrival struct {
	header    *message.Batch
	writer    *store.Writer
	estimator *message.Estimator
	one       [1]message.Message // the message that is being added
	extent    extent
	problems  message.Problems
	first     int64 // when the first message is due, in Unix ms
	sum       string
	estimate  message.Estimate
}

// arrive writes a batch into the store. After an error nothing of it is there.
func (s *Starter) arrive(ctx context.Context, ref Ref, in source) (*arrival, error) {
	a := &arrival{header: in.Header(), problems: message.Problems{}}
	s.prepare(ref, a.header)
	a.header.Messages = nil
	a.estimator = message.NewEstimator(s.o.Rates, s.o.ActionPrice, s.o.Now())
	var err error
	if a.writer, err = s.o.Store.Create(ctx, a.header, store.WriteOptions{}); err != nil {
		return nil, s.storeError("batch "+ref.ID, err)
	}
	if err := s.receive(ctx, a, in); err != nil {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
		defer cancel()
		if aerr := a.writer.Abort(cctx); aerr != nil {
			return nil, errors.Join(err, s.storeError("clean up", aerr))
		}
		return nil, err
	}
	return a, nil
}

// receive takes in all messages and finishes the batch in the store.
func (s *Starter) receive(ctx context.Context, a *arrival, in source) error {
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		if err := s.add(ctx, a, &m); err != nil {
			return err
		}
	}
	var err error
	if a.sum, err = in.Sum(); err != nil {
		return err
	}
	if a.extent.total == a.extent.rejected {
		return &NoneValidError{Started: a.started()}
	}
	b := a.header
	if b.Dispatch == "" && s.o.GroupAbove > 0 && a.extent.total > s.o.GroupAbove {
		b.Dispatch = dispatchGroup
	}
	b.Dispatch = dispatchOf(b)
	manifest, err := a.writer.Finish(ctx)
	if err != nil {
		return s.storeError("batch "+b.ID, err)
	}
	a.extent.dir, a.extent.segments = a.writer.Dir(), len(manifest.Segments)
	a.extent.due = time.UnixMilli(a.first).UTC()
	a.estimate = a.estimator.Estimate(a.extent.segments, b.Dispatch)
	return nil
}

// add takes in the next message.
func (s *Starter) add(ctx context.Context, a *arrival, m *message.Message) error {
	if len(m.Problems) > maxProblems {
		m.Problems = m.Problems[:maxProblems]
	}
	if len(m.Problems) > 0 {
		a.extent.rejected++
		room := shownProblems - len(a.problems)
		a.problems = append(a.problems, m.Problems[:min(room, len(m.Problems))]...)
	} else {
		one := *a.header
		a.one[0] = *m
		one.Messages = a.one[:]
		way := one.Way(0)
		if len(way) == 0 {
			return invalid("message %d has no problem and no way", a.extent.total)
		}
		due := one.DueAt(0)
		if a.first == 0 || due < a.first {
			a.first = due
		}
		a.estimator.Add(way[0].Account, due, due+one.Validity(0))
	}
	a.extent.total++
	if err := a.writer.Add(ctx, m); err != nil {
		return s.storeError("batch "+a.header.ID, err)
	}
	return nil
}

// started is what a start answers with.
func (a *arrival) started() Started {
	out := Started{
		ID: a.header.ID, Total: a.extent.total, Rejected: a.extent.rejected, Problems: a.problems,
		SendAfter: message.At(a.header.SendAfter), RedriveOf: a.header.RedriveOf, Segments: a.extent.segments,
	}
	if out.Segments > 0 {
		out.Estimate = &a.estimate
	}
	return out
}

// problemOf is the problem of a rejected message as the store has it.
func problemOf(l message.Line) message.Problem {
	p := message.Problem{Index: l.Index, Code: l.Code, Detail: l.Detail}
	// A place that has no blank is the path in front of the detail.
	if path, detail, ok := strings.Cut(l.Detail, ": "); ok && !strings.Contains(path, " ") {
		p.Path, p.Detail = path, detail
	}
	return p
}

// storeError says what the store was asked for. A batch that is too large even for
// the store is ErrInvalid; what is lost, and that the caller gave up, stays what it is,
// and all else is ErrStore.
func (s *Starter) storeError(what string, err error) error {
	var large *store.TooLarge
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
	case store.Lost(err), errors.Is(err, context.Canceled), isOurs(err):
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrStore, err)
}
