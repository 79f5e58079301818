package provider_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"volley/internal/provider"
)

// recorder is a server that remembers its requests and answers them in turn; the
// last answer stands for all later ones.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []recorded
	answers  []http.HandlerFunc
}

type recorded struct {
	*http.Request
	body []byte
}

func record(t *testing.T, answers ...http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		answer := r.answers[min(len(r.requests), len(r.answers)-1)]
		r.requests = append(r.requests, recorded{req, body})
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) got() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]recorded(nil), r.requests...)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// openAt opens an account at noon, where the clock stands still.
func openAt(t *testing.T, a provider.Account) provider.Sender {
	t.Helper()
	a.Name = "test"
	r, err := provider.Open([]provider.Account{a}, provider.Options{Now: noonNow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s, _ := r.Sender("test")
	return s
}

func noonNow() time.Time { return noon }
