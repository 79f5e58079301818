package main

import "volley/internal/message"

// example is a file of examples/ and how each of its messages must end.
type example struct {
	file, dialect string
	// channel and text stand for what a CSV file has no place for.
	channel, text string
	ends          []end
}

// end is the expected end of one message. An empty code is not looked at.
type end struct {
	state message.State
	code  string
	why   string
}

func examples() []example {
	plain := end{state: message.Sent, why: "accepted"}
	flaky := end{state: message.Sent, why: "accepted at the third attempt"}
	dropped := end{state: message.Sent, why: "no answer, then found at the provider"}
	refused := end{state: message.Failed, why: "refused for good"}
	return []example{
		{file: "bird.json", dialect: "bird", ends: []end{
			plain, flaky, {state: message.Rejected, code: message.CodeTooShort, why: "an empty text"}, dropped, refused,
		}},
		{file: "sinch.json", dialect: "sinch", ends: []end{
			plain, flaky,
			{state: message.Rejected, code: message.CodeParameter, why: "a parameter without a value"},
			dropped, plain, plain,
		}},
		{file: "imkit.json", dialect: "imkit", ends: []end{
			plain,
			{state: message.Sent, why: "throttled once"},
			plain,
			{state: message.Rejected, code: message.CodeRequired, why: "neither a receiver nor a room"},
			plain,
		}},
		{file: "bluesky.json", dialect: "bluesky", ends: []end{plain, plain, refused}},
		{file: "volley.json", dialect: "volley", ends: []end{
			{state: message.Sent, why: "scheduled 4 s ahead"},
			{state: message.Sent, why: "lost on the way, sent again"},
			{state: message.Expired, why: "its hour was in 2020"},
			dropped,
			{state: message.Expired, why: "always down, valid for 3 s"},
		}},
		{file: "volley.jsonl", dialect: "volley", ends: []end{
			plain, {state: message.Rejected, code: message.CodeParameter, why: "a parameter without a value"}, flaky, plain,
		}},
		{file: "volley.csv", dialect: "volley", channel: "SMS", text: "Thank you, ${name}!", ends: []end{
			plain, {state: message.Sent, why: "scheduled 2 s ahead"}, refused,
		}},
	}
}
