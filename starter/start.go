package starter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// ExpectRepeat says that the caller of a start was not told that the batch goes on. For
// ten minutes a request with the same content that has neither an id nor a key is taken
// for a repetition and answers with that batch, as it does after an ErrMayHaveStarted.
// Other processes know nothing of it.
func (s *Starter) ExpectRepeat(started Started) {
	if started.Content != "" {
		s.repeats.keep(started.Content, started.ID)
	}
}

// Start starts a batch, or answers with the one that has the same id and the
// same content. It sets the batch's id, tenant, in-flight bound and summaries,
// and its creation time if there is none; r.Batch itself is not changed. A batch
// that is too large for one workflow, or is dispatched in groups, goes the way of
// StartLarge, with its errors.
//
// Where Temporal's answer is lost, the same start is asked for again, on another
// connection. A request without id and key whose content is that of a start which ended
// in ErrMayHaveStarted less than ten minutes ago is taken for its repetition.
//
// Errors: ErrInvalid (a bad id, a *TooLargeError), ErrConflict (same id, other
// content), *MissingAttributesError, ErrUnreachable (nothing was started),
// ErrMayHaveStarted, and what r.Ask said. Started has the id beside ErrMayHaveStarted and
// ErrConflict, and is empty beside the others.
func (s *Starter) Start(ctx context.Context, r Request) (Started, error) {
	if r.Batch == nil {
		return Started{}, server.Invalid("no batch was given")
	}
	return s.submit(ctx, r.Batch.Dialect, r.Ref, func(ctx context.Context) (Started, error) { return s.start(ctx, r) })
}

func (s *Starter) start(ctx context.Context, r Request) (Started, error) {
	hash := hashed("content", r.Body, r.Batch.Dialect, server.TenantOf(r.Ref), r.Flags)
	fresh := !hasOwnID(r)
	if fresh {
		r.ID = s.repeats.of(hash)
	}
	ref, err := s.refFor(r, r.Batch.Dialect)
	if err != nil {
		return Started{}, err
	}
	b := *r.Batch
	s.prepare(ref, &b)
	b.Messages = fewProblems(b.Messages)
	in := contract.Input{V: message.Version, Batch: b}
	in.Batch.Dispatch = b.DispatchFor(len(b.Messages), false, s.o.GroupAbove)
	src := memorySource(&b, hash)
	if large, err := s.isLarge(ctx, ref, &in, b.Dispatch == message.DispatchGroup); err != nil {
		return Started{}, err
	} else if large {
		return s.startLarge(ctx, ref, fresh, r, src)
	}
	if r.Ask != nil && hasOwnID(r) { // what is there answers without a question
		if out, answered, err := s.existing(ctx, ref, fresh, src); answered {
			return out, err
		}
	}
	l := launchOf(src.header, s.contentSum(&b)).addAll(&b)
	l.in, l.hash = in, hash
	return s.launch(ctx, r, fresh, l)
}

