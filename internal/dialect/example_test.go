package dialect_test

import (
	"fmt"
	"time"

	"volley/internal/dialect"
)

// A request in Sinch's format becomes a batch: what its messages share, and each message
// with what differs for it.
func ExampleDialect() {
	sinch, err := dialect.Named("sinch")
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, problems := sinch.Decode([]byte(`{
	  "app_id": "01EB37HMH1M6SV18ASNS3G135H",
	  "message": {"text_message": {"text": "Hi ${name}"}},
	  "channel_priority_order": ["WHATSAPP", "SMS"],
	  "ttl": "3600s",
	  "recipient_and_params": [
	    {"recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": "+15550001111"}]}},
	     "parameters": {"name": "Ann"}}
	  ]}`), dialect.Options{Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)})

	fmt.Println(len(problems), "problems")
	for i := range batch.Messages {
		m := &batch.Messages[i]
		due := time.UnixMilli(batch.DueAt(m)).UTC()
		valid := time.Duration(batch.Validity(m)) * time.Millisecond
		fmt.Println(m.To, m.Channels, m.Params["name"], due.Format(time.TimeOnly), valid)
	}
	// Output:
	// 0 problems
	// +15550001111 [WHATSAPP SMS] Ann 12:00:00 1h0m0s
}

// All that is wrong is found at once, at the caller's own paths. What is wrong with one
// message stands in that message, and the others may go.
func ExampleDialect_problems() {
	volley, err := dialect.Named("volley")
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, whole := volley.Decode([]byte(`{"text": "Hi ${name}", "messages": [
	  {"to": "+15550001111", "params": {"name": "Ann"}},
	  {"to": "", "params": {"name": "Bob"}},
	  {"to": "+15550003333", "ttl": "soon"}
	]}`), dialect.Options{Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)})

	fmt.Println(len(whole), "problems of the whole")
	for i, m := range batch.Messages {
		if len(m.Problems) == 0 {
			fmt.Println(i, "may go to", m.To)
		}
		for _, p := range m.Problems {
			fmt.Println(i, p)
		}
	}
	// Output:
	// 0 problems of the whole
	// 0 may go to +15550001111
	// 1 messages[1].to: a message needs a recipient (required)
	// 2 messages[2].ttl: "soon" is no duration, as 90s, 30m or 3d (format)
	// 2 messages[2].params.name: the text has ${name}, for which the message gives no value (parameter)
}
