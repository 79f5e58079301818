package main

import (
	"encoding/json"
	"time"

	"volley/internal/message"
)

func running() message.Status {
	return message.Status{
		ID: "b1", Dialect: "volley", Tenant: "default", Account: "hook", State: message.BatchRunning, Dispatch: "message",
		CreatedAt: moment.Add(-10 * time.Minute), StartedAt: after(-100 * time.Second), NextDueAt: after(time.Minute), Total: 1000,
		Counts: &message.Counts{message.Scheduled: 300, message.Sending: 20, message.Retrying: 80, message.Sent: 500, message.Rejected: 100},
		Reasons: message.Reasons{
			{State: message.Rejected, Code: "format", Count: 97, Detail: "to: expected a phone number"},
			{State: message.Retrying, Code: "http_503", Count: 80, Detail: "try again"},
			{State: message.Rejected, Code: "other", Count: 3},
		},
		Remaining: message.Remaining{LastDueAt: after(2 * time.Minute), RetryUntil: after(26 * time.Hour), AwaitingReports: 4, AwaitUntil: after(time.Hour)},
		Metadata:  json.RawMessage(`{"campaign":"spring"}`), AsOf: moment, Rev: 900, Rate: 5, EstimatedEnd: after(140 * time.Second),
	}
}

func ended(counts message.Counts) message.Status {
	return message.Status{
		ID: "b1", Dialect: "volley", Tenant: "default", State: message.BatchCompleted, Dispatch: "message",
		CreatedAt: moment.Add(-10 * time.Minute), StartedAt: after(-100 * time.Second), FinishedAt: after(-time.Minute),
		Total: counts.Total(), Counts: &counts, Reasons: reasons(counts), Metadata: json.RawMessage(`{}`), AsOf: moment, Rev: 12,
	}
}

// reasons has one of each state that has any.
func reasons(counts message.Counts) (rs message.Reasons) {
	for _, s := range message.States() {
		rs.Count(s, map[message.State]string{message.Failed: "http_401", message.Expired: "expired"}[s], "key is wrong", counts[s])
	}
	return rs.Of(counts)
}

func someRows() []message.Row {
	reference := "c-1"
	return []message.Row{
		{
			Index: 0, ID: "id-0", Reference: &reference, To: "+15550001111", Channel: "SMS", Account: "hook", State: message.Sent,
			DueAt: after(-time.Hour), ExpiresAt: after(35 * time.Hour), SentAt: after(-time.Minute), FinishedAt: after(-time.Minute),
			ProviderID: "p-1", Attempts: 2, Rev: 7,
		},
		{
			Index: 1, ID: "id-1", To: "Zoë 语\x1b[31m", Account: "hook", State: message.Failed, DueAt: after(-time.Hour),
			ExpiresAt: after(35 * time.Hour), FinishedAt: after(-2 * time.Minute), Attempts: 1, Code: "http_400", Detail: `no such "user", sorry`, Rev: 5,
		},
		{Index: 2, ID: "id-2", To: "x", State: message.Scheduled, DueAt: after(3*time.Hour + 2*time.Minute), ExpiresAt: after(39 * time.Hour)},
	}
}
