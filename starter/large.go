package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.uber.org/zap"

	"volley/internal/message"
	"volley/workflows"
)

// Incoming yields the messages of a request that is too large to be held. Routes
// and problems of messages are decided already.
type Incoming interface {
	// Header is all but the messages. Hops and policies are complete once Next has
	// returned false; those of a message's route are there when it is yielded.
	// StartLarge sets id, tenant, times and bounds in it.
	Header() *message.Batch
	// Next yields the next message, in the order of indexes, and false after the
	// last one.
	Next(m *message.Message) bool
	// End is called once, after Next has returned false. It returns a hash of the
	// body as received, or why nothing of the request may run.
	End() (content []byte, err error)
}

// StartLarge starts a large batch out of a stream, or answers with the one that
// has the same id and the same content. r.Batch and r.Body are not used.
//
// The answer comes when a worker has seen the batch in the store; when there is no
// worker it comes after ten seconds (Options.Wait), and the batch waits for one.
//
// Errors: what in.End said, *NoneValidError, ErrStoreNotShared, and those of Start.
// After an error nothing of the batch is left, except that when Temporal goes away
// in the middle of the start itself, the batch may start nevertheless.
func (s *Starter) StartLarge(ctx context.Context, r Request, in Incoming) (Started, error) {
	header := in.Header()
	if header == nil {
		return Started{}, invalid("no batch was given")
	}
	ref, err := s.refFor(r, header.Dialect)
	if err != nil {
		return Started{}, err
	}
	return s.startLarge(ctx, ref, given(r), &streamed{Incoming: in, tenant: ref.Tenant, flags: r.Flags})
}

// source is where the messages of a large batch come from: an Incoming whose end is
// the hash that a repeated start must match.
type source interface {
	Header() *message.Batch
	Next(m *message.Message) bool
	Sum() (string, error)
}

// streamed is a source that is read only once.
type streamed struct {
	Incoming
	tenant string
	flags  map[string]string
}

// Sum ends the stream.
func (in *streamed) Sum() (string, error) {
	content, err := in.End()
	if err != nil {
		return "", err
	}
	return streamHash(content, in.Header().Dialect, in.tenant, in.flags), nil
}

// held is a source in memory. The messages of its batch are yielded, and the batch
// itself is not changed.
type held struct {
	batch  *message.Batch
	header *message.Batch
	sum    string
	at     int
}

// Header is a copy without the messages.
func (h *held) Header() *message.Batch {
	if h.header == nil {
		b := *h.batch
		b.Messages = nil
		h.header = &b
	}
	return h.header
}

// Next yields the next message.
func (h *held) Next(m *message.Message) bool {
	if h.at == len(h.batch.Messages) {
		return false
	}
	*m = h.batch.Messages[h.at]
	h.at++
	return true
}

// Sum was known from the beginning.
func (h *held) Sum() (string, error) { return h.sum, nil }

// startLarge starts a large batch. given means that the id may be in use.
func (s *Starter) startLarge(ctx context.Context, ref Ref, given bool, in source) (Started, error) {
	if s.o.Store == nil {
		return Started{}, invalid("a batch of this size needs a store, and none is configured")
	}
	if given {
		d, err := s.describe(ctx, ref)
		switch {
		case err == nil:
			return s.repeated(ctx, ref, d, in)
		case !errors.Is(err, ErrNotFound):
			return Started{}, err
		}
	}
	a, err := s.arrive(ctx, ref, in)
	if err != nil {
		return Started{}, err
	}
	return s.launch(ctx, ref, a)
}

// repeated answers a start whose id is in use. Nothing is written; a stream is read
// for the sake of its hash.
func (s *Starter) repeated(ctx context.Context, ref Ref, d description, in source) (Started, error) {
	if stream, ok := in.(*streamed); ok {
		for m := (message.Message{}); stream.Next(&m); m = (message.Message{}) {
			if err := ctx.Err(); err != nil {
				return Started{}, err
			}
		}
	}
	sum, err := in.Sum()
	if err != nil {
		return Started{}, err
	}
	return s.matched(ctx, ref, d, sum)
}

// launch starts the workflow of a batch that is in the store.
func (s *Starter) launch(ctx context.Context, ref Ref, a *arrival) (Started, error) {
	in := workflows.Input{V: message.Version, Batch: *a.header, Large: &workflows.LargeInput{
		Dir: a.extent.dir, Total: a.extent.total, Rejected: a.extent.rejected,
	}}
	// What only segments need stays in the store.
	in.Batch.Template, in.Batch.Hops = message.Template{}, nil
	if err := checkHeader(&in); err != nil {
		s.forget(ctx, a.extent.dir)
		return Started{}, err
	}
	_, err := s.c.ExecuteWorkflow(ctx, s.startOptions(&in.Batch, a.extent, a.sum), workflows.SendBatchName, in)
	var exists *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &exists):
		s.forget(ctx, a.extent.dir)
		return s.existing(ctx, ref, a.sum)
	case err != nil:
		err = s.startError(ctx, ref, err)
		if !errors.Is(err, ErrUnreachable) && ctx.Err() == nil {
			s.forget(ctx, a.extent.dir)
		}
		return Started{}, err
	}
	if err := s.opened(ctx, ref, a.extent.dir); err != nil {
		return Started{}, err
	}
	return a.started(), nil
}

// checkHeader refuses what does not fit beside the messages of a large batch.
func checkHeader(in *workflows.Input) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the batch: %w: %w", ErrInvalid, err)
	}
	if in.Size = len(raw); in.Size > message.MaxLarge {
		return invalid("the metadata of the batch has about %d bytes when encoded, at most %d are possible in a large batch", in.Size, message.MaxLarge)
	}
	return nil
}

// cleanWait is how long what a failed start wrote may take to be removed.
const cleanWait = 30 * time.Second

// forget removes a folder of a batch that did not start, also when the caller has
// gone. What it cannot remove, a purge will.
func (s *Starter) forget(ctx context.Context, dir string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
	defer cancel()
	if err := s.o.Store.Delete(ctx, dir); err != nil {
		s.o.Log.Warn("a folder of a batch that did not start is left in the store", zap.String("dir", dir), zap.Error(err))
	}
}

// resolvedLarge is what the start of a large batch had resolved.
func (s *Starter) resolvedLarge(ctx context.Context, ref Ref, m memo) (Started, error) {
	out := Started{
		ID: ref.ID, Total: m.Total, Rejected: m.Rejected, Existing: true, Problems: message.Problems{},
		SendAfter: message.At(m.SendAfter), RedriveOf: m.RedriveOf,
	}
	if s.o.Store == nil {
		return out, nil
	}
	manifest, err := s.o.Store.Manifest(ctx, m.Dir)
	if err != nil {
		return out, s.storeError("batch "+ref.ID, err)
	}
	out.Segments = len(manifest.Segments)
	for i, segment := range manifest.Segments {
		if segment.Rejected == 0 || len(out.Problems) >= shownProblems {
			continue
		}
		lines, err := s.o.Store.Lines(ctx, m.Dir, i+1)
		if err != nil {
			return out, s.storeError("batch "+ref.ID, err)
		}
		for _, l := range lines {
			if l.Code != "" && len(out.Problems) < shownProblems {
				out.Problems = append(out.Problems, problemOf(l))
			}
		}
	}
	return out, nil
}

// shownProblems is how many problems of a large batch a start answers with.
const shownProblems = 100
