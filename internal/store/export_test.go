package store

import (
	"go.uber.org/zap"
	"gocloud.dev/blob"

	"volley/internal/message"
)

// Encode writes a message as a segment has it.
func Encode(m *message.Message) ([]byte, error) {
	var e encoder
	return e.encode(m, m.Due, m.TTL)
}

// Runs is how many runs a writer has in its temporary file.
func Runs(w *Writer) int { return len(w.spill.runs) }

// On is a store on a bucket.
func On(bucket *blob.Bucket) *Store {
	return &Store{bucket: bucket, cache: newCache(DefaultCacheBytes), log: zap.NewNop()}
}

// Bucket is the bucket of a store.
func Bucket(s *Store) *blob.Bucket { return s.bucket }

// Limits of what is under way and of what is kept.
const (
	MaxCanceled = maxCanceled
)
