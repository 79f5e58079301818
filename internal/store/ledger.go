package store

import (
	"context"
	"fmt"

	"volley/internal/message"
)

// recordSize is about how many bytes a record takes in memory.
const recordSize = 280

// KeepLedger writes the ledger with a number, over the one that was there.
func (s *Store) KeepLedger(ctx context.Context, dir string, number int, l *message.Ledger) error {
	key, err := ledgerPath(dir, number)
	if err != nil {
		return err
	}
	return s.writeJSON(ctx, key, l)
}

// Ledger reads the ledger with a number. It is shared: callers change nothing in
// it. It is never an older one than was there when the call began. The error wraps
// ErrNotFound when there is none.
func (s *Store) Ledger(ctx context.Context, dir string, number int) (*message.Ledger, error) {
	key, err := ledgerPath(dir, number)
	if err != nil {
		return nil, err
	}
	a, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return nil, named(key, err)
	}
	load := func(ctx context.Context) (*message.Ledger, int64, error) {
		var l message.Ledger
		size, err := s.readJSON(ctx, key, &l)
		if err == nil && l.V != message.Version {
			err = fmt.Errorf("%s: the format has version %d, expected %d", key, l.V, message.Version)
		}
		return &l, 2*size + recordSize*int64(len(l.Records)), err
	}
	if a.ETag == "" {
		l, _, err := load(ctx)
		return l, err
	}
	return cached(ctx, s.cache, key+"#"+a.ETag, load)
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
	return s.writeJSON(ctx, dir+"/"+resultName, r)
}

// Result reads the end of a batch. The error wraps ErrNotFound when there is none.
func (s *Store) Result(ctx context.Context, dir string) (*message.Result, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	key := dir + "/" + resultName
	var r message.Result
	if _, err := s.readJSON(ctx, key, &r); err != nil {
		return nil, err
	}
	if r.V != message.Version {
		return nil, fmt.Errorf("%s: the format has version %d, expected %d", key, r.V, message.Version)
	}
	return &r, nil
}
