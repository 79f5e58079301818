package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
)

func TestTheCodecIsServedOnlyWhereItHarmsNobody(t *testing.T) {
	t.Parallel()
	k, err := encryption.New()
	require.NoError(t, err)
	data, err := k.JSON()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keyset.json"), data, 0o600))
	on := "encryption: {keyset: \"file://" + dir + "/keyset.json\"}\n"
	withKey := on + "codec: {key: 0123456789abcdef}\n"
	for name, c := range map[string]struct{ config, listen, origin, want string }{
		"with a key":        {withKey, ":8082", "http://localhost:8233", ""},
		"on this machine":   {on, "127.0.0.1:8082", "https://ui.example.com", ""},
		"without a key":     {on, ":8082", "http://localhost:8233", "put codec.key into the configuration"},
		"elsewhere":         {on, "10.0.0.1:8082", "http://localhost:8233", "put codec.key into the configuration"},
		"no keyset":         {"", "127.0.0.1:8082", "http://localhost:8233", "there is nothing to decode"},
		"unset":             {"encryption: {keyset: \"${VOLLEY_KEYSET}\"}\n", "127.0.0.1:8082", "", "refers to a variable"},
		"no such file":      {"encryption: {keyset: \"file:///none\"}\n", "127.0.0.1:8082", "", "encryption.keyset: the keyset: open /none"},
		"a page":            {withKey, ":8082", "http://localhost:8233/", "--origin"},
		"no scheme":         {withKey, ":8082", "localhost:8233", "--origin"},
		"any origin at all": {withKey, ":8082", "*", "--origin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "volley.yaml")
			require.NoError(t, os.WriteFile(file, []byte(c.config), 0o600))
			a := &app{configFile: file, env: environment{"TEMPORAL_CONFIG_FILE=" + os.DevNull}}
			var origins []string
			if c.origin != "" {
				origins = []string{c.origin}
			}
			h, err := a.codecHandler(c.listen, origins)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.Equal(t, exitUsage, exitCode(err))
				return
			}
			require.NoError(t, err)
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/decode", strings.NewReader(`{"payloads":[]}`))
			r.Header.Set("Origin", c.origin)
			h.ServeHTTP(w, r)
			if want := http.StatusOK; strings.Contains(c.config, "codec") {
				want = http.StatusUnauthorized
				require.Equal(t, want, w.Code)
			} else {
				require.Equal(t, want, w.Code)
			}
		})
	}
}
