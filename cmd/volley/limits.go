package main

import (
	"errors"

	"volley/internal/message"
	"volley/starter"
)

// refusedLater shows what the starter refuses of a request that has no problem of
// its own.
func (a *app) refusedLater(f startFlags, total int, err error) error {
	var refused *starter.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	if !a.json() {
		a.showProblems(refused.Problems, f.limit)
		return err
	}
	doc := startDocument{
		Started:  starter.Started{ID: f.id, Total: total, Rejected: total, Problems: clipped(refused.Problems, f.limit)},
		Warnings: message.Problems{},
	}
	return errors.Join(err, a.print(doc))
}

// startRefuses is what start would refuse of a batch that has no problem of its own,
// because of its size.
func startRefuses(b *message.Batch, e *message.Estimate) message.Problems {
	if e == nil || e.Segments == 0 {
		return nil
	}
	return starter.CheckLarge(b)
}
