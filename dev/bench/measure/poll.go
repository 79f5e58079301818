package measure

import (
	"context"
	"time"
)

// Poll asks the same question every interval until ctx ends or stop is called, and
// keeps how long each answer took. A question that takes longer than the interval
// delays the next one.
func Poll(ctx context.Context, every time.Duration, ask func(context.Context) error) (stop func() ([]time.Duration, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var took []time.Duration
	var fault error
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			began := time.Now()
			err := ask(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				fault = err
				return
			}
			took = append(took, time.Since(began))
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() ([]time.Duration, error) {
		cancel()
		<-done
		return took, fault
	}
}
