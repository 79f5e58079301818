package starter_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"volley/starter"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"a": true, "9": true, "A.b_c-d": true, strings.Repeat("x", 100): true,
		"": false, "-a": false, ".a": false, "_a": false, "a b": false, "a/b": false, "a~0001": false,
		"ä": false, "r__0x1": false, "a..": false, "a\n": false, strings.Repeat("x", 101): false,
	} {
		require.Equal(t, want, starter.ValidID(id), "%q", id)
	}
}

func TestWorkflowID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "batch-x", starter.WorkflowID(starter.Ref{ID: "x"}))
	require.Equal(t, "batch-x", starter.WorkflowID(starter.Ref{Tenant: "default", ID: "x"}))
	require.Equal(t, "batch-acme/x", starter.WorkflowID(starter.Ref{Tenant: "acme", ID: "x"}))
}

func TestGeneratedIDsHaveTheFormOfTheDialect(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	for _, key := range []string{"", "order-1"} {
		r := request("", 1)
		r.IdempotencyKey = key
		_, err := uuid.Parse(start(t, s, r).ID)
		require.NoError(t, err)
		r.Batch.Dialect = "sinch"
		_, err = ulid.ParseStrict(start(t, s, r).ID)
		require.NoError(t, err)
	}
}

func TestIdempotencyKeyDecidesTheID(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	with := func(tenant, key string) starter.Request {
		r := request("", 1)
		r.Tenant, r.IdempotencyKey = tenant, key
		return r
	}
	first := start(t, s, with("", "k"))
	require.False(t, first.Existing)
	again := start(t, s, with("", "k"))
	require.True(t, again.Existing)
	require.Equal(t, first.ID, again.ID)
	require.NotEqual(t, first.ID, start(t, s, with("", "k2")).ID)
	require.NotEqual(t, first.ID, start(t, s, with("acme", "k")).ID)

	other := with("", "k")
	other.Body = []byte("other")
	_, err := s.Start(t.Context(), other)
	require.ErrorIs(t, err, starter.ErrConflict)
	made := start(t, s, request("", 1)).ID
	require.NotEqual(t, made, start(t, s, request("", 1)).ID)
}
