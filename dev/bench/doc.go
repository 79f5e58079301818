// Command bench measures what Volley adds to the engine that it runs on, as ratios
// of one run on one machine: a bare Go loop, a bare workflow with one activity per
// message, one child workflow per message, and Volley in both ways of dispatch, all
// against the same embedded server, with as many requests at once, making the same
// HTTP request to the same loopback sink. Workers run in processes of their own,
// a fresh one for each batch; so does the loop.
//
// Its subcommands measure what a single number cannot say: scale, pacing, fair, due
// and stragglers; and gateway, what a submit over HTTP costs beside a bare start of the
// same workflow, and what those cost who look on. Package measure has the arithmetic.
package main
