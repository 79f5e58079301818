package health

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/announce"
)

const (
	// every is how often figures are published that have changed, and idleEvery those that
	// have not.
	every     = 15 * time.Second
	idleEvery = 30 * time.Second
	// publishWait bounds it, for each text beside textWait, and leaveWait what a process
	// publishes that ends.
	publishWait = 10 * time.Second
	textWait    = 500 * time.Millisecond
	leaveWait   = 3 * time.Second
	// sideBySide is how many texts are published at once.
	sideBySide = 8
)

// Publisher publishes the figures of a process.
type Publisher struct {
	// Recorder has the figures.
	Recorder *Recorder
	// Server is Temporal; TaskQueue is that of the workflows.
	Server    announce.Server
	Namespace string
	TaskQueue string
	// Process names the process, and no other one.
	Process string
	// Every is how often figures are published; 0 is 15 s.
	Every time.Duration
	// Log is told at debug what could not be published; nil is nobody.
	Log *zap.Logger
}

// queueOf is the queue that processes poll to publish, and on which there is never a task.
func queueOf(taskQueue string) string { return taskQueue + "-health" }

// Start has Run run beside its caller until the returned function is called, which waits for
// its end.
func (p *Publisher) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// Run publishes until ctx ends, and then that the process has ended.
func (p *Publisher) Run(ctx context.Context) {
	tick := cmp.Or(p.Every, every)
	var texts []string
	var last string
	var at time.Time
	for ctx.Err() == nil {
		accounts := p.Recorder.accountTexts()
		if now := encoded(accounts); now != last || texts == nil {
			texts, last, at = textsOf(p.Process, time.Now().UnixMilli(), accounts), now, time.Time{}
		}
		if time.Since(at) >= idleEvery && p.publish(ctx, publishWait+time.Duration(len(texts))*textWait, texts...) {
			at = time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(tick):
		}
	}
	if texts != nil {
		end := encoded(text{Process: short(p.Process), At: time.Now().UnixMilli(), Of: 1, Ended: true})
		p.publish(context.WithoutCancel(ctx), leaveWait, end) // else it is forgotten in time
	}
}

// publish reports whether all texts are published.
func (p *Publisher) publish(ctx context.Context, wait time.Duration, texts ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for _, t := range texts {
		group.Go(func() error { return announce.Publish(gctx, p.Server, p.Namespace, queueOf(p.TaskQueue), t) })
	}
	err := group.Wait()
	if err != nil && p.Log != nil {
		p.Log.Debug("how the accounts stand could not be published", zap.Error(err))
	}
	return err == nil
}
