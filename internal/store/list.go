package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

const (
	// listPage is how many objects of a list are asked for at once. Files are not listed
	// in pages: the driver walks all directories anew for each, and takes memory for as
	// many objects as a page may have.
	listPage = 1000
	// listTries is how often a directory is walked in which files go away meanwhile.
	listTries = 100
)

// list calls each with the objects under a prefix that ends in a slash, in the order of
// their keys. A directory of a store that is not there holds nothing.
func (s *Store) list(ctx context.Context, prefix string, each func(*blob.ListObject) error) error {
	b, err := s.bucket(ctx)
	if errors.Is(err, ErrAway) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.hasFiles() {
		err = s.listFiles(ctx, prefix, each)
	} else {
		err = listPages(ctx, b, &blob.ListOptions{Prefix: prefix}, each)
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	return nil
}

// dirs lists, sorted, the names of directories right under a prefix that ends in a slash
// or is empty, those that begin so and that keep says yes to. Files may have empty ones.
func (s *Store) dirs(ctx context.Context, prefix, begin string, keep func(name string) bool) (names []string, err error) {
	b, err := s.bucket(ctx)
	if errors.Is(err, ErrAway) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	take := func(name string) {
		if strings.HasPrefix(name, begin) && keep(name) {
			names = append(names, name)
		}
	}
	if s.hasFiles() {
		err = s.dirsOfFiles(ctx, prefix, take)
	} else {
		err = listPages(ctx, b, &blob.ListOptions{Prefix: prefix + begin, Delimiter: "/"}, func(o *blob.ListObject) error {
			if o.IsDir {
				take(strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/"))
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix+begin, err)
	}
	slices.Sort(names)
	return names, nil
}

// hasFiles reports whether keys are the names of files under the root.
func (s *Store) hasFiles() bool { return s.root != "" && !s.url.Query().Has("prefix") }

func listPages(ctx context.Context, b *blob.Bucket, o *blob.ListOptions, each func(*blob.ListObject) error) error {
	for token := blob.FirstPageToken; len(token) > 0; {
		page, next, err := b.ListPage(ctx, token, listPage, o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, object := range page {
			if err := each(object); err != nil {
				return err
			}
		}
		token = next
	}
	return ctx.Err()
}

// listFiles walks until no file goes away between its name and its size: what it was
// merged into may have come behind the place where the walk was.
func (s *Store) listFiles(ctx context.Context, prefix string, each func(*blob.ListObject) error) error {
	for try := 1; ; try++ {
		files, err := s.files(ctx, prefix)
		switch {
		case errors.Is(err, fs.ErrNotExist) && try < listTries && ctx.Err() == nil:
			continue
		case err != nil:
			return err
		}
		for _, f := range files {
			if err := each(f); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
}

// files walks once. The error is fs.ErrNotExist where a file went away meanwhile.
func (s *Store) files(ctx context.Context, prefix string) (files []*blob.ListObject, err error) {
	root := s.path(prefix)
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && (name == root || e == nil || e.IsDir()):
			return nil // a directory
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir():
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		key := path.Join(prefix, filepath.ToSlash(strings.TrimPrefix(name, root)))
		files = append(files, &blob.ListObject{Key: key, ModTime: info.ModTime(), Size: info.Size()})
		return nil
	})
	return files, err
}

// dirsOfFiles takes the names of the directories in one.
func (s *Store) dirsOfFiles(ctx context.Context, prefix string, take func(name string)) error {
	dir, err := os.Open(s.path(prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	for ctx.Err() == nil {
		entries, err := dir.ReadDir(listPage)
		for _, e := range entries {
			if e.IsDir() {
				take(e.Name())
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// path is where the file or directory of a key is.
func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }
