package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// maxObject bounds what is read into memory at once. Nothing that is written comes
// near.
const maxObject = 128 << 20

// named wraps an error with the object that it is about.
func named(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrAway):
		return fmt.Errorf("%s: %w", key, err)
	case gcerrors.Code(err) == gcerrors.NotFound:
		return fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	// The bucket's own wrapper names the key once more, and a code that says nothing.
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "blob (key ") {
		err = inner
	}
	return fmt.Errorf("%s: %w", key, err)
}

// ErrDamaged means that an object is not as it was written. Errors that wrap it name
// the object and what is wrong with it.
var ErrDamaged = errors.New("the object is damaged")

func damaged(key, how string) error { return fmt.Errorf("%s: %w: %s", key, ErrDamaged, how) }

// Lost reports whether an error of reading means that the object will not come back
// by itself: it is damaged, or not there although the store is.
func Lost(err error) bool {
	return errors.Is(err, ErrDamaged) || Missing(err)
}

// Missing reports whether an error of reading means that the object is not there although
// the store is.
func Missing(err error) bool { return errors.Is(err, ErrNotFound) && !errors.Is(err, ErrAway) }

// read reads a part of an object, and tells how large it is. A length below 0 is
// all of it; a part that reaches beyond the end is cut there.
func (s *Store) read(ctx context.Context, key string, from, length int64) (data []byte, size int64, err error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return nil, 0, named(key, err)
	}
	r, err := b.NewRangeReader(ctx, key, from, length, nil)
	if err != nil {
		return nil, 0, named(key, err)
	}
	defer func() { _ = r.Close() }() // what was read is checked
	n := r.Size() - from
	if length >= 0 {
		n = min(n, length)
	}
	if n < 0 || n > maxObject {
		return nil, 0, damaged(key, fmt.Sprintf("%d bytes", r.Size()))
	}
	data = make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, 0, named(key, err)
	}
	s.noteAway(false)
	return data, r.Size(), nil
}

func (s *Store) readJSON(ctx context.Context, key string, v any) (size int64, err error) {
	data, err := s.readObject(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return 0, damaged(key, err.Error())
	}
	return int64(len(data)), nil
}

func (s *Store) writeJSON(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return named(key, err)
	}
	if data, err = s.seal(key, data); err != nil {
		return err
	}
	return s.write(ctx, key, data, true)
}

// minPart is the smallest part that S3 takes, and so the smallest buffer.
const minPart = 5 << 20

// write writes an object, which is there afterwards as a whole or not at all. Files
// are private, and on the disk when write returns; their names are only with
// settle, which settles those of all files written before, too.
func (s *Store) write(ctx context.Context, key string, data []byte, settle bool) error {
	err := s.writeObject(ctx, key, data, settle)
	if err == nil || isFull(err) {
		s.noteFull(err != nil)
	}
	return err
}

func (s *Store) writeObject(ctx context.Context, key string, data []byte, settle bool) error {
	o := &blob.WriterOptions{ContentType: "application/octet-stream", BufferSize: len(data) + 1}
	if s.scheme == "file" {
		return named(key, s.writeFile(ctx, key, data, settle, o))
	}
	if s.scheme == "s3" {
		o.BufferSize = max(o.BufferSize, minPart)
	}
	b, err := s.bucket(ctx)
	if err != nil {
		return named(key, err)
	}
	return named(key, b.Upload(ctx, key, bytes.NewReader(data), o))
}

func (s *Store) writeFile(ctx context.Context, key string, data []byte, settle bool, o *blob.WriterOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File
	o.BeforeWrite = func(as func(any) bool) error {
		if as(&file) {
			return file.Chmod(0o600)
		}
		return nil
	}
	b, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	w, err := b.NewWriter(ctx, key, o)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		cancel() // so that Close does not keep a part
		_ = w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if file != nil && settle {
		return syncDir(filepath.Dir(file.Name()))
	}
	return nil
}

// isFull reports whether nothing was written because the disk is full, or the quota.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// noteFull tells Options.Full that there is no room, and the log when that begins and ends.
func (s *Store) noteFull(full bool) {
	if s.onFull == nil {
		return
	}
	if full {
		s.onFull()
	}
	if s.full.Load() == full || !s.full.CompareAndSwap(!full, full) {
		return
	}
	where := zap.String("store", shown(s.address))
	if full {
		s.log.Error("the store is full; large batches wait until there is room", where)
	} else {
		s.log.Info("the store has room again", where)
	}
}

// syncDir makes the names in a directory last. Systems that cannot do it for a
// directory keep them in their own time.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync() // not every file system has it
	return d.Close()
}
