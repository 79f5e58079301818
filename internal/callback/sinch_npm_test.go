package callback_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/nodetest"
)

// Sinch's own library takes our callbacks for Sinch's.
func TestSinchsOwnLibraryVerifiesACallback(t *testing.T) {
	t.Parallel()
	run := nodetest.Install(t, "testdata/sinch")
	srv, all := endpoint(t, status(http.StatusOK))
	require.Nil(t, poster(t, "foo_secret1234", true).Post(t.Context(), "acme", to(srv.URL, "sinch"), sent()))
	got := all()[0]
	type callback struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	headers := map[string]string{}
	for name := range got.header {
		headers[strings.ToLower(name)] = got.header.Get(name)
	}
	list, err := json.Marshal([]callback{{headers, string(got.body)}, {headers, strings.Replace(string(got.body), "{", "{ ", 1)}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "callbacks.json")
	require.NoError(t, os.WriteFile(file, list, 0o600))
	require.JSONEq(t, `[{"valid":true,"trigger":"MESSAGE_DELIVERY"},{"valid":false,"trigger":"MESSAGE_DELIVERY"}]`, string(run("verify.mjs", "foo_secret1234", file)))
}
