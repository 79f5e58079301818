package index

import (
	"fmt"
	"path/filepath"
)

// refuseNetwork is an error where a file would lie on another machine's disk: SQLite's locks
// and its shared memory do not hold between hosts.
func refuseNetwork(path string) error {
	if kind := remote(filepath.Dir(path)); kind != "" {
		return fmt.Errorf("index: %s is on a network file system (%s), where SQLite loses what it writes: use a disk of this host, or PostgreSQL (index.url)", path, kind)
	}
	return nil
}
