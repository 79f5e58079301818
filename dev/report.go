package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"volley/internal/message"
)

// report prints the batches and every message, and returns a line for each
// message that did not end as expected.
func report(out io.Writer, batches []*demoBatch) (wrong []string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFILE\tBATCH\tDIALECT\tSTATE\tTOTAL\tSENT\tREJECTED\tEXPIRED\tFAILED\tOTHER\tSECONDS")
	for _, b := range batches {
		var c message.Counts
		if b.status.Counts != nil {
			c = *b.status.Counts
		}
		sent, rejected, expired, failed := c[message.Sent], c[message.Rejected], c[message.Expired], c[message.Failed]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\n", b.example.file, b.ref.ID, b.example.dialect, b.status.State,
			b.status.Total, sent, rejected, expired, failed, c.Total()-sent-rejected-expired-failed, b.took.Seconds())
		wrong = append(wrong, b.check(c)...)
	}
	fmt.Fprintln(w, "\nFILE\tMESSAGE\tTO\tENDED\tATTEMPTS\tCODE\tEXPECTED\tBECAUSE")
	for _, b := range batches {
		for i, row := range b.rows {
			want := b.expected(i)
			bad := want.differs(row)
			if bad != "" {
				wrong = append(wrong, fmt.Sprintf("%s, message %d to %s: %s", b.example.file, i, row.To, bad))
			}
			mark := "as expected"
			if bad != "" {
				mark = "NOT " + want.state.String()
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n",
				b.example.file, i, row.To, row.State, row.Attempts, row.Code, mark, want.why)
		}
	}
	if err := w.Flush(); err != nil {
		wrong = append(wrong, "print the tables: "+err.Error())
	}
	return wrong
}

// check compares what holds for the batch as a whole.
func (b *demoBatch) check(c message.Counts) (wrong []string) {
	if n := len(b.example.ends); len(b.rows) != n || b.status.Total != n || c.Total() != n {
		wrong = append(wrong, fmt.Sprintf("%s: %d messages expected; the results have %d, the total is %d, the counts add up to %d",
			b.example.file, n, len(b.rows), b.status.Total, c.Total()))
	}
	if b.status.State != message.BatchCompleted {
		wrong = append(wrong, fmt.Sprintf("%s: the batch is %s, expected completed", b.example.file, b.status.State))
	}
	return wrong
}

// expected is how the message at i must end; beyond the table nothing is right.
func (b *demoBatch) expected(i int) end {
	if i < len(b.example.ends) {
		return b.example.ends[i]
	}
	return end{why: "not in the table"}
}

// differs says how a message's end is not the expected one, or nothing.
func (e end) differs(row message.Row) string {
	switch {
	case row.State != e.state:
		return fmt.Sprintf("%s (%s %s), expected %s, because: %s", row.State, row.Code, row.Detail, e.state, e.why)
	case e.code != "" && row.Code != e.code:
		return fmt.Sprintf("%s with code %q, expected code %q", row.State, row.Code, e.code)
	}
	return ""
}
