package gateway

import (
	"mime"
	"net/http"
)

// only answers the methods that a path does not have; allowed are those that it has.
func (f front) only(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		f.answer(w, fail(http.StatusMethodNotAllowed, codeMethod, r.Method+" is not possible here, expected "+allowed))
	}
}

// nothing answers the paths that nothing is at.
func (f front) nothing() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path))
	}
}

// jsonBody refuses a request that says of its body that it is not JSON.
func jsonBody(r asked) error {
	given := r.Header.Get("Content-Type")
	if given == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != "application/json" {
		return fail(http.StatusUnsupportedMediaType, codeMediaType, "the Content-Type must be application/json")
	}
	return nil
}
