package server

import (
	"cmp"
	"fmt"
	"strconv"

	"volley/internal/message"
)

// ValidID reports whether s can be the id of a batch or the name of a tenant, as
// message.CheckName says.
func ValidID(s string) bool { return message.CheckName(s) == nil }

// WorkflowID is the id of the workflow that runs a batch: batch-<id> for the
// default tenant, batch-<tenant>/<id> for others.
func WorkflowID(r Ref) string { return message.WorkflowID(r.Tenant, r.ID) }

// ParseWorkflowID is the reverse of WorkflowID. It reports false for workflows
// that are no batch, segments among them.
func ParseWorkflowID(workflowID string) (Ref, bool) {
	tenant, id, ok := message.ParseWorkflowID(workflowID)
	r := Ref{Tenant: tenant, ID: id}
	return r, ok && ValidID(tenant) && ValidID(id) && WorkflowID(r) == workflowID
}

// TenantOf is the tenant that a reference names.
func TenantOf(r Ref) string { return cmp.Or(r.Tenant, message.DefaultTenant) }

// WorkflowOf checks a reference and returns its workflow's id.
func WorkflowOf(r Ref) (string, error) {
	if !ValidID(TenantOf(r)) {
		return "", Invalid("tenant %q: %s", r.Tenant, IDRule)
	}
	if !ValidID(r.ID) {
		return "", Invalid("batch id %q: %s", r.ID, IDRule)
	}
	return WorkflowID(r), nil
}

// IDRule says in errors what ValidID accepts.
const IDRule = "expected " + message.NameRule

// MessageIndex reads a message's id or its index. It reports false for anything
// that cannot be a message of the workflow's batch.
func MessageIndex(workflowID, idOrIndex string) (int, bool) {
	if i, err := strconv.Atoi(idOrIndex); err == nil && strconv.Itoa(i) == idOrIndex {
		return i, i >= 0 && i <= message.MaxIndex
	}
	key, i, ok := message.ParseID(idOrIndex)
	return i, ok && key == message.KeyOf(workflowID)
}

// Ref names a batch of a tenant. An empty Tenant is message.DefaultTenant.
type Ref struct {
	Tenant string
	ID     string
}

// SegmentID is the id of the workflow of a segment.
func SegmentID(workflowID string, number int) string {
	return fmt.Sprintf("%s~%04d", workflowID, number)
}
