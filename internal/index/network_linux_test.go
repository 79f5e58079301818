package index_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
)

const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:50 / /mnt/remote rw - fuse.sshfs ann@example.com: rw
41 22 8:1 / /mnt/disk rw - fuseblk /dev/sda1 rw
42 40 0:51 / /mnt/remote/inner\040one rw - virtiofs host rw
43 22 0:52 / /mnt/rem rw - fuse.s3fs s3 rw
`

func TestNetworkFileSystemsAreKnown(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{ // statfs(2)
		0x6969: "NFS", 0x517b: "SMB", 0xfe534d42: "SMB", 0xff534d42: "SMB", 0x00c36400: "Ceph", 0x0bd00bd0: "Lustre", 0x01021997: "9P",
		0xef53: "", 0x58465342: "", 0x9123683e: "", 0x01021994: "", 0x794c7630: "", 0x2fc12fc1: "", // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS
	} {
		require.Equal(t, want, index.RemoteMagic(magic), "%#x", magic)
	}
	for dir, want := range map[string]string{
		"/mnt/remote": "SSHFS, by FUSE", "/mnt/remote/a/b": "SSHFS, by FUSE", "/mnt/disk/index": "", "/mnt/remote/inner one/x": "", "/mnt/rem": "S3FS, by FUSE",
	} {
		require.Equal(t, want, index.RemoteFUSE(index.MountedAs(mountinfo, dir)), dir)
	}
}
