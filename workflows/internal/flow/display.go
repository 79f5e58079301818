package flow

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// Display is what the Web UI and the lists show of a batch.
type Display struct {
	ctx       workflow.Context
	indexed   bool   // the server knows the search attributes
	state     string // the search attribute's
	due       int64
	described string

	live   bool // the number of those that failed is kept current
	failed int
}

// NewDisplay is what is shown of a batch that its reschedule made due at a time in
// Unix ms; 0 is none.
func NewDisplay(ctx workflow.Context, b *message.Batch, due int64) Display {
	d := Display{ctx: ctx, due: due, live: b.ShowFailed}
	// A batch that was started without the attributes runs on a server that may not
	// know them, and setting one there would stop it.
	d.state, d.indexed = workflow.GetTypedSearchAttributes(ctx).GetKeyword(attrState)
	return d
}

// Show shows how the batch stands where that has changed. details and counts are
// asked only then. While it runs the number of those that failed is shown each time that
// it has doubled, which takes few events.
func (d *Display) Show(p *Progress, rev int64, details func() string, counts func() message.Counts) {
	s := p.State()
	now := fmt.Sprintf("%s %d", s, rev)
	if now == d.described {
		return
	}
	d.described = now
	workflow.SetCurrentDetails(d.ctx, details())
	if !d.indexed {
		return
	}
	var attrs []temporal.SearchAttributeUpdate
	moved := string(s) != d.state || p.SendAt != d.due
	if moved {
		attrs = append(attrs, attrState.ValueSet(string(s)))
	}
	n := counts()
	failed := n[message.Failed] + n[message.Undelivered] + n[message.Unknown]
	if moved && s.Closed() || d.live && failed > 0 && failed >= 2*d.failed {
		attrs = append(attrs, attrFailed.ValueSet(int64(failed)))
		d.failed = failed
	}
	if len(attrs) == 0 {
		return
	}
	d.state, d.due = string(s), p.SendAt
	if moved && p.SendAt > 0 {
		attrs = append(attrs, attrDue.ValueSet(time.UnixMilli(p.SendAt).UTC()))
	}
	if err := workflow.UpsertTypedSearchAttributes(d.ctx, attrs...); err != nil {
		workflow.GetLogger(d.ctx).Warn("search attributes were not updated", "error", err)
	}
}

var (
	attrState  = temporal.NewSearchAttributeKeyKeyword(contract.AttrState)
	attrFailed = temporal.NewSearchAttributeKeyInt64(contract.AttrFailed)
	attrDue    = temporal.NewSearchAttributeKeyTime(contract.AttrDue)
)

// Details is a line that says how large the batch is, what is to be known beside,
// and a small table of its counts. What did not go well stands before all else, in red.
func (p *Progress) Details(size string, counts message.Counts, reasons message.Reasons, notes ...string) string {
	var b strings.Builder
	for _, s := range []message.State{message.Failed, message.Undelivered, message.Unknown, message.Expired, message.Rejected} {
		if counts[s] > 0 {
			fmt.Fprintf(&b, "🔴 **%s %s**: %s\n\n", s, message.Number(counts[s]), reasons.Of(counts).Text(s))
		}
	}
	fmt.Fprintf(&b, "**%s** · %s", p.State(), size)
	for _, note := range notes {
		if note != "" {
			fmt.Fprintf(&b, " · %s", note)
		}
	}
	b.WriteString("\n\n| state | messages |\n|---|---:|\n")
	for _, s := range message.States() {
		if counts[s] > 0 {
			fmt.Fprintf(&b, "| %s | %s |\n", s.Text(), message.Number(counts[s]))
		}
	}
	return b.String()
}
