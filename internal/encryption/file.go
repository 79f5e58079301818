package encryption

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrInUse means that another process changes the file of a keyset, or ended while it did.
var ErrInUse = errors.New("another command changes it, or was cut off while it did")

// FileOf is the path of a source that is a file; empty where it is none.
func FileOf(source string) (path string, err error) {
	if source = strings.TrimSpace(source); !strings.HasPrefix(source, filePrefix) {
		return "", nil
	}
	return pathOf(source)
}

// Reload reads the keyset anew from the source that it was loaded from, and says whether
// its keys are others now. Only a file can have changed: of another source nothing is read.
// Where it cannot be read the error says why, and the keys stay as they were.
func (k *Keyset) Reload(source string) (changed bool, err error) {
	path, err := FileOf(source)
	if err != nil || path == "" {
		return false, err
	}
	read, err := readFile(path)
	if err != nil {
		return false, err
	}
	before, err := k.JSON()
	if err != nil {
		return false, err
	}
	now, err := read.JSON()
	if err != nil || bytes.Equal(before, now) {
		return false, err
	}
	k.current.Store(read.current.Load())
	return true, nil
}

// Change replaces the keyset in a file by what change makes of it; a file that is not there
// is a nil Keyset. The new one appears whole, in mode 0600, or not at all. While it is
// made nobody else can change it: the new file, of the same name with ".new" behind it, is
// what locks. change sees what is there then. Where there is such a file the error is an
// ErrInUse.
func Change(path string, change func(*Keyset) (*Keyset, error)) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one, and what it leads to is changed
	}
	lock := path + ".new"
	f, err := os.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the keyset in %s: %w; where none runs, remove %s", path, ErrInUse, lock)
	}
	if err != nil {
		return fmt.Errorf("the keyset: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it may be closed
			_ = os.Remove(lock)
		}
	}()
	k, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if k, err = change(k); err != nil {
		return err
	}
	data, err := k.JSON()
	if err != nil {
		return err
	}
	if _, err = f.Write(append(data, '\n')); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(lock, path)
	}
	if err != nil {
		return fmt.Errorf("the keyset: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not every file system has it
		_ = dir.Close()
	}
	return nil
}
