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

// Spilled is what stands in a writer's temporary file.
func Spilled(w *Writer) ([]byte, error) {
	info, err := w.spill.file.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	_, err = w.spill.file.ReadAt(data, 0)
	return data, err
}

// On is a store on a bucket.
func On(bucket *blob.Bucket) *Store {
	s := &Store{cache: newCache(DefaultCacheBytes), log: zap.NewNop()}
	s.opened.Store(bucket)
	return s
}

// Bucket is the bucket of a store.
func Bucket(s *Store) *blob.Bucket { return s.opened.Load() }

// Limits of what is under way and of what is kept.
const (
	MaxCanceled = maxCanceled
)
