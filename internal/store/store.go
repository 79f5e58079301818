package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"

	"volley/internal/encryption"
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
	// Create makes the directory of a file:// store that is not there. Without it the
	// store opens all the same, and is away until somebody has made the directory.
	Create bool
	// Away is called for every call that finds the store away, and Log is told when that
	// begins and ends. It is called for every object that cannot be opened for want of its
	// key, too. Nil is nobody, and nothing is logged.
	Away func()
	// Full is called for every object that is not written as a disk is full, and Log is
	// told when that begins and ends. Nil is nobody, and nothing is logged.
	Full func()
	// Keyset seals every object that is written, and opens those that are sealed. Nil
	// writes in clear. Objects in clear can be read with and without one.
	Keyset *encryption.Keyset
	// Namespace is the Temporal namespace of the batches: what is sealed for one cannot be
	// opened in another.
	Namespace string
}

// Store is a bucket with large batches. It is safe for concurrent use.
type Store struct {
	// opened is nil as long as the directory of a file:// store is not there; opening
	// keeps two from opening it.
	opened  atomic.Pointer[blob.Bucket]
	opening sync.Mutex
	address string
	url     *url.URL
	scheme  string
	// root is the directory of a file:// bucket, else empty.
	root  string
	cache *cache
	log   *zap.Logger
	// keyset seals and opens; nil is off. namespace is Options.Namespace.
	keyset    *encryption.Keyset
	namespace string
	// noKeys are the keys of which the log knows that they are missed.
	noKeys sync.Map
	// onAway is Options.Away. away means that the last read found the store away.
	onAway func()
	away   atomic.Bool
	// onFull and full are the same of a disk without room, by the last write.
	onFull func()
	full   atomic.Bool
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
// or, for tests, mem://. A file:// store whose directory is not there is away until
// Mark or a first Create makes it, for its owner alone.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the store's URL cannot be read, expected one like file:///var/lib/volley") // it may hold keys
	}
	s := &Store{address: address, scheme: u.Scheme, log: o.Log, onAway: o.Away, onFull: o.Full, keyset: o.Keyset, namespace: o.Namespace}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.cache = newCache(cmp.Or(o.CacheBytes, DefaultCacheBytes))
	if s.scheme == "file" {
		if u.Path == "" || u.Host != "" && u.Host != "." && u.Host != "localhost" {
			return nil, fmt.Errorf("open the store at %s: expected an absolute path behind file://, as in file:///var/lib/volley", shown(address))
		}
		u, s.root = fileURL(u)
	}
	s.url = u
	if _, err := s.open(ctx, o.Create); err != nil && !errors.Is(err, ErrAway) {
		return nil, err
	}
	return s, nil
}

// bucket is the bucket. The error wraps ErrNotFound and ErrAway as long as there is no
// directory of a file:// store.
func (s *Store) bucket(ctx context.Context) (*blob.Bucket, error) { return s.open(ctx, false) }

// open opens the bucket, once. With create it makes the directory of a file:// store.
func (s *Store) open(ctx context.Context, create bool) (*blob.Bucket, error) {
	if b := s.opened.Load(); b != nil {
		return b, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if b := s.opened.Load(); b != nil {
		return b, nil
	}
	u := *s.url
	q := u.Query()
	switch {
	case s.scheme != "file":
	case create:
		q.Set("create_dir", "true")
		u.RawQuery = q.Encode()
	case !q.Has("create_dir"):
		if _, err := os.Stat(s.root); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w, there is no directory %s: %w", ErrNotFound, s.root, ErrAway)
		}
	}
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, openError(s.address, &u, err)
	}
	s.opened.Store(b)
	return b, nil
}

// shown is an address without what may be secret: a login, and the values of its query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "its address"
	}
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	text := plain.String()
	for i, name := range slices.Sorted(maps.Keys(u.Query())) {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		text += sep + name + "=…"
	}
	return text
}

// openError says why the bucket at an address did not open. The drivers' errors
// repeat the URL that they were given, with what it was completed by and what it
// hides, and values of its query.
func openError(address string, given *url.URL, err error) error {
	shown := shown(address)
	text := err.Error()
	for _, u := range []*url.URL{given, {Scheme: given.Scheme, Host: given.Host, Path: given.Path, RawQuery: given.RawQuery}} {
		text = strings.ReplaceAll(text, u.String(), shown)
	}
	if given.User != nil {
		text = strings.ReplaceAll(text, given.User.String()+"@", "")
		text = strings.ReplaceAll(text, given.User.Username()+":xxxxx@", "")
	}
	own, perr := url.Parse(address)
	if perr != nil {
		own = &url.URL{}
	}
	for _, values := range own.Query() {
		for _, v := range values {
			if _, notTruth := strconv.ParseBool(v); notTruth == nil || len(v) < minSecret {
				continue
			}
			text = strings.ReplaceAll(strings.ReplaceAll(text, v, "…"), url.QueryEscape(v), "…")
		}
	}
	return fmt.Errorf("open the store at %s: %s", shown, text)
}

// minSecret is how many bytes a value has at least that is taken out of errors: a shorter
// one is no secret, and is a part of words.
const minSecret = 3

// fileURL adds what files of ours need: they appear whole, which takes a temporary
// one in the same file system, and have no companions with attributes.
func fileURL(u *url.URL) (full *url.URL, root string) {
	copied := *u
	q := copied.Query()
	for name, value := range map[string]string{
		"no_tmp_dir": "true", "metadata": "skip",
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
func (s *Store) Close() error {
	if b := s.opened.Load(); b != nil {
		return b.Close()
	}
	return nil
}

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
