package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/serviceerror"

	"volley/internal/message"
	"volley/workflows"
)

// Start starts a batch, or answers with the one that has the same id and the
// same content. It sets the batch's id, tenant, in-flight bound and summaries,
// and its creation time if there is none; r.Batch itself is not changed. A batch
// that is too large for one workflow, or is dispatched in groups, goes the way of
// StartLarge, with its errors.
//
// Errors: ErrInvalid (a bad id, a *TooLargeError), ErrConflict (same id, other
// content; Started has the id), *MissingAttributesError, ErrUnreachable.
func (s *Starter) Start(ctx context.Context, r Request) (Started, error) {
	if r.Batch == nil {
		return Started{}, invalid("no batch was given")
	}
	ref, err := s.refFor(r, r.Batch.Dialect)
	if err != nil {
		return Started{}, err
	}
	b := *r.Batch
	s.prepare(ref, &b)
	b.Messages = fewProblems(b.Messages)
	sum := contentHash(r.Body, b.Dialect, b.Tenant, r.Flags)
	in := workflows.Input{V: message.Version, Batch: b}
	in.Batch.Dispatch = dispatchOf(&b)
	large, err := s.isLarge(&in, r.Batch.Dispatch)
	if err != nil {
		return Started{}, err
	}
	if large {
		return s.startLarge(ctx, ref, given(r), &held{batch: &b, sum: sum})
	}
	_, err = s.c.ExecuteWorkflow(ctx, s.startOptions(&in.Batch, extentOf(&b), sum), workflows.SendBatchName, in)
	var exists *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &exists):
		return s.existing(ctx, ref, sum)
	case err != nil:
		return Started{}, s.startError(ctx, ref, err)
	}
	return started(&in.Batch), nil
}

// given reports whether the caller's request decides the id, so that the batch may
// be there already.
func given(r Request) bool { return r.ID != "" || r.IdempotencyKey != "" }

// refFor fixes the id: the caller's own, the one its idempotency key stands for,
// or a new one.
func (s *Starter) refFor(r Request, dialect string) (Ref, error) {
	ref := Ref{Tenant: tenantOf(r.Ref), ID: r.ID}
	switch {
	case ref.ID != "":
	case r.IdempotencyKey != "":
		ref.ID = keyID(ref.Tenant, dialect, r.IdempotencyKey)
	default:
		ref.ID = newID(dialect, s.o.Now())
	}
	_, err := workflowOf(ref)
	return ref, err
}

// prepare sets what the starter decides of a batch.
func (s *Starter) prepare(ref Ref, b *message.Batch) {
	b.V, b.ID, b.Tenant = message.Version, ref.ID, ref.Tenant
	if b.CreatedAt.IsZero() {
		b.CreatedAt = s.o.Now()
	}
	b.CreatedAt = b.CreatedAt.UTC().Round(0)
	if b.InFlight == 0 {
		b.InFlight = s.o.InFlight
	}
	b.Summaries = !s.o.NoSummaries
}

// maxProblems is how many problems of a message a batch keeps. One item may have
// thousands, and they stand in the batch's history; validate shows them all.
const maxProblems = 20

// fewProblems returns the messages with at most maxProblems problems each.
func fewProblems(from []message.Message) []message.Message {
	to := from
	for i := range from {
		if len(from[i].Problems) <= maxProblems {
			continue
		}
		if &to[0] == &from[0] {
			to = slices.Clone(from)
		}
		to[i].Problems = from[i].Problems[:maxProblems]
	}
	return to
}

// isLarge decides whether a batch goes through the store. It refuses one that has
// to when there is none. A batch without messages has nothing to store.
func (s *Starter) isLarge(in *workflows.Input, asked string) (bool, error) {
	if len(in.Batch.Messages) == 0 {
		return false, s.checkSize(in)
	}
	groups := asked == dispatchGroup
	if s.o.Store == nil {
		if groups {
			return false, invalid("dispatch in groups needs a store, and none is configured")
		}
		return false, s.checkSize(in)
	}
	if groups || asked == "" && s.o.GroupAbove > 0 && len(in.Batch.Messages) > s.o.GroupAbove {
		return true, nil
	}
	err := s.checkSize(in)
	var large *TooLargeError
	if errors.As(err, &large) {
		return true, nil
	}
	return false, err
}

// checkSize refuses what does not fit into one workflow.
func (s *Starter) checkSize(in *workflows.Input) error {
	e := &TooLargeError{Messages: len(in.Batch.Messages), MaxMessages: s.o.MaxMessages, MaxBytes: s.o.MaxBytes}
	if e.Messages > e.MaxMessages {
		return e
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the batch: %w: %w", ErrInvalid, err)
	}
	if e.Bytes = len(raw); e.Bytes > e.MaxBytes {
		return e
	}
	in.Size = e.Bytes
	return nil
}

func started(b *message.Batch) Started {
	problems := b.Problems()
	if problems == nil {
		problems = message.Problems{} // [] in JSON
	}
	return Started{
		ID: b.ID, Total: len(b.Messages), Rejected: b.Rejected(), Problems: problems,
		SendAfter: message.At(b.SendAfter), RedriveOf: b.RedriveOf,
	}
}

// existing answers a repeated start with what the first one resolved.
func (s *Starter) existing(ctx context.Context, ref Ref, sum string) (Started, error) {
	d, err := s.describe(ctx, ref)
	if err != nil {
		return Started{}, err
	}
	return s.matched(ctx, ref, d, sum)
}

// matched answers a repeated start if its content is that of the first.
func (s *Starter) matched(ctx context.Context, ref Ref, d description, sum string) (Started, error) {
	if !d.known || d.memo.Hash != sum {
		return Started{ID: ref.ID}, fmt.Errorf("batch %s: %w", ref.ID, ErrConflict)
	}
	return s.resolved(ctx, ref, d.memo)
}

// resolved is what the start of a batch that is there had resolved.
func (s *Starter) resolved(ctx context.Context, ref Ref, m memo) (Started, error) {
	if m.Dir != "" {
		return s.resolvedLarge(ctx, ref, m)
	}
	in, err := s.input(ctx, ref)
	if err != nil {
		return Started{}, err
	}
	out := started(&in.Batch)
	out.Existing = true
	return out, nil
}

// startError explains why the server did not take a batch. The server refuses
// unknown search attributes as an invalid argument like any other, so they are
// looked up rather than read out of its sentence.
func (s *Starter) startError(ctx context.Context, ref Ref, err error) error {
	var bad *serviceerror.InvalidArgument
	if errors.As(err, &bad) {
		if missing, merr := s.Missing(ctx); merr == nil && len(missing) > 0 {
			return &MissingAttributesError{Names: missing}
		}
	}
	return s.translate(ctx, "start batch "+ref.ID, err)
}
