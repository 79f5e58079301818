package store_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"volley/internal/store"
)

// faulty is a bucket on top of another one, whose requests can be made to fail.
type faulty struct {
	inner *blob.Bucket

	mu       sync.Mutex
	requests int
	// hook sees every request before it is made, and its number from 1. After the
	// error that it returns the request is not made, or with errLate made and failed
	// all the same.
	hook func(n int, what, key string) error
	// page is how many objects a page of a list has at most; 0 is what was asked for.
	page int
}

var errFault = errors.New("the bucket does not answer")

// errLate is a request that is made, and whose answer is lost.
var errLate = errors.New("the answer is lost")

// onFaulty is a store on a faulty bucket with the objects of another store.
func onFaulty(t testing.TB, inner *store.Store) (*store.Store, *faulty) {
	t.Helper()
	f := &faulty{inner: store.Bucket(inner)}
	b := blob.NewBucket(f)
	t.Cleanup(func() { _ = b.Close() })
	return store.On(b), f
}

// reset sets the hook and counts from the beginning.
func (f *faulty) reset(hook func(n int, what, key string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests, f.hook = 0, hook
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// request is what the hook says to a request.
func (f *faulty) request(ctx context.Context, what, key string) error {
	f.mu.Lock()
	f.requests++
	n, hook := f.requests, f.hook
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if hook == nil {
		return nil
	}
	return hook(n, what, key)
}

func (f *faulty) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errFault) || errors.Is(err, errLate) {
		return gcerrors.Unknown
	}
	return gcerrors.Code(err)
}

func (f *faulty) As(any) bool             { return false }
func (f *faulty) ErrorAs(error, any) bool { return false }
func (f *faulty) Close() error            { return nil }

func (f *faulty) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if err := f.request(ctx, "head", key); err != nil {
		return nil, err
	}
	a, err := f.inner.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{Size: a.Size, ModTime: a.ModTime, ETag: a.ETag}, nil
}

func (f *faulty) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	if err := f.request(ctx, "list", o.Prefix); err != nil {
		return nil, err
	}
	token := o.PageToken
	if len(token) == 0 {
		token = blob.FirstPageToken
	}
	size := o.PageSize
	if f.page > 0 {
		size = f.page
	}
	objects, next, err := f.inner.ListPage(ctx, token, size, &blob.ListOptions{Prefix: o.Prefix, Delimiter: o.Delimiter})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	page := &driver.ListPage{NextPageToken: next}
	for _, x := range objects {
		page.Objects = append(page.Objects, &driver.ListObject{Key: x.Key, Size: x.Size, ModTime: x.ModTime, IsDir: x.IsDir})
	}
	return page, nil
}

type faultyReader struct{ *blob.Reader }

func (r faultyReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.ContentType(), ModTime: r.ModTime(), Size: r.Size()}
}

func (r faultyReader) As(any) bool { return false }

func (f *faulty) NewRangeReader(ctx context.Context, key string, from, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	if err := f.request(ctx, "get", key); err != nil {
		return nil, err
	}
	r, err := f.inner.NewRangeReader(ctx, key, from, length, nil)
	if err != nil {
		return nil, err
	}
	return faultyReader{r}, nil
}

// faultyWriter makes its request when it is closed.
type faultyWriter struct {
	f    *faulty
	ctx  context.Context
	key  string
	data []byte
}

func (w *faultyWriter) Write(b []byte) (int, error) {
	w.data = append(w.data, b...)
	return len(b), nil
}

func (w *faultyWriter) Close() error {
	err := w.f.request(w.ctx, "put", w.key)
	if err != nil && !errors.Is(err, errLate) {
		return err
	}
	return errors.Join(w.f.inner.WriteAll(w.ctx, w.key, w.data, nil), err)
}

func (f *faulty) NewTypedWriter(ctx context.Context, key, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &faultyWriter{f: f, ctx: ctx, key: key}, nil
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	err := f.request(ctx, "delete", key)
	if err != nil && !errors.Is(err, errLate) {
		return err
	}
	return errors.Join(f.inner.Delete(ctx, key), err)
}

func (f *faulty) Copy(context.Context, string, string, *driver.CopyOptions) error { return errFault }

func (f *faulty) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errFault
}
