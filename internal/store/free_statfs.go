//go:build linux || darwin

package store

import "syscall"

// Free is how many bytes are left for a file:// store; known is false of others, and where
// the directory is not there.
func (s *Store) Free() (left int64, known bool) {
	var fs syscall.Statfs_t
	if s.root == "" || syscall.Statfs(s.root, &fs) != nil {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true //nolint:gosec,unconvert // a disk's size; the types differ between systems
}
