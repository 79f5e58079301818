// Command bench measures what Volley adds to the engine that it runs on, as
// ratios of one run on one machine: a bare workflow that schedules one activity
// per message, and SendBatch, both against the same embedded server, with pools
// of the same size, making the same HTTP request to the same loopback sink.
package main
