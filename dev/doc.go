// Command dev runs all of Volley in one process, with nothing to install: a
// real Temporal server with its Web UI, a worker, the gateway, and a sandbox that
// answers like the providers.
//
//	go -C dev run . up      until Ctrl-C
//	go -C dev run . demo    sends examples/ and checks what became of each message
//
// The first line on stdout is a JSON object with the addresses.
package main
