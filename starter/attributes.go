package starter

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"

	"volley/starter/internal/server"
)

// NeedsAttribute reports whether no batch can start on a server that lacks the search
// attribute with this name. Without the others something is not known of batches.
func NeedsAttribute(name string) bool { return server.NeedsAttribute(name) }

// Attributes are the search attributes of batches, by name, for servers that take
// them at their own start.
func Attributes() map[string]enumspb.IndexedValueType { return server.Attributes() }

// Missing returns the search attributes that the server lacks in the namespace,
// in the order of the documentation. One that is there with another type is an
// error, because nothing but a person can decide what becomes of it.
func (s *Starter) Missing(ctx context.Context) ([]string, error) { return s.server.Missing(ctx) }

// Setup adds the search attributes that the server lacks and returns their
// names. A server may take seconds until it accepts them in a start.
func (s *Starter) Setup(ctx context.Context) ([]string, error) { return s.server.Setup(ctx) }
