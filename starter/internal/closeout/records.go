package closeout

import (
	"slices"

	"volley/internal/message"
	"volley/workflows/contract"
)

// Run is what is known of a closed run.
type Run struct {
	// Batch has the hops, the policies and for each record a message with its route.
	Batch *message.Batch
	// Records are as the run itself knows them; they are not changed.
	Records []message.Record
	// InFlight are the activities that the run believes to be under way.
	InFlight []contract.InFlight
	// Pending are those that the server had when the run ended, by their ids.
	Pending map[string]Pending
	// Ended is when the run ended, in Unix ms.
	Ended int64
	// Rev is the run's last change. The next one is LeastRev at least.
	Rev, LeastRev int64
	// Rest is what becomes of messages that never left, and Canceled has those of them, by
	// position, that were canceled by name.
	Rest     message.UnrunOutcome
	Canceled map[int]*message.Cancellation
}

// Pending is an activity as the server has it.
type Pending struct {
	// Started means that a worker had taken it.
	Started bool
	// Progress is what is known of its messages then.
	Progress contract.GroupProgress
}

// lost is what becomes of messages of which nobody knows whether they left.
var lost = message.UnrunOutcome{Code: "lost", Detail: "its workflow was ended before it was known whether its provider took it"}

// Close ends every message, and returns the records, their counts and the last rev.
func (r Run) Close() ([]message.Record, message.Counts, int64) {
	batch := *r.Batch
	batch.AwaitReports = 0 // nobody is left who waits for them
	records, messages := slices.Clone(r.Records), make([]message.Transition, len(r.Records))
	for i := range records {
		records[i].Trail = slices.Clone(records[i].Trail)
		messages[i] = message.Transition{Record: &records[i], Batch: &batch, Hops: batch.HopsOf(&batch.Messages[i]), Now: r.Ended}
	}
	for _, f := range r.InFlight {
		r.apply(f, messages)
	}
	var counts message.Counts
	for i := range records {
		if !r.Records[i].State.Final() {
			messages[i].Close(r.Rest, lost, r.Canceled[i])
			r.Rev = max(r.Rev+1, r.LeastRev)
			records[i].Rev = r.Rev
		}
		counts[records[i].State]++
	}
	return records, counts, r.Rev
}

// apply takes in what is known of an activity that was under way. A question tells
// nothing: its message stays in doubt.
func (r Run) apply(f contract.InFlight, messages []message.Transition) {
	p := r.Pending[f.ID]
	for k, i := range f.Positions() {
		if f.Question || i < 0 || i >= len(messages) || messages[i].State != message.Sending {
			continue
		}
		switch o := p.Progress.Outcome(k); {
		case !p.Started:
			messages[i].Withdraw(0)
		case o.Kind == "":
			messages[i].Ambiguous(lost.Code, lost.Detail)
		default:
			messages[i].Answered(o)
		}
	}
}
