package index

import "syscall"

// remote names the file system of a directory where it is on another machine; empty is that
// it is not, or that the directory is not there.
func remote(dir string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return ""
	}
	var name []byte
	for _, c := range fs.Fstypename {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	switch kind := string(name); kind {
	case "nfs", "smbfs", "afpfs", "webdav", "macfuse", "osxfuse", "fuse-t":
		return kind
	}
	return ""
}
