package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
)

// FuzzRoutes holds every route to what it promises whoever calls it, whatever comes: no
// panic, no failure of the server's own, and an answer that has a bound. names fill in the
// wildcards of the route's pattern.
func FuzzRoutes(f *testing.F) {
	patterns := append(gateway.New(gateway.Options{Batches: newFake()}).Patterns(), "POST /reports/{account}")
	patterns = slices.DeleteFunc(patterns, func(p string) bool { return !strings.Contains(p, " ") })
	bodies := []string{"", "{}", "[]", "null", one, birdText("+15550001111"), `{"messages":["0"]}`, `{"sendAfter":"10m"}`, delivered("x"), "to\n1\n", `{"text":"x"}` + "\n" + `{"to":"1"}`}
	for _, pattern := range []string{"bird", "sinch", "imkit", "bluesky", "volley"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "examples", pattern+".*"))
		require.NoError(f, err)
		for _, file := range files {
			body, err := os.ReadFile(file)
			require.NoError(f, err)
			bodies = append(bodies, string(body))
		}
	}
	names := []string{"b/0", workspace + "/" + channel, project + "/b", "hook/b", "b:cancel", "sinch-eu", "b:redrive", "b:reschedule"}
	for route := range patterns {
		for i, body := range bodies {
			if (route+i)%4 != 0 && !strings.HasPrefix(patterns[route], "POST") {
				continue // most of these read no body
			}
			f.Add(uint8(route), names[(route+i)%len(names)], "", uint8(i), "", []byte(body))
		}
		f.Add(uint8(route), "b/0", "dialect=bird&limit=2&state=sent&since=1&batchId=b&batchID=b&text=hi&account=hook&map=a%3Db&unique=to", uint8(0), "key", []byte(one))
	}
	f.Fuzz(func(t *testing.T, route uint8, names, query string, headers uint8, key string, body []byte) {
		b, _ := reportEnv(t, "")
		b.acme("POST", "/v1/batches?id=b", one)
		method, path, _ := strings.Cut(patterns[int(route)%len(patterns)], " ")
		r := fuzzed(method, filledIn(path, names), query, string(body))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r = r.WithContext(ctx)
		r.Header.Set("IM-API-KEY", acmeKey)
		r.Header.Set("Authorization", []string{"Bearer ", "AccessKey ", "Basic ", ""}[headers%4]+acmeKey)
		if headers&4 == 0 {
			r.Header.Set("Content-Type", "application/json")
		}
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		w := httptest.NewRecorder()
		b.g.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusNotImplemented, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			require.Less(t, w.Code, http.StatusInternalServerError, w.Body.String())
		}
		require.LessOrEqual(t, w.Body.Len(), 2<<20+10*len(body))
	})
}

// filledIn puts names, with slashes between them, for the wildcards of a path.
func filledIn(path, names string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			var name string
			name, names, _ = strings.Cut(names, "/")
			parts[i] = url.PathEscape(name)
		}
	}
	return strings.Join(parts, "/")
}

// fuzzed is a request as a server gives it to its handler.
func fuzzed(method, path, query, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, "/", strings.NewReader(body))
	r.URL.RawPath, r.URL.RawQuery = path, query
	r.URL.Path, _ = url.PathUnescape(path) // it was escaped here
	r.RequestURI = path + "?" + query
	return r
}
