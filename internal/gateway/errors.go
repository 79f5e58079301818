package gateway

import (
	"mime"
	"net/http"
	"strings"
)

// methodNotAllowed answers 405 for the methods that a path does not have; allowed lists
// those that it has.
func (f protocol) methodNotAllowed(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		f.answer(w, fail(http.StatusMethodNotAllowed, codeMethod, r.Method+" is not possible here, expected "+allowed))
	}
}

// notFound answers the paths that nothing is at.
func (f protocol) notFound() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path))
	}
}

// jsonBody refuses a request that says of its body that it is not JSON.
func jsonBody(r tenantRequest) error {
	given := r.Header.Get("Content-Type")
	if given == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != "application/json" {
		return fail(http.StatusUnsupportedMediaType, codeMediaType, "the Content-Type must be application/json")
	}
	return nil
}

// noForm refuses a multipart form, whose body is not the file itself. It accepts every
// other Content-Type, since curl --data-binary sets one by itself.
func noForm(r tenantRequest) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what cannot be read is no form
	if strings.HasPrefix(kind, "multipart/") {
		return fail(http.StatusUnsupportedMediaType, codeMediaType, "Content-Type "+kind+" is not supported, send the file itself as the body, as curl --data-binary @FILE does")
	}
	return nil
}
