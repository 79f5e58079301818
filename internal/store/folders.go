package store

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// Find lists the folders of a batch that have a manifest, those with a result
// first, and the newest first among each. None is no error.
func (s *Store) Find(ctx context.Context, tenant, batch string) (dirs []string, err error) {
	all, err := s.FindAll(ctx, tenant, batch)
	for _, f := range all {
		if f.Complete {
			dirs = append(dirs, f.Dir)
		}
	}
	return dirs, err
}

// FindAll lists all folders of a batch, those with a manifest in the order of Find
// and then those without: starts that ended too early, or were deleted in part.
func (s *Store) FindAll(ctx context.Context, tenant, batch string) ([]Folder, error) {
	tenant, err := tenantName(tenant)
	if err != nil {
		return nil, err
	}
	if !isName(batch) {
		return nil, badName("batch", batch)
	}
	days, err := s.dirs(ctx, tenant+"/", "", isDay)
	if err != nil {
		return nil, err
	}
	found := make([][]Folder, len(days))
	err = allOf(ctx, len(days), func(i int) error {
		return s.day(ctx, tenant+"/"+days[i]+"/", batch+"~", func(f Folder) bool {
			found[i] = append(found[i], f)
			return true
		})
	})
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b Folder) int {
		if a.Complete != b.Complete {
			return before(a.Complete)
		}
		if a.Ended != b.Ended {
			return before(a.Ended)
		}
		return b.made.Compare(a.made)
	})
	return all, err
}

func before(a bool) int {
	if a {
		return -1
	}
	return 1
}

// measure lists a folder.
func (s *Store) measure(ctx context.Context, f *Folder) error {
	return s.list(ctx, f.Dir+"/", func(o *blob.ListObject) error {
		name := strings.TrimPrefix(o.Key, f.Dir+"/")
		f.Reports = onlyReports(name) && (f.Reports || f.Objects == 0)
		f.Objects++
		f.Bytes += o.Size
		if o.ModTime.After(f.Written) {
			f.Written = o.ModTime
		}
		switch name {
		case manifestName:
			f.Complete, f.made = true, o.ModTime
		case resultName:
			f.Ended = true
		}
		return nil
	})
}

// Folders lists all folders, by tenant, day and batch. It ends after an error.
// What is not laid out like a folder of ours is passed over.
func (s *Store) Folders(ctx context.Context) iter.Seq2[Folder, error] {
	return func(yield func(Folder, error) bool) {
		if err := s.walk(ctx, func(f Folder) bool { return yield(f, nil) }); err != nil {
			yield(Folder{}, err)
		}
	}
}

func (s *Store) walk(ctx context.Context, yield func(Folder) bool) error {
	tenants, err := s.dirs(ctx, "", "", isName)
	if err != nil {
		return err
	}
	more := true
	for _, tenant := range tenants {
		days, err := s.dirs(ctx, tenant+"/", "", isDay)
		if err != nil {
			return err
		}
		for _, day := range days {
			err := s.day(ctx, tenant+"/"+day+"/", "", func(f Folder) bool {
				more = yield(f)
				return more
			})
			if err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// day lists the folders right under parent whose names begin so and that hold
// something, in order, until yield says no.
func (s *Store) day(ctx context.Context, parent, begin string, yield func(Folder) bool) error {
	names, err := s.dirs(ctx, parent, begin, func(name string) bool {
		_, err := folderOf(parent + name)
		return err == nil
	})
	if err != nil {
		return err
	}
	err = inWaves(ctx, len(names), func(i int) (Folder, error) {
		f, err := folderOf(parent + names[i])
		if err == nil {
			err = s.measure(ctx, &f)
		}
		return f, err
	}, func(_ int, f Folder, err error) error {
		if err == nil && f.Objects > 0 && !yield(f) {
			err = errEnough
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

var errEnough = errors.New("enough")

// Delete removes a folder, the manifest first, so that what is deleted in part is
// no batch any more, and the result last, so that it is not taken for one that is
// being written. A folder that is not there is no error.
func (s *Store) Delete(ctx context.Context, dir string) error {
	if _, err := folderOf(dir); err != nil {
		return err
	}
	defer s.cache.drop(dir + "/")
	for _, first := range []string{dir + "/" + manifestName, lateKey(dir, summaryName)} {
		if err := s.remove(ctx, first); err != nil {
			return err
		}
	}
	last := dir + "/" + resultName
	var keys []string
	err := s.list(ctx, dir+"/", func(o *blob.ListObject) error {
		if o.Key != last {
			keys = append(keys, o.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := allOf(ctx, len(keys), func(i int) error { return s.remove(ctx, keys[i]) }); err != nil {
		return err
	}
	if err := s.remove(ctx, last); err != nil {
		return err
	}
	s.prune(dir)
	return nil
}

func (s *Store) remove(ctx context.Context, key string) error {
	b, err := s.bucket(ctx)
	if err == nil {
		err = named(key, b.Delete(ctx, key))
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// prune removes the directories that a folder of files leaves behind, and its
// day's once nobody writes there any more.
func (s *Store) prune(dir string) {
	if s.root == "" {
		return
	}
	own := s.path(dir)
	empty := []string{filepath.Join(own, segmentsName), filepath.Join(own, ledgersName), filepath.Join(own, lateName), filepath.Join(own, canceledName), filepath.Join(own, redrivenName), own}
	day := filepath.Dir(own)
	if t, err := time.Parse(time.DateOnly, filepath.Base(day)); err == nil && time.Since(t) > 72*time.Hour {
		empty = append(empty, day)
	}
	for _, name := range empty {
		_ = os.Remove(name) // one that is not empty stays
	}
}
