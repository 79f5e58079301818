package store

import (
	"context"
	"fmt"

	"volley/internal/message"
)

// recordSize is about how many bytes a record takes in memory.
const recordSize = 280

// KeepLedger writes the ledger with a number, over the one that was there.
//
// A ledger has the records of at most message.SegmentMessages messages. Its JSON
// leaves details and trails out above message.MaxLarge; what stays are numbers, codes,
// provider ids and reports that came early, all of them bounded, which takes less than
// 6 KB for each message at the very most. So a ledger may be larger than one payload
// of Temporal's, but never nearly as large as what is read at once.
//
// The error wraps ErrAway where a file:// store is away; so does that of KeepResult.
func (s *Store) KeepLedger(ctx context.Context, dir string, number int, l *message.Ledger) error {
	key, err := ledgerPath(dir, number)
	if err != nil {
		return err
	}
	return s.keepJSON(ctx, key, l)
}

// Ledger reads the ledger with a number. It is shared: callers change nothing in
// it. It is never an older one than was there when the call began. The error wraps
// ErrNotFound when there is none.
func (s *Store) Ledger(ctx context.Context, dir string, number int) (*message.Ledger, error) {
	key, err := ledgerPath(dir, number)
	if err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx)
	if err != nil {
		return nil, s.missing(ctx, named(key, err))
	}
	a, err := b.Attributes(ctx, key)
	if err != nil {
		return nil, s.missing(ctx, named(key, err))
	}
	if a.ETag == "" {
		return s.freshLedger(ctx, key)
	}
	return cached(ctx, s.cache, key+"#"+a.ETag, func(ctx context.Context) (*message.Ledger, int64, error) {
		return s.loadLedger(ctx, key)
	})
}

// freshLedger reads a ledger from the bucket, whatever the cache has.
func (s *Store) freshLedger(ctx context.Context, key string) (*message.Ledger, error) {
	l, _, err := s.loadLedger(ctx, key)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *Store) loadLedger(ctx context.Context, key string) (l *message.Ledger, size int64, err error) {
	l = new(message.Ledger)
	if size, err = s.readJSON(ctx, key, l); err != nil {
		return nil, 0, s.missing(ctx, err)
	}
	if l.V != message.Version {
		return nil, 0, fmt.Errorf("%s: the format has version %d, expected %d", key, l.V, message.Version)
	}
	return l, 2*size + recordSize*int64(len(l.Records)), nil
}

func ledgerPath(dir string, number int) (string, error) {
	if _, err := folderOf(dir); err != nil {
		return "", err
	}
	key := ledgerKey(dir, number)
	if number < 1 {
		return "", fmt.Errorf("%s: there is no ledger %d, they count from 1", dir, number)
	}
	return key, nil
}

// KeepResult writes the end of a batch, over the one that was there.
func (s *Store) KeepResult(ctx context.Context, dir string, r *message.Result) error {
	if _, err := folderOf(dir); err != nil {
		return err
	}
	key := dir + "/" + resultName
	return s.keepJSON(ctx, key, r)
}

// Result reads the end of a batch. The error wraps ErrNotFound when there is none.
func (s *Store) Result(ctx context.Context, dir string) (*message.Result, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	key := dir + "/" + resultName
	var r message.Result
	if _, err := s.readJSON(ctx, key, &r); err != nil {
		return nil, s.missing(ctx, err)
	}
	if r.V != message.Version {
		return nil, fmt.Errorf("%s: the format has version %d, expected %d", key, r.V, message.Version)
	}
	return &r, nil
}
