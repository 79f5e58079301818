package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/message"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status ID",
		Short:             "Show how a batch stands",
		Example:           "  volley status spring-sale -o json",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				st, err := b.Status(cmd.Context(), a.ref(args[0]))
				if err != nil {
					return err
				}
				if a.json() {
					return a.print(st)
				}
				a.showStatus(st)
				a.noteUnserved(cmd.Context(), b, st.SendingThrough)
				return nil
			})
		},
	}
}

func (a *app) showStatus(st message.Status) {
	now := a.now()
	t := &table{}
	line, at := t.facts(now)
	line("batch", st.ID)
	if st.Tenant != "default" {
		line("tenant", st.Tenant)
	}
	t.row(cell{"state", faint}, cell{string(st.State), batchColour(st)})
	if h := st.Held; h != nil {
		t.row(cell{"held", faint}, cell{"by " + heldBy(h) + ": " + h.Reason + ", since " + when(h.Since, now), red})
	}
	if st.Fault != "" {
		t.row(cell{"fault", faint}, cell{st.Fault, red})
	}
	line("dialect", st.Dialect)
	line("account", st.Account)
	if st.RedriveOf != nil {
		line("redrive of", *st.RedriveOf)
	}
	at("created", &st.CreatedAt)
	at("send after", st.SendAfter)
	at("started", st.StartedAt)
	if due := st.NextDueAt; due != nil && due.After(now) { // else it waits for something else than its time
		at("next due", due)
	}
	at("finished", st.FinishedAt)
	p := progressOf(st)
	if p.rate > 0 {
		line("rate", rate(p.rate))
	}
	if p.ends != nil {
		line("ends about", when(latest(*p.ends, now), now))
	}
	at("retries until", st.RetryUntil)
	if st.AwaitingReports > 0 {
		line("reports", plural(st.AwaitingReports, "message")+" await one, until "+when(*cmp.Or(st.AwaitUntil, &now), now))
	}
	if m := string(st.Metadata); m != "null" && m != "{}" {
		line("metadata", m)
	}
	a.table(t)
	a.showCounts(st)
}

// heldBy says who holds messages back.
func heldBy(h *message.HoldView) string {
	switch h.By {
	case message.HeldByAccount:
		return "its account itself"
	case message.HeldByGuard:
		return "its guard"
	case message.HeldByTenant:
		return "its tenant"
	}
	return "a person"
}

func (a *app) showCounts(st message.Status) {
	t := &table{right: map[int]bool{1: true}}
	if st.Counts != nil {
		for _, s := range message.States() {
			if n := st.Counts[s]; n > 0 {
				t.row(cell{s.Text(), stateColour(s)}, cell{number(n), 0}, cell{st.Reasons.Text(s), stateColour(s)})
			}
		}
	}
	t.texts("total", number(st.Total))
	a.printf("\n")
	a.table(t)
	if r := worst(st.Reasons); r.Detail != "" {
		a.printf("%s, for example: %s\n", r.Code, printable(r.Detail))
	}
}

// worst is the largest reason for which messages did not arrive; none has no code.
func worst(all message.Reasons) message.Reason {
	for _, r := range all {
		if r.State.Final() && r.Code != message.CodeExcluded && r.Code != message.CodeSuppressed && r.Code != message.CodeDuplicate {
			return r
		}
	}
	return message.Reason{}
}

// progress is what a status tells about the way to the end.
type progress struct {
	done int
	// rate is messages per second: now while the batch runs, from its start to its
	// end when it has ended; 0 is not known.
	rate float64
	// ends is when the batch will be done if it goes on like this.
	ends *time.Time
}

func progressOf(st message.Status) progress {
	var p progress
	if st.Counts == nil {
		return p
	}
	p.done = st.Total - st.Counts.Open()
	if !st.State.Closed() {
		p.rate = st.Rate
		p.ends = st.EstimatedEnd
		return p
	}
	if st.StartedAt == nil || st.FinishedAt == nil {
		return p
	}
	sent := st.Counts[message.Sent] + st.Counts[message.Delivered] + st.Counts[message.Undelivered]
	if elapsed := st.FinishedAt.Sub(*st.StartedAt).Seconds(); elapsed > 0 {
		p.rate = float64(sent) / elapsed
	}
	return p
}

func rate(perSecond float64) string {
	if perSecond < 1 {
		return fmt.Sprintf("%.1f/min", perSecond*60)
	}
	return fmt.Sprintf("%.1f/s", perSecond)
}
