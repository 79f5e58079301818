package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestSinchReconciles(t *testing.T) {
	t.Parallel()
	entry := func(id, of string) string {
		metadata := quote(map[string]string{"_volley_id": of})
		return quote(map[string]string{"id": id, "metadata": metadata})
	}
	const other = `{"id":"p-0","metadata":"words"},{"id":"p-9","metadata":""}`
	tests := map[string]struct {
		stores   bool
		dispatch []string
		convos   []string
		verdict  provider.Verdict
		id       string
	}{
		"found in dispatch mode":                 {dispatch: []string{other + "," + entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"found on a later page":                  {dispatch: []string{other, entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"found in conversation mode":             {dispatch: []string{""}, convos: []string{entry("p-1", messageID)}, verdict: provider.Found, id: "p-1"},
		"nowhere, which proves nothing":          {dispatch: []string{entry("p-2", "another")}, convos: []string{""}},
		"nowhere, where every message is stored": {stores: true, dispatch: []string{other}, convos: []string{other, other}, verdict: provider.Absent},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) {
				q := r.URL.Query()
				if r.Method != http.MethodGet || r.URL.Path != "/v1/projects/p-1/messages" || q.Get("app_id") != "app-1" ||
					q.Get("start_time") != "2026-03-01T11:55:00Z" || q.Get("end_time") != "2026-03-01T12:05:10Z" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				pages := map[string][]string{"DISPATCH_SOURCE": tc.dispatch, "CONVERSATION_SOURCE": tc.convos}[q.Get("messages_source")]
				n := strings.Count(q.Get("page_token"), "n")
				next := ""
				if n+1 < len(pages) {
					next = strings.Repeat("n", n+1)
				}
				_, _ = fmt.Fprintf(w, `{"messages":[%s],"next_page_token":%q}`, pages[n], next)
			}})
			a := sinchAccount(srv.URL)
			a.StoresMessages = tc.stores
			got, err := reconciler(t, open(t, a)).Reconcile(t.Context(),
				provider.Query{Message: outgoing("sinch", "+1", `{}`), Since: noon, Until: noon.Add(10 * time.Second)})
			require.NoError(t, err)
			require.Equal(t, tc.verdict, got.Verdict, got.Detail)
			require.Equal(t, tc.id, got.Receipt.ProviderID)
			require.Equal(t, got.Verdict == provider.CannotTell, got.Detail != "")
		})
	}
}

func TestSinchDoesNotTakeSilenceForAbsence(t *testing.T) {
	t.Parallel()
	q := provider.Query{Message: outgoing("sinch", "+1", `{}`), Since: noon, Until: noon}
	for name, api := range map[string]http.HandlerFunc{
		"an error":         answer(500, ``),
		"an error in 200":  answer(200, `{"error":{"code":7,"status":"PERMISSION_DENIED"}}`),
		"no JSON":          answer(200, `<html>`),
		"null":             answer(200, `null`),
		"a list of others": answer(200, `[]`),
		"no such app":      answer(404, `{"code":404,"status":"NOT_FOUND"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) { api(w, r) }})
			a := sinchAccount(srv.URL)
			a.StoresMessages = true
			_, err := reconciler(t, open(t, a)).Reconcile(t.Context(), q)
			_ = failure(t, err)
		})
	}
	t.Run("a listing without end", func(t *testing.T) {
		t.Parallel()
		srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = io.WriteString(w, `{"messages":[],"next_page_token":"again"}`)
		}})
		a := sinchAccount(srv.URL)
		a.StoresMessages = true
		got, err := reconciler(t, open(t, a)).Reconcile(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, provider.CannotTell, got.Verdict)
	})
	t.Run("one of two listings without end", func(t *testing.T) {
		t.Parallel()
		for _, endless := range []string{"DISPATCH_SOURCE", "CONVERSATION_SOURCE"} {
			srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) {
				next := ""
				if r.URL.Query().Get("messages_source") == endless {
					next = "again"
				}
				_, _ = fmt.Fprintf(w, `{"messages":[],"next_page_token":%q}`, next)
			}})
			a := sinchAccount(srv.URL)
			a.StoresMessages = true
			got, err := reconciler(t, open(t, a)).Reconcile(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, provider.CannotTell, got.Verdict, endless)
		}
	})
	t.Run("an error that quotes every credential", func(t *testing.T) {
		t.Parallel()
		var used string
		srv := serveSinch(t, &sinchServer{api: func(w http.ResponseWriter, r *http.Request, _ int) {
			_, used, _ = strings.Cut(r.Header.Get("Authorization"), " ")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, quote(map[string]string{"status": "BAD", "message": strings.Join([]string{
				"saw", used, "sinch-secret/+4711", url.QueryEscape("sinch-secret/+4711"), url.PathEscape("sinch-secret/+4711"),
			}, " ")}))
		}})
		_, err := reconciler(t, open(t, sinchAccount(srv.URL))).Reconcile(t.Context(), q)
		require.NotEmpty(t, used)
		require.Equal(t, "saw *** *** *** ***", failure(t, err).Detail)
	})
}
