package worker

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/holdbook"
	"volley/workflows/contract"
)

const (
	// changeTries is how often a change is tried to be written, changeEvery how long after
	// one that failed.
	changeTries = 10
	changeEvery = time.Second
	// sayEvery is how long after it was said that what is held cannot be read it is said
	// again.
	sayEvery = 15 * time.Second
)

// holdTarget is what is told what is held, and says what it holds itself;
// *activities.Activities is one.
type holdTarget interface {
	SetHolds(contract.Holds)
	HoldChanges() <-chan contract.HoldChange
}

// holds keeps this worker to what is held, and writes down what it holds itself.
type holds struct {
	book    *holdbook.Book
	target  holdTarget
	metrics client.MetricsHandler
	log     *zap.Logger
	last    contract.Holds
}

// follow tells the target what is held until ctx ends. It closes known once that is known
// for the first time.
func (h *holds) follow(ctx context.Context, known chan<- struct{}) {
	first := sync.OnceFunc(func() { close(known) })
	var said time.Time
	h.book.Follow(ctx, func(now contract.Holds) {
		h.target.SetHolds(now)
		h.tell(now)
		first()
	}, func(err error) {
		if time.Since(said) < sayEvery {
			return
		}
		said = time.Now()
		h.log.Warn("what is held could not be read; what was read last stays", zap.Error(err))
	})
}

// tell logs and counts what has changed.
func (h *holds) tell(now contract.Holds) {
	now = now.Current(time.Now().UnixMilli())
	for i := range now {
		if x := &now[i]; !h.last.Has(x.Key()) {
			// A person or a provider wrote the reason, which may name anybody.
			h.log.Warn("messages are held; `volley accounts` and the status of their batches say why", zap.Stringer("held", x.Selector), zap.String("by", x.By))
		}
	}
	for i := range h.last {
		if x := &h.last[i]; !now.Has(x.Key()) {
			h.log.Info("messages are released", zap.Stringer("held", x.Selector), zap.String("by", x.By))
		}
	}
	if h.metrics != nil {
		h.metrics.Gauge("volley_holds").Update(float64(len(now)))
		h.measure(now)
	}
	h.last = now
}

// measure says which accounts are held, and since when in seconds of Unix time. Both are 0
// for those that are not any more.
func (h *holds) measure(now contract.Holds) {
	since := map[string]int64{}
	for i := range h.last {
		if h.last[i].Told().Account {
			since[h.last[i].Account] = 0
		}
	}
	for i := range now {
		if x := &now[i]; x.Told().Account && (since[x.Account] == 0 || x.Since < since[x.Account]) {
			since[x.Account] = x.Since
		}
	}
	for account, at := range since {
		of := h.metrics.WithTags(map[string]string{"account": account})
		of.Gauge("volley_account_held").Update(min(float64(at), 1))
		of.Gauge("volley_account_held_since_timestamp_seconds").Update(float64(at) / 1000)
	}
}

// write writes down what the target holds and releases, until ctx ends.
func (h *holds) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-h.target.HoldChanges():
			h.writeOne(ctx, c)
		}
	}
}

func (h *holds) writeOne(ctx context.Context, c contract.HoldChange) {
	for range changeTries {
		err := h.book.Change(ctx, c)
		if err == nil {
			return
		}
		h.log.Warn("a change of what is held could not be written", zap.Error(err))
		if !pause(ctx, changeEvery) {
			return
		}
	}
}
