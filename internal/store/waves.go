package store

import (
	"context"
	"sync"
)

// reads is how many requests of one call are under way to the bucket at once, where
// none waits for another's answer.
const reads = 64

// inWaves reads n things, up to reads of them at once, and hands them over in their
// order, with the error that reading each ended in. It ends at the first error that
// take returns, and with ctx. Memory holds one wave at a time.
func inWaves[T any](ctx context.Context, n int, read func(i int) (T, error), take func(i int, v T, err error) error) error {
	for from := 0; from < n; from += reads {
		size := min(reads, n-from)
		got, errs := make([]T, size), make([]error, size)
		var wave sync.WaitGroup
		for i := range size {
			wave.Go(func() { got[i], errs[i] = read(from + i) })
		}
		wave.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range size {
			if err := take(from+i, got[i], errs[i]); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// allOf calls f for 0 to n-1, up to reads at once, and returns the first error in
// that order. All calls that began have ended then.
func allOf(ctx context.Context, n int, f func(i int) error) error {
	return inWaves(ctx, n, func(i int) (struct{}, error) { return struct{}{}, f(i) },
		func(_ int, _ struct{}, err error) error { return err })
}
