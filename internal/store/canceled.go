package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"gocloud.dev/blob"

	"volley/internal/message"
)

// The messages of a batch that were canceled by name are a set that only grows: the
// union of all objects under canceled/. An object is written once, whole, and deleted
// only when another one has all that was in it. The name of that one, which begins
// with a number that is higher than those of the others, is behind theirs in a list:
// so a list that passes over deleted ones comes to it.
const (
	canceledName = "canceled"
	// maxCanceled is how many objects there may be before a writer merges them.
	maxCanceled = 16
	// canceledTries is how often a list is read from which objects were merged meanwhile.
	canceledTries = 100
)

var canceledObject = regexp.MustCompile(`/` + canceledName + `/([0-9a-f]{8})-[0-9a-f]{16}$`)

// AddCanceled adds messages to those of a batch that were canceled by name. They are
// seen by every call of Canceled that begins after the return. After an error they may
// have been added; the call can be repeated. Calls may be made at the same time, by
// any number of processes. The error wraps ErrNotFound where the batch has no manifest.
func (s *Store) AddCanceled(ctx context.Context, dir string, names message.Cancellations) error {
	m, err := s.Manifest(ctx, dir)
	if err != nil || len(names) == 0 {
		return err
	}
	names = names.Union()
	for i := range names {
		if names[i].Index < 0 || names[i].Index >= m.Total {
			return fmt.Errorf("%s: there is no message %d, it has %d", dir, names[i].Index, m.Total)
		}
		names[i].Reason = message.Clip(names[i].Reason, message.MaxDetail)
	}
	keys, err := s.canceledKeys(ctx, dir)
	if err != nil {
		return err
	}
	number, merged := uint64(0), []string(nil)
	if len(keys) > maxCanceled {
		read := map[string]message.Cancellations{}
		if keys, err = s.readCanceled(ctx, dir, keys, read); err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		for _, key := range keys {
			if c, ok := read[key]; ok { // a damaged one stays where it is
				names, merged = names.Union(c), append(merged, key)
				number = max(number, canceledNumber(key)+1)
			}
		}
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	key := fmt.Sprintf("%s/%s/%08x-%s", dir, canceledName, number, hex.EncodeToString(random[:]))
	if err := s.writeJSON(ctx, key, names); err != nil {
		return err
	}
	// What is left of those that were merged is in nobody's way: the next one merges it.
	_ = allOf(ctx, len(merged), func(i int) error { return s.remove(ctx, merged[i]) })
	return nil
}

// Canceled reads which messages of a batch were canceled by name, in the order of
// their times, each once, with the earliest time and its reason. The error wraps
// ErrNotFound where the batch has no manifest, and so where the store is away. Where
// it wraps ErrDamaged the result has what the other objects say.
func (s *Store) Canceled(ctx context.Context, dir string) (message.Cancellations, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	var there bool
	var keys []string
	err := allOf(ctx, 2, func(i int) (err error) {
		if i == 0 {
			there, err = s.exists(ctx, dir+"/"+manifestName)
			return err
		}
		keys, err = s.canceledKeys(ctx, dir)
		return err
	})
	if err == nil && !there {
		err = s.missing(ctx, fmt.Errorf("%s/%s: %w", dir, manifestName, ErrNotFound))
	}
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	read := map[string]message.Cancellations{}
	if _, err = s.readCanceled(ctx, dir, keys, read); err != nil && !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	var all []message.Cancellations
	for _, c := range read {
		all = append(all, c)
	}
	return message.Cancellations(nil).Union(all...), err
}

// readCanceled reads objects side by side into read, by key. Where some were merged
// meanwhile it lists again, and returns the keys of the last list. What was read
// before stays in read, as it is in those that were merged, too. That an object is
// damaged is an error after all others were read.
func (s *Store) readCanceled(ctx context.Context, dir string, keys []string, read map[string]message.Cancellations) ([]string, error) {
	for try := 1; ; try++ {
		var gone, broken error
		err := inWaves(ctx, len(keys), func(i int) (message.Cancellations, error) {
			if c, ok := read[keys[i]]; ok {
				return c, nil
			}
			return s.canceled(ctx, keys[i])
		}, func(i int, c message.Cancellations, err error) error {
			switch {
			case err == nil:
				read[keys[i]] = c
			case errors.Is(err, ErrNotFound):
				gone = err
			case errors.Is(err, ErrDamaged):
				broken = err
			default:
				return err
			}
			return nil
		})
		switch {
		case err != nil:
			return keys, err
		case gone == nil:
			return keys, broken
		case try == canceledTries:
			return keys, gone
		}
		if keys, err = s.canceledKeys(ctx, dir); err != nil {
			return keys, err
		}
	}
}

// canceled reads one object, which never changes.
func (s *Store) canceled(ctx context.Context, key string) (message.Cancellations, error) {
	return cached(ctx, s.cache, key, func(ctx context.Context) (message.Cancellations, int64, error) {
		var c message.Cancellations
		size, err := s.readJSON(ctx, key, &c)
		return c, 2*size + cancellationSize*int64(len(c)), err
	})
}

// cancellationSize is about how many bytes a cancellation takes in memory.
const cancellationSize = 40

// canceledKeys lists the objects of the set.
func (s *Store) canceledKeys(ctx context.Context, dir string) (keys []string, err error) {
	err = s.list(ctx, dir+"/"+canceledName+"/", func(o *blob.ListObject) error {
		if canceledObject.MatchString(o.Key) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	return keys, err
}

// canceledNumber is the number in the name of an object.
func canceledNumber(key string) uint64 {
	n, _ := strconv.ParseUint(canceledObject.FindStringSubmatch(key)[1], 16, 64) // it matched
	return n
}
