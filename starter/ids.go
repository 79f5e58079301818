package starter

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"volley/internal/message"
)

// idPattern is the rule for the ids of batches and the names of tenants.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// ValidID reports whether s can be the id of a batch or the name of a tenant: 1
// to 100 letters, digits, dots, hyphens and underscores, the first a letter or a
// digit.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// WorkflowID is the id of the workflow that runs a batch: batch-<id> for the
// default tenant, batch-<tenant>/<id> for others.
func WorkflowID(r Ref) string { return message.WorkflowID(r.Tenant, r.ID) }

// parseWorkflowID is the reverse of WorkflowID. It reports false for workflows
// that are no batch, segments among them.
func parseWorkflowID(workflowID string) (Ref, bool) {
	tenant, id, ok := message.ParseWorkflowID(workflowID)
	r := Ref{Tenant: tenant, ID: id}
	return r, ok && ValidID(tenant) && ValidID(id) && WorkflowID(r) == workflowID
}

func tenantOf(r Ref) string { return cmp.Or(r.Tenant, DefaultTenant) }

// workflowOf checks a reference and returns its workflow's id.
func workflowOf(r Ref) (string, error) {
	if !ValidID(tenantOf(r)) {
		return "", invalid("tenant %q: %s", r.Tenant, idRule)
	}
	if !ValidID(r.ID) {
		return "", invalid("batch id %q: %s", r.ID, idRule)
	}
	return WorkflowID(r), nil
}

const idRule = "expected 1 to 100 of A-Z a-z 0-9 _ . -, starting with a letter or a digit"

// newID makes up an id in the form in which the dialect's own provider does: a
// ULID for sinch, a UUID for all others.
func newID(dialect string, now time.Time) string {
	if dialect == dialectSinch {
		return ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String()
	}
	return uuid.NewString()
}

// keyID is the id that an idempotency key stands for, in the same form.
func keyID(tenant, dialect, key string) string {
	return idFrom(dialect, digest("key", tenant, dialect, key))
}

const dialectSinch = "sinch"

// idFrom shapes the first 128 bits of a digest as an id.
func idFrom(dialect string, sum [sha256.Size]byte) string {
	if dialect == dialectSinch {
		var u ulid.ULID
		copy(u[:], sum[:])
		return u.String()
	}
	var u uuid.UUID
	copy(u[:], sum[:])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// contentHash is what two requests must share to be the same: the request as
// received, dialect, tenant and flags. A flag that is empty counts as not given.
func contentHash(body []byte, dialect, tenant string, flags map[string]string) string {
	return hashed("content", body, dialect, tenant, flags)
}

// streamHash is contentHash for a request of which only a hash is known.
func streamHash(content []byte, dialect, tenant string, flags map[string]string) string {
	return hashed("stream", content, dialect, tenant, flags)
}

func hashed(kind string, body []byte, dialect, tenant string, flags map[string]string) string {
	h := sha256.New()
	write(h, kind)
	write(h, string(body))
	write(h, dialect)
	write(h, tenant)
	for _, k := range slices.Sorted(maps.Keys(flags)) {
		if flags[k] != "" {
			write(h, k)
			write(h, flags[k])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digest(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		write(h, p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// write puts the length before the part, so that no two lists of parts give the
// same bytes.
func write(h hash.Hash, part string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(part)))
	h.Write(n[:])
	h.Write([]byte(part))
}

// messageIndex reads a message's id or its index. It reports false for anything
// that cannot be a message of the workflow's batch.
func messageIndex(workflowID, idOrIndex string) (int, bool) {
	if i, err := strconv.Atoi(idOrIndex); err == nil {
		return i, i >= 0 && i <= message.MaxIndex
	}
	key, i, ok := message.ParseID(idOrIndex)
	return i, ok && key == message.KeyOf(workflowID)
}
