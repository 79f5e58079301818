package index

import (
	"bufio"
	"strings"
)

// No test can mount a file system, so these decide for what the kernel would say.
var (
	RemoteMagic = remoteMagic
	RemoteFUSE  = remoteFUSE
)

// MountedAs reads mountinfo as the kernel writes it.
func MountedAs(mountinfo, dir string) string {
	return mountedAs(bufio.NewScanner(strings.NewReader(mountinfo)), dir)
}
