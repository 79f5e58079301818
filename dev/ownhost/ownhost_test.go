package ownhost_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/ownhost"
)

func TestOnlyNamesOfThisHostAreAnswered(t *testing.T) {
	t.Parallel()
	h := ownhost.Only(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "box.example", "[fd00::7]")
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8081": 200, "localhost.:80": 200, "127.0.0.1": 200, "127.0.0.1:8081": 200, "[::1]": 200, "[::1]:8081": 200,
		"box.example:1": 200, "Box.Example": 200, "[fd00::7]:80": 200,
		"evil.example": 421, "evil.example:8081": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "192.0.2.1": 421, "": 421, "x@localhost": 421,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, "%q", host)
	}
}
