package encryption

import "encoding/binary"

// Associated is what is bound to everything of a tenant in a namespace: what is sealed for
// one opens for no other. An empty tenant is what belongs to no one tenant. Each name stands
// after its length as a uvarint, so that no two pairs of names give the same.
func Associated(namespace, tenant string) []byte {
	b := make([]byte, 0, len(namespace)+len(tenant)+2*binary.MaxVarintLen16)
	b = binary.AppendUvarint(b, uint64(len(namespace)))
	b = append(b, namespace...)
	b = binary.AppendUvarint(b, uint64(len(tenant)))
	return append(b, tenant...)
}
