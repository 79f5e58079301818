package index

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// fuseMagic is what all file systems that a program serves have in common (linux/magic.h).
const fuseMagic = 0x65735546

// remoteMagic names the file systems on other machines' disks (statfs(2), linux/magic.h).
func remoteMagic(magic uint32) string {
	switch magic {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x00c36400:
		return "Ceph"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x01021997:
		return "9P"
	case 0x5346414f, 0x6b414653:
		return "AFS"
	case 0x47504653:
		return "GPFS"
	case 0x19830326:
		return "BeeGFS"
	case 0x01161970:
		return "GFS2"
	case 0x7461636f:
		return "OCFS2"
	case 0x73757245:
		return "Coda"
	}
	return ""
}

// remoteFUSE names a FUSE file system as remote, unless the kernel itself gives it a disk or
// the directory of its own host: of others nobody can tell where their files are.
func remoteFUSE(kind string) string {
	if kind == "fuseblk" || kind == "virtiofs" {
		return ""
	}
	return strings.ToUpper(strings.TrimPrefix(kind, "fuse.")) + ", by FUSE"
}

// remote names the file system of a directory where it is on another machine; empty is that
// it is not, or that the directory is not there.
func remote(dir string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return ""
	}
	magic := uint32(fs.Type) //nolint:gosec,unconvert // the type differs between architectures
	if magic != fuseMagic {
		return remoteMagic(magic)
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return remoteFUSE("fuse")
	}
	defer mounts.Close()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return remoteFUSE(mountedAs(bufio.NewScanner(mounts), dir))
}

// mountedAs is the type of the file system of a directory, as mountinfo has it (proc(5)).
func mountedAs(mounts *bufio.Scanner, dir string) string {
	kind, longest := "fuse", 0
	for mounts.Scan() {
		before, after, _ := strings.Cut(mounts.Text(), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(rest) == 0 {
			continue
		}
		point := strings.ReplaceAll(fields[4], `\040`, " ")
		if (point == "/" || dir == point || strings.HasPrefix(dir, point+"/")) && len(point) >= longest {
			kind, longest = rest[0], len(point)
		}
	}
	return kind
}
