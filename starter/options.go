package starter

import (
	"encoding/json"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

func (s *Starter) startOptions(l *launch) client.StartWorkflowOptions {
	id := WorkflowID(l.ref)
	return client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                s.o.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    s.attributesOf(id, l),
		Memo:                                     map[string]any{server.MemoName: memoOf(l)},
		StaticSummary:                            message.Plural(l.Total, "message") + ", " + l.in.Batch.Dialect,
		StaticDetails:                            detailsOf(l),
		Priority:                                 priorityOf(id, &l.in.Batch),
	}
}

// attributesOf are the search attributes at the start.
func (s *Starter) attributesOf(workflowID string, l *launch) temporal.SearchAttributes {
	b := &l.in.Batch
	state := message.BatchRunning
	if l.Due.After(s.o.Now()) {
		state = message.BatchScheduled
	}
	set := []temporal.SearchAttributeUpdate{
		keyword(contract.AttrState).ValueSet(string(state)),
		keyword(contract.AttrDialect).ValueSet(b.Dialect),
		keyword(contract.AttrTenant).ValueSet(b.Tenant),
		keyword(contract.AttrKey).ValueSet(message.KeyOf(workflowID).String()),
		temporal.NewSearchAttributeKeyInt64(contract.AttrTotal).ValueSet(int64(l.Total)),
		temporal.NewSearchAttributeKeyInt64(contract.AttrFailed).ValueSet(0),
		temporal.NewSearchAttributeKeyTime(contract.AttrDue).ValueSet(l.Due),
	}
	if l.tag != "" {
		set = append(set, keyword(contract.AttrContent).ValueSet(l.tag))
	}
	if pairs := s.indexed(b.Metadata); len(pairs) > 0 {
		set = append(set, temporal.NewSearchAttributeKeyKeywordList(contract.AttrMeta).ValueSet(pairs))
	}
	return temporal.NewSearchAttributes(set...)
}

func keyword(name string) temporal.SearchAttributeKeyKeyword {
	return temporal.NewSearchAttributeKeyKeyword(name)
}

// maxKeyword is the longest keyword that visibility on an SQL database holds.
const maxKeyword = 255

// indexed are the key=value pairs of the metadata keys that are searchable, in
// the order of the configuration.
func (s *Starter) indexed(metadata json.RawMessage) []string {
	var pairs []string
	values := message.MetadataTexts(metadata, s.o.SearchMetadata)
	for _, key := range s.o.SearchMetadata {
		if text, ok := values[key]; ok {
			pairs = append(pairs, indexable(key+"="+text))
		}
	}
	return pairs
}

// indexable is the form in which a key=value pair is indexed and looked for.
// Temporal puts the text unquoted into its own query of a SQLite full-text index,
// trims quotes off it, and takes ♡ as a separator; backslashes and control characters
// it escapes on the way to databases that do not take the escapes back. So none of them
// stays.
func indexable(pair string) string {
	return message.Clip(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`"'\♡`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(pair, "_")), maxKeyword)
}

// detailsOf is what the Web UI shows beside the summary; neither holds anything of a
// recipient or of the content.
func detailsOf(l *launch) string {
	b := &l.in.Batch
	lines := [][2]string{{"dialect", b.Dialect}, {"tenant", b.Tenant}, {"account", b.Account}, {"messages", message.Number(l.Total)}}
	if l.segments > 0 {
		lines = append(lines, [2]string{"segments", message.Number(l.segments)}, [2]string{"dispatch", b.Dispatch})
	}
	if l.Rejected > 0 {
		lines = append(lines, [2]string{"rejected at the start", message.Number(l.Rejected)})
	}
	lines = append(lines, [2]string{"first due", l.Due.Format(time.RFC3339)}, [2]string{"redrive of", b.RedriveOf})
	out := ""
	for _, line := range lines {
		if line[1] != "" {
			out += "- " + line[0] + ": " + line[1] + "\n"
		}
	}
	return out
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
