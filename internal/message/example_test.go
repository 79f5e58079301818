package message_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"volley/internal/message"
)

// A message is filled in from its batch's template; a placeholder without a value is an
// error that names it.
func ExampleTemplate_Render() {
	template := message.Template{
		Body:      json.RawMessage(`{"text":"Hi ${name}, your code is ${code}.","sender":"Parcels"}`),
		Syntax:    message.SyntaxBraces,
		TextPaths: [][]string{{"text"}},
	}
	content, text, err := template.Render(&message.Message{Params: map[string]string{"name": "Ann", "code": "0815"}})
	fmt.Println(string(content))
	fmt.Println(text, err)

	_, _, err = template.Render(&message.Message{Params: map[string]string{"name": "Bob"}})
	var missing *message.ParameterError
	fmt.Println(errors.As(err, &missing), missing)
	// Output:
	// {"text":"Hi Ann, your code is 0815.","sender":"Parcels"}
	// Hi Ann, your code is 0815. <nil>
	// true text: no value for parameter "code"
}

// A Router fixes when a batch is accepted which accounts each message tries in turn. A
// message that no route matches is rejected, the others are not.
func ExampleRouter_Accept() {
	router := message.Router{
		Accounts: map[string]message.Policy{"sinch-eu": {Provider: "sinch"}, "bird-main": {Provider: "bird"}},
		Routes:   []message.Route{{Dialect: "sinch", Channel: "SMS", Hops: []string{"sinch-eu", "bird-main"}}},
	}
	batch := &message.Batch{Dialect: "sinch", Messages: []message.Message{
		{To: "+15550001111", Channels: []string{"SMS"}},
		{To: "12345", Channels: []string{"TELEGRAM"}},
	}}
	router.Accept(batch, func(i int) string { return fmt.Sprintf("recipient_and_params[%d].recipient", i) })

	for i := range batch.Messages {
		m := &batch.Messages[i]
		for n, hop := range batch.HopsOf(m) {
			fmt.Println(m.To, "hop", n, hop.Account, hop.Channels)
		}
		for _, p := range m.Problems {
			fmt.Println(m.To, p)
		}
	}
	// Output:
	// +15550001111 hop 0 sinch-eu [SMS]
	// +15550001111 hop 1 bird-main [SMS]
	// 12345 recipient_and_params[1].recipient: no account was named and no route matches dialect sinch, channel TELEGRAM (unroutable)
}

// A Selector chooses rows of a batch; all that it names has to hold. Recipients are
// compared in a form of the caller's, so that two spellings of a number are one.
func ExampleSelector_Matches() {
	batch := &message.Batch{
		Metadata: json.RawMessage(`{"campaign":"spring"}`), // of messages without their own
		Messages: []message.Message{
			{To: "+1 555 000 1111", Reference: "c-1"},
			{To: "+1 555 000 2222", Reference: "c-2", Metadata: json.RawMessage(`{"campaign":"summer"}`)},
		},
	}
	key := func(to string) string { return strings.ReplaceAll(to, " ", "") }
	for _, q := range []message.Selector{
		{To: "+15550001111"},
		{Meta: "campaign=summer"},
		{Meta: "campaign=spring", Account: "bird-main"},
		{Reference: "c-2", Meta: "campaign=spring"},
	} {
		chosen := []string{}
		for i := range batch.Messages {
			row := message.Row{Index: i, Account: "bird-main", State: message.Sent}
			if q.Matches(batch, &row, &batch.Messages[i], key) {
				chosen = append(chosen, batch.Messages[i].Reference)
			}
		}
		fmt.Println(chosen)
	}
	// Output:
	// [c-1]
	// [c-2]
	// [c-1]
	// []
}
