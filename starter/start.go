package starter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

// Start starts a batch, or answers with the one that has the same id and the
// same content. It sets the batch's id, tenant, in-flight bound and summaries,
// and its creation time if there is none; r.Batch itself is not changed.
//
// Errors: ErrInvalid (a bad id, a *TooLargeError), ErrConflict (same id, other
// content), *MissingAttributesError, ErrUnreachable.
func (s *Starter) Start(ctx context.Context, r Request) (Started, error) {
	if r.Batch == nil {
		return Started{}, invalid("no batch was given")
	}
	ref, err := s.refFor(r)
	if err != nil {
		return Started{}, err
	}
	b := s.prepare(ref, r.Batch)
	in := workflows.Input{V: message.Version, Batch: b}
	if err := s.checkSize(&in); err != nil {
		return Started{}, err
	}
	sum := contentHash(r.Body, b.Dialect, b.Tenant, r.Flags)
	_, err = s.c.ExecuteWorkflow(ctx, s.startOptions(&b, sum), workflows.SendBatchName, in)
	var exists *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &exists):
		return s.existing(ctx, ref, sum)
	case err != nil:
		return Started{}, s.startError(ctx, ref, err)
	}
	return started(&b), nil
}

// refFor fixes the id: the caller's own, the one its idempotency key stands for,
// or a new one.
func (s *Starter) refFor(r Request) (Ref, error) {
	ref := Ref{Tenant: tenantOf(r.Ref), ID: r.ID}
	switch {
	case ref.ID != "":
	case r.IdempotencyKey != "":
		ref.ID = keyID(ref.Tenant, r.Batch.Dialect, r.IdempotencyKey)
	default:
		ref.ID = newID(r.Batch.Dialect, s.o.Now())
	}
	_, err := workflowOf(ref)
	return ref, err
}

func (s *Starter) prepare(ref Ref, from *message.Batch) message.Batch {
	b := *from
	b.V, b.ID, b.Tenant = message.Version, ref.ID, ref.Tenant
	if b.CreatedAt.IsZero() {
		b.CreatedAt = s.o.Now()
	}
	b.CreatedAt = b.CreatedAt.UTC().Round(0)
	if b.InFlight == 0 {
		b.InFlight = s.o.InFlight
	}
	b.Dispatch = dispatchOf(&b)
	b.Messages = fewProblems(b.Messages)
	b.Summaries = !s.o.NoSummaries
	return b
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

func (s *Starter) startOptions(b *message.Batch, sum string) client.StartWorkflowOptions {
	id := WorkflowID(Ref{Tenant: b.Tenant, ID: b.ID})
	return client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                s.o.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    s.attributesOf(id, b),
		Memo:                                     map[string]any{memoName: memoOf(b, sum)},
		StaticSummary:                            summaryOf(b),
		StaticDetails:                            detailsOf(b),
		Priority:                                 priorityOf(id, b),
	}
}

// attributesOf are the search attributes at the start.
func (s *Starter) attributesOf(workflowID string, b *message.Batch) temporal.SearchAttributes {
	due := firstDue(b)
	state := message.BatchRunning
	if due.After(s.o.Now()) {
		state = message.BatchScheduled
	}
	set := []temporal.SearchAttributeUpdate{
		keyword(workflows.AttrState).ValueSet(string(state)),
		keyword(workflows.AttrDialect).ValueSet(b.Dialect),
		keyword(workflows.AttrTenant).ValueSet(b.Tenant),
		keyword(workflows.AttrKey).ValueSet(message.KeyOf(workflowID).String()),
		temporal.NewSearchAttributeKeyInt64(workflows.AttrTotal).ValueSet(int64(len(b.Messages))),
		temporal.NewSearchAttributeKeyInt64(workflows.AttrFailed).ValueSet(0),
		temporal.NewSearchAttributeKeyTime(workflows.AttrDue).ValueSet(due),
	}
	if pairs := s.indexed(b.Metadata); len(pairs) > 0 {
		set = append(set, temporal.NewSearchAttributeKeyKeywordList(workflows.AttrMeta).ValueSet(pairs))
	}
	return temporal.NewSearchAttributes(set...)
}

func keyword(name string) temporal.SearchAttributeKeyKeyword {
	return temporal.NewSearchAttributeKeyKeyword(name)
}

// firstDue is when the first message may go out; a batch without any is due when
// it is created.
func firstDue(b *message.Batch) time.Time {
	var first int64
	for i := range b.Messages {
		if len(b.Messages[i].Problems) > 0 {
			continue
		}
		if due := b.DueAt(i); first == 0 || due < first {
			first = due
		}
	}
	if first == 0 {
		return b.CreatedAt
	}
	return time.UnixMilli(first).UTC()
}

// maxKeyword is the longest keyword that visibility on an SQL database holds.
const maxKeyword = 255

// indexed are the key=value pairs of the metadata keys that are searchable, in
// the order of the configuration. A value that is no string stands as its JSON,
// and quotes in it as underscores.
func (s *Starter) indexed(metadata json.RawMessage) []string {
	if len(s.o.SearchMetadata) == 0 || len(metadata) == 0 {
		return nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(metadata, &values) != nil {
		return nil
	}
	var pairs []string
	for _, key := range s.o.SearchMetadata {
		raw, ok := values[key]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			var compact bytes.Buffer
			if json.Compact(&compact, raw) != nil {
				continue
			}
			text = compact.String()
		}
		pairs = append(pairs, indexable(key+"="+text))
	}
	return pairs
}

// indexable is the form in which a key=value pair is indexed and looked for.
// Temporal puts the text unquoted into its own query of a SQLite full-text index,
// trims quotes off it, and takes ♡ as a separator; so none of them stays.
func indexable(pair string) string {
	return message.Clip(strings.NewReplacer(`"`, "_", "'", "_", "♡", "_").Replace(pair), maxKeyword)
}

// summaryOf and detailsOf are what the Web UI shows; neither holds anything of a
// recipient or of the content.
func summaryOf(b *message.Batch) string {
	noun := "messages"
	if len(b.Messages) == 1 {
		noun = "message"
	}
	return fmt.Sprintf("%d %s, %s", len(b.Messages), noun, b.Dialect)
}

func detailsOf(b *message.Batch) string {
	var out bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, "- %s: %s\n", name, value)
		}
	}
	line("dialect", b.Dialect)
	line("tenant", b.Tenant)
	line("account", b.Account)
	line("messages", strconv.Itoa(len(b.Messages)))
	if n := b.Rejected(); n > 0 {
		line("rejected at the start", strconv.Itoa(n))
	}
	line("first due", firstDue(b).Format(time.RFC3339))
	line("redrive of", b.RedriveOf)
	return out.String()
}

// maxFairness is the longest fairness key.
const maxFairness = 64

// priorityOf puts urgent batches first and keeps one tenant, or one batch of the
// default tenant, from starving the others.
func priorityOf(workflowID string, b *message.Batch) temporal.Priority {
	fair := b.Tenant
	if fair == DefaultTenant {
		fair = b.ID
	}
	if len(fair) > maxFairness {
		fair = message.KeyOf(workflowID).String()
	}
	return temporal.Priority{PriorityKey: b.Priority, FairnessKey: fair}
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
	if !d.known || d.memo.Hash != sum {
		return Started{}, fmt.Errorf("batch %s: %w", ref.ID, ErrConflict)
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
