package main

import (
	"context"
	"time"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// shape is one way to send a batch.
type shape struct {
	name string
	// role is that of the process which does the work.
	role string
	// messages is how many one batch has with a sink that answers at once, and with a
	// slow one.
	messages, slow int
	// send sends n messages to their end.
	send func(ctx context.Context, b *environment, n int) (delivery, error)
}

// delivery is a batch that went through.
type delivery struct {
	// workflow is the id of the batch's workflow.
	workflow string
	// start is how long the start itself took, total the time from its beginning to
	// the last outcome.
	start, total time.Duration
	// status is how long status queries took meanwhile.
	status []time.Duration
}

// shapes are all that are compared, in the order in which they are shown. The loop
// is measured beside each of them. "message" is a batch that runs without the store,
// "summaries" the same with the lines that the Web UI shows, "large" one in segments.
// "asynq" is a job queue on Redis, a task for each message.
func shapes() []shape {
	return []shape{
		{name: "bare", role: roles.Bare, messages: 2000, slow: 1000, send: sendBare},
		{name: "child", role: roles.Bare, messages: 200, slow: 200, send: sendChildren},
		{name: roles.Asynq, role: roles.Asynq, messages: 20_000, slow: 2000, send: sendAsynq},
		{name: "message", role: roles.Volley, messages: 1000, slow: 1000, send: batch{dispatch: "message"}.send},
		{name: "summaries", role: roles.Volley, messages: 1000, slow: 1000, send: batch{dispatch: "message", summaries: true}.send},
		{name: "large", role: roles.Volley, messages: 2000, slow: 1200, send: batch{dispatch: "message"}.send},
		{name: "group", role: roles.Volley, messages: 100_000, slow: 20_000, send: batch{dispatch: "group"}.send},
	}
}

// The loop's numbers of messages.
const (
	loopMessages = 20_000
	loopSlow     = 2_000
)

func shapeNames() []string {
	var names []string
	for _, s := range shapes() {
		names = append(names, s.name)
	}
	return names
}

// usualShapes are those that are measured where none are named.
const usualShapes = "bare,child,asynq,message,large,group"

// statusEvery is how often a batch is asked where it stands.
const statusEvery = 500 * time.Millisecond

// asked runs wait while ask is put every statusEvery.
func asked(ctx context.Context, ask, wait func(context.Context) error) ([]time.Duration, error) {
	stop := measure.Poll(ctx, statusEvery, ask)
	err := wait(ctx)
	took, fault := stop()
	if err == nil {
		err = fault
	}
	return took, err
}
