package message

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

const (
	workflowPrefix = "batch-"
	// DefaultTenant is the tenant of callers that name none.
	DefaultTenant = "default"
)

// WorkflowID is the id of the workflow that runs a batch: batch-<id> for the
// default tenant, which is also the empty one, and batch-<tenant>/<id> for others.
func WorkflowID(tenant, id string) string {
	if tenant == "" || tenant == DefaultTenant {
		return workflowPrefix + id
	}
	return workflowPrefix + tenant + "/" + id
}

// ParseWorkflowID is the reverse of WorkflowID; a segment's workflow, which has
// ~ and digits behind, belongs to its batch. It reports false for workflows of
// other kinds.
func ParseWorkflowID(workflowID string) (tenant, id string, ok bool) {
	rest, ok := strings.CutPrefix(workflowID, workflowPrefix)
	rest, _, _ = strings.Cut(rest, "~")
	if tenant, id, other := strings.Cut(rest, "/"); other {
		return tenant, id, ok && tenant != "" && id != ""
	}
	return DefaultTenant, rest, ok && rest != ""
}

// Key is what all message ids of a batch have in common: the first 98 bits of
// the SHA-256 of the batch's workflow id. The search attribute VolleyKey holds
// its String.
type Key [13]byte

// MaxIndex is the largest index that a message id can carry.
const MaxIndex = 1<<24 - 1

// KeyOf returns the key of the batch that runs under a workflow id.
func KeyOf(workflowID string) Key {
	sum := sha256.Sum256([]byte(workflowID))
	var k Key
	copy(k[:], sum[:])
	k[12] &= 0xc0
	return k
}

// String returns the key as 26 hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey reads what String wrote.
func ParseKey(s string) (Key, error) {
	var k Key
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("key %q is not %d hexadecimal digits", s, 2*len(k))
	}
	copy(k[:], b)
	return k, nil
}

// MessageID returns the id of the message at index, a version 8 UUID: 98 bits of
// key, then 24 bits of index, around the version and the variant.
func (k Key) MessageID(index int) string {
	hi := binary.BigEndian.Uint64(k[0:8])
	lo := uint64(binary.BigEndian.Uint32(k[8:12]))<<32 | uint64(k[12])<<24
	// hi, lo hold the 98 key bits from the left; the index follows them.
	lo |= uint64(index&MaxIndex) << 6
	// 122 bits are in hi and the upper 58 of lo; lay them around the fixed bits.
	a := hi >> 16             // 48 bits
	b := hi >> 4 & 0xfff      // 12 bits
	c := (hi&0xf)<<58 | lo>>6 // 62 bits
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[0:8], a<<16|0x8000|b)
	binary.BigEndian.PutUint64(u[8:16], 1<<63|c)
	return u.String()
}

// ParseID takes a message id apart. It reports false when id is none of ours.
func ParseID(id string) (Key, int, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 {
		return Key{}, 0, false
	}
	first := binary.BigEndian.Uint64(u[0:8])
	c := binary.BigEndian.Uint64(u[8:16]) &^ (3 << 62)
	hi := first>>16<<16 | first&0xfff<<4 | c>>58
	lo := c << 6
	var k Key
	binary.BigEndian.PutUint64(k[0:8], hi)
	binary.BigEndian.PutUint32(k[8:12], uint32(lo>>32))
	k[12] = byte(lo>>24) & 0xc0
	return k, int(lo >> 6 & MaxIndex), true
}

// NewBatchID makes up the id of a batch in the form in which the dialect's own provider does: a
// ULID for sinch, a UUID for all others.
func NewBatchID(dialect string, now time.Time) string {
	if dialect == "sinch" {
		return ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String()
	}
	return uuid.NewString()
}

// BatchIDFrom shapes the first 128 bits of a digest as an id of the same form.
func BatchIDFrom(dialect string, sum [sha256.Size]byte) string {
	if dialect == "sinch" {
		return ulid.ULID(sum[:16]).String()
	}
	u := uuid.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}
