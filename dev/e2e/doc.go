// Package e2e holds the end-to-end tests: the embedded Temporal server, Volley's
// worker and starter, and the sandbox over real HTTP. Fault tests run the built
// volley binary and kill it.
//
// VOLLEY_MODE=segments runs every batch of more than one message as a large one, in
// message dispatch, and VOLLEY_MODE=group every batch in group dispatch.
//
// VOLLEY_DB=postgres keeps the server's state in a PostgreSQL server that the tests start,
// and skips them all where none is installed. VOLLEY_STORE=s3 has the store in buckets of
// an S3 server in this process. VOLLEY_FLEET=2 runs a second worker, in a process of its
// own, and a second gateway, to which clients turn by turns.
//
// VOLLEY_STICKY_CACHE=-1 runs the worker without a cache, so that every workflow
// task replays its history.
package e2e
