package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"

	"volley/internal/message"
)

// DefaultCacheBytes is how much of what was read is kept when Options has no
// CacheBytes.
const DefaultCacheBytes = 64 << 20

// ErrNotFound means that an object is not in the store. Errors that wrap it name
// the object.
var ErrNotFound = errors.New("not in the store")

// Options are what Open may be told. The zero value works.
type Options struct {
	// Log is told of what goes on although something went wrong; nil is nobody.
	Log *zap.Logger
	// CacheBytes bounds what is kept of what was read, in bytes; 0 is
	// DefaultCacheBytes, and a negative number keeps nothing.
	CacheBytes int64
}

// Store is a bucket with large batches. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
}

// Folder is what lies under the folder of one start of a batch.
type Folder struct {
	Dir, Tenant, Batch string
	// Written is when the newest object was written.
	Written time.Time
	// Bytes and Objects add up everything in the folder.
	Bytes   int64
	Objects int
	// Complete means that there is a manifest, Ended that there is a result.
	Complete, Ended bool
}

var errEmpty = errors.New("the store is not ready")

// Open opens the bucket at a URL of gocloud.dev: file://, s3://, gs://, azblob://
// or, for tests, mem://. The directory of a file:// URL is created.
func Open(ctx context.Context, url string, o Options) (*Store, error) { return nil, errEmpty }

// Close lets go of the bucket. Calls that are under way may fail.
func (s *Store) Close() error { return nil }

// Create begins a batch in a folder of its own, Writer.Dir. ID, Tenant and
// CreatedAt of the header are set; it is kept, and its hops and policies may grow
// until Finish: those of a message's route are there when it is added.
func (s *Store) Create(ctx context.Context, header *message.Batch, o WriteOptions) (*Writer, error) {
	return nil, errEmpty
}

// Manifest reads the manifest of a batch. It is shared: callers change nothing in
// it. The error wraps ErrNotFound when there is none.
func (s *Store) Manifest(ctx context.Context, dir string) (*message.Manifest, error) {
	return nil, errEmpty
}

// Segment reads a segment with all its messages; number counts from 1. The error
// wraps ErrNotFound when the manifest or the segment is not there.
func (s *Store) Segment(ctx context.Context, dir string, number int) (*Segment, error) {
	return nil, errEmpty
}

// Lines reads what a workflow needs to know of the messages of a segment, without
// the messages.
func (s *Store) Lines(ctx context.Context, dir string, number int) (message.Lines, error) {
	return nil, errEmpty
}

// Locate finds messages by their indexes, in the order of indexes. The spot of an
// index that the batch does not have has Segment 0.
func (s *Store) Locate(ctx context.Context, dir string, indexes []int) ([]message.Spot, error) {
	return nil, errEmpty
}

// KeepLedger writes the ledger with a number, over the one that was there.
func (s *Store) KeepLedger(ctx context.Context, dir string, number int, l *message.Ledger) error {
	return errEmpty
}

// Ledger reads the ledger with a number. It is shared: callers change nothing in
// it. The error wraps ErrNotFound when there is none.
func (s *Store) Ledger(ctx context.Context, dir string, number int) (*message.Ledger, error) {
	return nil, errEmpty
}

// KeepResult writes the end of a batch, over the one that was there.
func (s *Store) KeepResult(ctx context.Context, dir string, r *message.Result) error {
	return errEmpty
}

// Result reads the end of a batch. The error wraps ErrNotFound when there is none.
func (s *Store) Result(ctx context.Context, dir string) (*message.Result, error) {
	return nil, errEmpty
}

// Find lists the folders of a batch that have a manifest, those with a result
// first, and the newest first among each. None is no error.
func (s *Store) Find(ctx context.Context, tenant, batch string) (dirs []string, err error) {
	return nil, errEmpty
}

// Delete removes a folder, the manifest first. A folder that is not there is no
// error.
func (s *Store) Delete(ctx context.Context, dir string) error { return errEmpty }

// Folders lists all folders, by tenant, day and batch. It ends after an error.
func (s *Store) Folders(ctx context.Context) iter.Seq2[Folder, error] {
	return func(yield func(Folder, error) bool) { yield(Folder{}, errEmpty) }
}
