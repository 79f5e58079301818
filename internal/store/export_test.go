package store

import (
	"go.uber.org/zap"
	"gocloud.dev/blob"

	"volley/internal/message"
)

// Encode writes a message as a segment has it, and tells whether it mended it.
func Encode(m *message.Message) (data []byte, mended bool, err error) {
	var e encoder
	data, err = e.encode(m, m.Due, m.TTL)
	return data, e.mended, err
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
