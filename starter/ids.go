package starter

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"volley/internal/message"
	"volley/starter/internal/server"
)

// Ref names a batch of a tenant. An empty Tenant is DefaultTenant.
type Ref = server.Ref

// ValidID reports whether s can be the id of a batch or the name of a tenant, as
// message.CheckName says.
func ValidID(s string) bool { return server.ValidID(s) }

// WorkflowID is the id of the workflow that runs a batch: batch-<id> for the
// default tenant, batch-<tenant>/<id> for others.
func WorkflowID(r Ref) string { return server.WorkflowID(r) }

// TestID is the id of a batch that is a test of a request: a new one, or the one that
// an idempotency key stands for.
func TestID(key, tenant, dialect string, now time.Time) string {
	id := message.NewBatchID("", now)
	if key != "" {
		id = message.BatchIDFrom("", digest("test", server.TenantOf(Ref{Tenant: tenant}), dialect, key))
	}
	return "test-" + id
}

const dialectSinch = "sinch"

// hashed is what two requests must share to be the same: the request as received, of which
// kind "stream" knows only a hash, dialect, tenant and flags. A flag that is empty counts
// as not given.
func hashed(kind string, body []byte, dialect, tenant string, flags map[string]string) string {
	parts := []string{kind, string(body), dialect, tenant}
	for _, k := range slices.Sorted(maps.Keys(flags)) {
		if flags[k] != "" {
			parts = append(parts, k, flags[k])
		}
	}
	sum := digest(parts...)
	return hex.EncodeToString(sum[:])
}

// digest hashes parts, each behind its length, so that no two lists of parts give the same
// bytes.
func digest(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
