//go:build !linux && !darwin

package store

// Free is how many bytes are left for a file:// store; known is false here.
func (s *Store) Free() (left int64, known bool) { return 0, false }
