// Package sandbox is one HTTP server that answers like Bird, Sinch, IMKIT, the
// Bluesky chat service and a webhook, so that real senders talk to it over real
// HTTP.
//
// It decides what each provider would answer, keeps what it accepted, and shows
// it as JSON at /messages and on a page at /. The recipient steers it (see
// Behaviour), so an example file alone can ask for a failure. It counts every
// acceptance: a message that was sent twice is there twice.
//
// It is for development, tests and benchmarks. It imports only the standard
// library, and nothing of the senders that it is there to check.
package sandbox