// existing answers a start whose batch may be there already. answered is false if it is
// not. It asks on another connection if there is no answer on this one. Nothing is written;
// a stream is read for the sake of its hash.
func (s *Starter) existing(ctx context.Context, ref Ref, fresh bool, src *source) (out Started, answered bool, err error) {
	var d server.Description
	_, err = s.server.CallWithRedial(ctx, s.o.Wait, func(ctx context.Context, c client.Client, _ bool) (err error) {
		d, err = s.server.DescribeBy(ctx, c, ref)
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return Started{}, false, nil
	case err != nil && fresh: // it repeats a start of which nobody could say
		err = &MayHaveStartedError{Ref: ref, Cause: err}
	}
	hash := ""
	if err == nil {
		hash, err = src.finalHash(ctx)
	}
	if err != nil {
		return named(ref.ID, err), true, err
	}
	out, err = s.matched(ctx, s.server.Client, ref, d, hash)
	return out, true, err
}

// hasOwnID reports whether the caller's request decides the id, so that the batch may
// be there already.
func hasOwnID(r Request) bool { return r.ID != "" || r.IdempotencyKey != "" }

// refFor fixes the id: the caller's own, the one its idempotency key stands for,
// or a new one.
func (s *Starter) refFor(r Request, dialect string) (Ref, error) {
	ref := Ref{Tenant: server.TenantOf(r.Ref), ID: r.ID}
	if ref.ID == "" && r.IdempotencyKey != "" {
		ref.ID = message.BatchIDFrom(dialect, digest("key", ref.Tenant, dialect, r.IdempotencyKey))
	}
	if ref.ID == "" {
		ref.ID = message.NewBatchID(dialect, s.o.Now())
	}
	_, err := server.WorkflowOf(ref)
	return ref, err
}

// prepare sets what the starter decides of a batch.
func (s *Starter) prepare(ref Ref, b *message.Batch) {
	b.V, b.ID, b.Tenant = message.Version, ref.ID, ref.Tenant
	if b.CreatedAt.IsZero() {
		b.CreatedAt = s.o.Now()
	}
	b.CreatedAt = b.CreatedAt.UTC().Round(0)
	b.InFlight = cmp.Or(b.InFlight, s.o.InFlight)
	b.Summaries, b.Guard, b.ShowFailed = !s.o.NoSummaries, true, true
}

// maxProblems is how many problems of a message a batch keeps. One item may have
// thousands, and they stand in the batch's history; validate shows them all.
const maxProblems = 20

// fewProblems returns the messages with at most maxProblems problems each.
func fewProblems(from []message.Message) []message.Message {
	if !slices.ContainsFunc(from, func(m message.Message) bool { return len(m.Problems) > maxProblems }) {
		return from
	}
	to := slices.Clone(from)
	for i := range to {
		to[i].Problems = to[i].Problems[:min(len(to[i].Problems), maxProblems)]
	}
	return to
}

// isLarge decides whether a batch goes through the store, and measures one that fits into
// one workflow. It refuses one that does not when there is no store. A batch without
// messages has nothing to store. groups says that groups were asked for.
//
// One workflow takes in the whole batch, and hands on or returns what became of it, each in
// one payload. Where the server's are small, the store keeps more.
func (s *Starter) isLarge(ctx context.Context, ref Ref, in *contract.Input, groups bool) (bool, error) {
	n := len(in.Batch.Messages)
	stored := n > 0 && s.o.Store != nil
	switch {
	case stored && in.Batch.Dispatch == message.DispatchGroup:
		return true, nil
	case n > 0 && !stored && groups:
		return false, server.Invalid("dispatch in groups needs a store, and none is configured")
	}
	in.Batch.Dispatch = message.DispatchMessage
	e := &TooLargeError{Messages: n, MaxMessages: s.o.MaxMessages, MaxBytes: s.o.MaxBytes}
	if n <= e.MaxMessages {
		raw, err := json.Marshal(in)
		if err != nil {
			return false, fmt.Errorf("encode the batch: %w: %w", ErrInvalid, err)
		}
		if in.Size, e.Bytes = len(raw), len(raw); e.Bytes <= e.MaxBytes {
			need, room := in.Size+message.LeastRoom(n), 0
			if need > smallPayload {
				room = s.server.PayloadRoom(ctx)
			}
			switch {
			case room == 0 || need <= room:
				in.Room = room
				return false, nil
			case !stored:
				return false, &PayloadError{Ref: ref, MaxBytes: s.o.MaxBytes}
			}
		}
	}
	if stored {
		return true, nil
	}
	return false, e
}

// smallPayload is what every server takes, in bytes: it is not asked about less.
const smallPayload = 64 << 10

// matched answers a repeated start, with what the first one resolved, if its content is
// that of the first.
func (s *Starter) matched(ctx context.Context, c client.Client, ref Ref, d server.Description, hash string) (Started, error) {
	if !d.Known || d.Memo.Hash != hash {
		return Started{ID: ref.ID}, fmt.Errorf("batch %s: %w", ref.ID, ErrConflict)
	}
	if d.Memo.Dir != "" {
		return s.resolvedLarge(ctx, ref, d.Memo)
	}
	in, err := s.server.InputBy(ctx, c, ref)
	if err != nil {
		return Started{ID: ref.ID}, err
	}
	l := launchOf(&in.Batch, nil).addAll(&in.Batch)
	l.hash = hash
	out := l.started()
	out.Existing = true
	return out, nil
}

// startError explains why the server did not take a batch. The server refuses
// unknown search attributes as an invalid argument like any other, so they are
// looked up rather than read out of its sentence.
func (s *Starter) startError(ctx context.Context, ref Ref, err error) error {
	var bad *serviceerror.InvalidArgument
	if errors.As(err, &bad) {
		missing, merr := s.Missing(ctx)
		missing = slices.DeleteFunc(missing, func(name string) bool { return !NeedsAttribute(name) })
		if merr == nil && len(missing) > 0 {
			return &MissingAttributesError{Names: missing}
		}
	}
	if server.TooLarge(err) {
		return &PayloadError{Ref: ref, MaxBytes: s.o.MaxBytes}
	}
	return server.Translate(ctx, "start batch "+ref.ID, err)
}
