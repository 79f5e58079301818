package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
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
	scheme string
	// root is the directory of a file:// bucket, else empty.
	root  string
	cache *cache
	log   *zap.Logger
	// marked means that the marker was seen, or written.
	marked atomic.Bool
}

// Folder is what lies under the folder of one start of a batch.
type Folder struct {
	Dir, Tenant, Batch string
	// Written is when the newest object was written.
	Written time.Time
	// Bytes and Objects add up everything in the folder.
	Bytes   int64
	Objects int
	// Complete means that there is a manifest, Ended that there is a result, Reports
	// that there is nothing but late reports: those of a small batch.
	Complete, Ended, Reports bool

	made time.Time // when the manifest was written
}

// Open opens the bucket at a URL of gocloud.dev: file://, s3://, gs://, azblob://
// or, for tests, mem://. The directory of a file:// URL is created, for its owner
// alone.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the store's URL cannot be read, expected one like file:///var/lib/volley") // it may hold keys
	}
	s := &Store{scheme: u.Scheme, log: o.Log}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.cache = newCache(cmp.Or(o.CacheBytes, DefaultCacheBytes))
	if s.scheme == "file" {
		if u.Path == "" || u.Host != "" && u.Host != "." && u.Host != "localhost" {
			return nil, fmt.Errorf("open the store at %s: expected an absolute path behind file://, as in file:///var/lib/volley", u.Redacted())
		}
		u, s.root = fileURL(u)
	}
	if s.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, openError(address, u, err)
	}
	return s, nil
}

// openError says why the bucket at an address did not open. The drivers' errors
// repeat the URL that they were given, with what it was completed by and what it
// hides.
func openError(address string, given *url.URL, err error) error {
	shown := address
	if u, perr := url.Parse(address); perr == nil {
		shown = u.Redacted()
	}
	text := err.Error()
	for _, u := range []*url.URL{given, {Scheme: given.Scheme, Host: given.Host, Path: given.Path, RawQuery: given.RawQuery}} {
		text = strings.ReplaceAll(text, u.String(), shown)
	}
	if given.User != nil {
		text = strings.ReplaceAll(text, given.User.String()+"@", "")
	}
	return fmt.Errorf("open the store at %s: %s", shown, text)
}

// fileURL adds what files of ours need: they appear whole, which takes a temporary
// one in the same file system, and have no companions with attributes.
func fileURL(u *url.URL) (full *url.URL, root string) {
	copied := *u
	q := copied.Query()
	for name, value := range map[string]string{
		"create_dir": "true", "no_tmp_dir": "true", "metadata": "skip",
		"dir_file_mode": strconv.Itoa(0o700), // read as a decimal number
	} {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	copied.RawQuery = q.Encode()
	root = copied.Path
	if copied.Host == "." {
		root = strings.TrimPrefix(root, "/")
	}
	return &copied, filepath.FromSlash(root)
}

// Close lets go of the bucket. Calls that are under way may fail.
func (s *Store) Close() error { return s.bucket.Close() }

// Manifest reads the manifest of a batch. It is shared: callers change nothing in
// it. The error wraps ErrNotFound when there is none, and ErrAway with it where the
// store is away; so do those of Segment, Lines, Ledger and Result.
func (s *Store) Manifest(ctx context.Context, dir string) (*message.Manifest, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	key := dir + "/" + manifestName
	return cached(ctx, s.cache, key, func(ctx context.Context) (*message.Manifest, int64, error) {
		var m message.Manifest
		size, err := s.readJSON(ctx, key, &m)
		if err != nil {
			return nil, 0, s.missing(ctx, err)
		}
		return &m, 2 * size, checkManifest(key, &m)
	})
}

func checkManifest(key string, m *message.Manifest) error {
	if m.V != message.Version {
		return fmt.Errorf("%s: the format has version %d, expected %d", key, m.V, message.Version)
	}
	total, rejected := 0, 0
	for _, g := range m.Segments {
		if g.Count < 1 || g.Count > message.SegmentMessages || g.Rejected < 0 || g.Rejected > g.Count {
			return damaged(key, "a segment's counts make no sense")
		}
		total, rejected = total+g.Count, rejected+g.Rejected
	}
	if total != m.Total || rejected != m.Rejected || len(m.Segments) > message.MaxSegments {
		return damaged(key, "its counts do not add up")
	}
	return nil
}
