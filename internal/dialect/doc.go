// Package dialect reads batch requests in the formats that callers already use
// and turns them into a message.Batch.
//
// It decides what each format accepts, finds every problem of a request at once
// with the caller's own path, and fixes the times of the messages by the rules
// of the provider whose format it is. It keeps every field of a message, those
// that it does not read included. Encoders show what became of a batch in the words of
// its format. It sends nothing and knows no accounts.
package dialect
