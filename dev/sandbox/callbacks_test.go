package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
)

func TestCallbacksAreKeptForALook(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	for _, body := range []string{`{"type":"a"}`, `{"type":"b"}`} {
		res, err := b.client.Post(b.url+"/callbacks", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusNoContent, res.StatusCode)
	}
	res, err := b.client.Post(b.url+"/callbacks", "application/json", strings.NewReader("no"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	res, err = b.client.Get(b.url + "/callbacks")
	require.NoError(t, err)
	defer res.Body.Close()
	var list struct{ Callbacks []sandbox.Callback }
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &list))
	require.Len(t, list.Callbacks, 2)
	require.JSONEq(t, `{"type":"b"}`, string(list.Callbacks[0].Body), "newest first")
	require.Len(t, b.Callbacks(), 2)
}
