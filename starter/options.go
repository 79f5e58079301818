package starter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

// extent is what is told of a batch's messages when it starts.
type extent struct {
	total, rejected int
	// due is when the first message may go out; a batch without any is due when it
	// is created.
	due time.Time
	// dir and segments are those of a large batch.
	dir      string
	segments int
}

func extentOf(b *message.Batch) extent {
	x := extent{total: len(b.Messages), rejected: b.Rejected(), due: b.CreatedAt}
	var first int64
	for i := range b.Messages {
		if len(b.Messages[i].Problems) > 0 {
			continue
		}
		if due := b.DueAt(i); first == 0 || due < first {
			first = due
		}
	}
	if first != 0 {
		x.due = time.UnixMilli(first).UTC()
	}
	return x
}

func (s *Starter) startOptions(b *message.Batch, x extent, sum string) client.StartWorkflowOptions {
	id := WorkflowID(Ref{Tenant: b.Tenant, ID: b.ID})
	return client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                s.o.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    s.attributesOf(id, b, x),
		Memo:                                     map[string]any{memoName: memoOf(b, x, sum)},
		StaticSummary:                            summaryOf(b, x),
		StaticDetails:                            detailsOf(b, x),
		Priority:                                 priorityOf(id, b),
	}
}

// attributesOf are the search attributes at the start.
func (s *Starter) attributesOf(workflowID string, b *message.Batch, x extent) temporal.SearchAttributes {
	state := message.BatchRunning
	if x.due.After(s.o.Now()) {
		state = message.BatchScheduled
	}
	set := []temporal.SearchAttributeUpdate{
		keyword(workflows.AttrState).ValueSet(string(state)),
		keyword(workflows.AttrDialect).ValueSet(b.Dialect),
		keyword(workflows.AttrTenant).ValueSet(b.Tenant),
		keyword(workflows.AttrKey).ValueSet(message.KeyOf(workflowID).String()),
		temporal.NewSearchAttributeKeyInt64(workflows.AttrTotal).ValueSet(int64(x.total)),
		temporal.NewSearchAttributeKeyInt64(workflows.AttrFailed).ValueSet(0),
		temporal.NewSearchAttributeKeyTime(workflows.AttrDue).ValueSet(x.due),
	}
	if pairs := s.indexed(b.Metadata); len(pairs) > 0 {
		set = append(set, temporal.NewSearchAttributeKeyKeywordList(workflows.AttrMeta).ValueSet(pairs))
	}
	return temporal.NewSearchAttributes(set...)
}

func keyword(name string) temporal.SearchAttributeKeyKeyword {
	return temporal.NewSearchAttributeKeyKeyword(name)
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
// trims quotes off it, and takes ♡ as a separator; so none of them stays. NUL ends the
// query of one database and is refused by another.
func indexable(pair string) string {
	return message.Clip(strings.NewReplacer(`"`, "_", "'", "_", "♡", "_", "\x00", "_").Replace(strings.ToValidUTF8(pair, "_")), maxKeyword)
}

// summaryOf and detailsOf are what the Web UI shows; neither holds anything of a
// recipient or of the content.
func summaryOf(b *message.Batch, x extent) string {
	noun := "messages"
	if x.total == 1 {
		noun = "message"
	}
	return fmt.Sprintf("%d %s, %s", x.total, noun, b.Dialect)
}

func detailsOf(b *message.Batch, x extent) string {
	var out bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, "- %s: %s\n", name, value)
		}
	}
	line("dialect", b.Dialect)
	line("tenant", b.Tenant)
	line("account", b.Account)
	line("messages", strconv.Itoa(x.total))
	if x.segments > 0 {
		line("segments", strconv.Itoa(x.segments))
		line("dispatch", dispatchOf(b))
	}
	if x.rejected > 0 {
		line("rejected at the start", strconv.Itoa(x.rejected))
	}
	line("first due", x.due.Format(time.RFC3339))
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
