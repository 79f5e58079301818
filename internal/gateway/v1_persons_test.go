package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/gateway"
	"volley/internal/index"
	"volley/internal/person"
)

// forgotten forgets people, and keeps whom.
type forgotten struct {
	forgot []person.Query
	err    error
}

func (f *forgotten) Forget(_ context.Context, q person.Query, dryRun bool) (*person.Forgotten, error) {
	out := &person.Forgotten{DryRun: dryRun, Messages: 2, Rows: 2, Again: []string{}, Histories: []person.History{{Batch: "b1", Workflow: "batch-acme/b1"}}, Unreached: []string{"backups"}}
	if !dryRun {
		f.forgot = append(f.forgot, q)
		out.Canceled = &person.Canceled{Messages: 1}
	}
	return out, f.err
}

func (f *forgotten) Export(_ context.Context, q person.Query, now time.Time) (*person.Export, error) {
	return &person.Export{
		AsOf: now, Suppressions: []person.SuppressionRow{}, Audit: []json.RawMessage{}, Unreached: []string{},
		Batches: []person.ExportedBatch{{ID: "b1", Tenant: q.Tenant, Metadata: []byte("{}"), Messages: []any{map[string]string{"to": q.Text}}}},
	}, f.err
}

func TestAPersonIsForgottenInATenantsOwnBatches(t *testing.T) {
	t.Parallel()
	f := &forgotten{}
	b, read := auditEnvWith(t, func(o *gateway.Options) {
		people(o)
		o.Persons = f
	})
	dry := b.acme("POST", "/v1/persons:forget", `{"person":"+15550001111","dryRun":true}`).json(http.StatusOK)
	require.Equal(t, true, dry["dryRun"])
	require.Nil(t, dry["canceled"])
	require.Empty(t, f.forgot)
	entries, _ := read()
	require.Empty(t, entries, "a dry run changes nothing")

	b.acme("POST", "/v1/persons:forget", `{"person":" +15550001111 "}`).json(http.StatusOK)
	require.Equal(t, []person.Query{{Tenant: "acme", Text: "+15550001111"}}, f.forgot)
	out := b.as(access.Operator, "POST", "/v1/persons:export?tenant=acme", `{"person":"c-4001"}`).json(http.StatusOK)
	require.Contains(t, fmt.Sprint(out["batches"]), "c-4001")
	entries, text := read()
	require.Len(t, entries, 2, text)
	require.Equal(t, "forget", entries[0].Action)
	require.Equal(t, map[string]int{"messages": 2, "rows": 2, "canceled": 1}, entries[0].Counts, "what is zero is left out")
	require.Equal(t, []string{"export", "operator", "acme"}, []string{entries[1].Action, entries[1].Actor, entries[1].Tenant})
	require.NotContains(t, text, "15550001111", "the log names no person")

	for body, status := range map[string]int{`{}`: 422, `{"person":" "}`: 422, `{"who":"x"}`: 400, `{"person":"x","person":"y"}`: 400} {
		require.Equal(t, status, b.acme("POST", "/v1/persons:forget", body).Code, body)
	}
	require.Equal(t, 422, b.acme("POST", "/v1/persons:export", `{"person":"x","dryRun":true}`).Code)
	require.Equal(t, 405, b.acme("GET", "/v1/persons:export", "").Code)
	require.Len(t, f.forgot, 1)
	f.err = index.ErrUnavailable
	require.Equal(t, http.StatusServiceUnavailable, b.acme("POST", "/v1/persons:forget", `{"person":"x"}`).Code)
	require.Equal(t, http.StatusNotImplemented, newEnv(t, nil).acme("POST", "/v1/persons:forget", `{"person":"x"}`).Code)
}

func TestAViewerSeesTheSuppressionListMasked(t *testing.T) {
	t.Parallel()
	l := &listed{all: []index.Suppression{{Tenant: "acme", Recipient: "+15550001111", Key: "k1", Reason: "called from +1 555 000 1111", By: "ann"}}}
	b := newEnv(t, func(o *gateway.Options) {
		people(o)
		o.Suppressions = l
	})
	seen := b.as(access.Viewer, "GET", "/v1/suppressions?tenant=acme", "")
	require.Equal(t, http.StatusOK, seen.Code)
	require.Contains(t, seen.Body.String(), "+15***11")
	for _, not := range []string{"0001111", "000 1111", "k1"} {
		require.NotContains(t, seen.Body.String(), not)
	}
	require.Contains(t, b.as(access.Support, "GET", "/v1/suppressions?tenant=acme&recipient=%2B15550001111", "").Body.String(), "+15550001111")
	require.Equal(t, http.StatusForbidden, b.as(access.Viewer, "GET", "/v1/suppressions?tenant=acme&recipient=%2B15550001111", "").Code)
	b.as(access.Operator, "POST", "/v1/suppressions?tenant=acme", `{"recipient":"+15550002222"}`).json(http.StatusOK)
	require.Equal(t, "operator", l.all[1].By)
}
