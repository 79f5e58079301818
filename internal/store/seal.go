package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"

	"go.uber.org/zap"

	"volley/internal/encryption"
)

// A sealed object is a head, and blocks that are sealed one by one, so that a part of it
// can be read. Numbers are little-endian. The head:
//
//	 0 magic, its last byte is the version
//	 8 id of the key, four bytes
//	12 how many bytes the namespace takes, two bytes
//	14 the namespace
//	   checksum of the head so far, four bytes
//
// A block is its length in four bytes, and what Keyset.Seal made of it. With each go the
// namespace and the tenant, the object's key, the block's number and whether it is the
// last one: a block opens nowhere else. What does not begin like a sealed object was
// written in clear, and is read so.
const (
	sealMagic  = "VOLSEAL\x01"
	sealFixed  = 18 // the head without the namespace
	blockSize  = 4  // what stands before each block
	sealPeek   = sealFixed + maxSpace
	maxSpace   = 1000 // Temporal's own bound of a namespace
	sealedMore = 1024 // room for what sealing adds
)

// ErrSealed means that an object is sealed and that this process cannot open it: it lacks
// the key, or works in another namespace. The object is not lost. The error is a
// *SealedError.
var ErrSealed = errors.New("the object is sealed")

// SealedError says of which namespace a sealed object is, and with which key it is sealed.
type SealedError struct {
	Object, Namespace string
	Key               uint32

	why string
}

// Error names the object and the key.
func (e *SealedError) Error() string {
	return fmt.Sprintf("%s is sealed with key %d of namespace %s, %s", e.Object, e.Key, e.Namespace, e.why)
}

// Unwrap makes it an ErrSealed.
func (e *SealedError) Unwrap() error { return ErrSealed }

// sealHead is the head of a sealed object.
type sealHead struct {
	key       uint32
	namespace string
}

// size is how many bytes the head takes.
func (h sealHead) size() int { return sealFixed + len(h.namespace) }

// append appends the head to dst.
func (h sealHead) append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, sealMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, h.key)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(h.namespace)))
	dst = append(dst, h.namespace...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// isSealed reports whether an object that begins so is sealed.
func isSealed(data []byte) bool {
	return len(data) >= len(sealMagic) && string(data[:len(sealMagic)-1]) == sealMagic[:len(sealMagic)-1]
}

// parseSealHead reads the head of a sealed object.
func parseSealHead(key string, data []byte) (sealHead, error) {
	var h sealHead
	if last := len(sealMagic) - 1; data[last] != sealMagic[last] {
		return h, fmt.Errorf("%s: the sealed format has version %d, expected %d", key, data[last], sealMagic[last])
	}
	if len(data) < sealFixed {
		return h, damaged(key, "its head is cut")
	}
	h.key = binary.LittleEndian.Uint32(data[8:])
	n := int(binary.LittleEndian.Uint16(data[12:]))
	if len(data) < sealFixed+n {
		return h, damaged(key, "its head is cut")
	}
	h.namespace = string(data[14 : 14+n])
	if crc32.Checksum(data[:14+n], castagnoli) != binary.LittleEndian.Uint32(data[14+n:]) {
		return h, damaged(key, "the checksum of its head is wrong")
	}
	return h, nil
}

// seal makes of an object's data what lies in the bucket. Cuts are where its blocks end,
// the last one aside. Without a keyset it is the data.
func (s *Store) seal(key string, data []byte, cuts ...int) ([]byte, error) {
	if s.keyset.IsOff() {
		return data, nil
	}
	h := sealHead{key: s.keyset.Primary(), namespace: s.namespace}
	out := h.append(make([]byte, 0, len(data)+h.size()+len(cuts)*64+sealedMore))
	from := 0
	for i := range len(cuts) + 1 {
		to := len(data)
		if i < len(cuts) {
			to = cuts[i]
		}
		sealed, err := s.keyset.Seal(data[from:to], s.associated(key, i, i == len(cuts)))
		if err != nil {
			return nil, named(key, err)
		}
		if len(sealed) > math.MaxInt32 {
			return nil, fmt.Errorf("%s: a block of %d bytes is too large", key, len(sealed))
		}
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(sealed))), sealed...)
		from = to
	}
	return out, nil
}

// associated is what a block of an object is bound to.
func (s *Store) associated(key string, block int, last bool) []byte {
	tenant, _, _ := strings.Cut(key, "/")
	ad := append(encryption.Associated(s.namespace, tenant), key...)
	ad = binary.LittleEndian.AppendUint32(ad, uint32(block))
	if last {
		return append(ad, 1)
	}
	return append(ad, 0)
}

// openable is nil where this process can open an object with that head.
func (s *Store) openable(key string, h sealHead) error {
	why := ""
	switch {
	case s.keyset.IsOff():
		why = "and this process has no keyset"
	case h.namespace != s.namespace:
		why = "and this process works in namespace " + cmp.Or(s.namespace, "(none)")
	case !s.keyset.Opens(h.key):
		why = "which the keyset of this process does not have"
	default:
		return nil
	}
	err := &SealedError{Object: key, Namespace: h.namespace, Key: h.key, why: why}
	if s.onAway != nil {
		s.onAway()
	}
	if _, known := s.noKeys.LoadOrStore(fmt.Sprint(h.namespace, h.key), true); !known {
		s.log.Error("objects of the store cannot be opened here; what needs them waits", zap.Error(err))
	}
	return err
}

// unseal makes of what lies in the bucket the object's data.
func (s *Store) unseal(key string, data []byte) ([]byte, error) {
	if !isSealed(data) {
		return data, nil
	}
	h, err := parseSealHead(key, data)
	if err == nil {
		err = s.openable(key, h)
	}
	if err != nil {
		return nil, err
	}
	var blocks [][]byte
	for rest := data[h.size():]; len(rest) > 0; {
		block, behind, err := cutBlock(key, rest)
		if err != nil {
			return nil, err
		}
		plain, err := s.openBlock(key, block, len(blocks), len(behind) == 0)
		if err != nil {
			return nil, err
		}
		blocks, rest = append(blocks, plain), behind
	}
	switch len(blocks) {
	case 0:
		return nil, damaged(key, "it has no block")
	case 1:
		return blocks[0], nil
	}
	return slices.Concat(blocks...), nil
}

// cutBlock takes a whole block off the front.
func cutBlock(key string, data []byte) (block, rest []byte, err error) {
	n, ok := blockLength(data)
	if !ok || n > int64(len(data)-blockSize) {
		return nil, nil, damaged(key, "a block is cut")
	}
	return data[blockSize : blockSize+n], data[blockSize+n:], nil
}

// blockLength is how long the block is that begins here.
func blockLength(data []byte) (n int64, ok bool) {
	if len(data) < blockSize {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint32(data)), true
}

// openBlock opens one block of an object.
func (s *Store) openBlock(key string, block []byte, number int, last bool) ([]byte, error) {
	plain, err := s.keyset.Open(block, s.associated(key, number, last))
	if err != nil {
		return nil, damaged(key, fmt.Sprintf("block %d: %v", number, err))
	}
	return plain, nil
}

// readObject reads a whole object, and opens it where it is sealed.
func (s *Store) readObject(ctx context.Context, key string) ([]byte, error) {
	data, _, err := s.read(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	return s.unseal(key, data)
}
