package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// ReportReaders finds who reads an account's delivery reports; *provider.Registry
// does.
type ReportReaders interface {
	Reports(account string) (provider.ReportReader, bool)
}

// Reporter takes delivery reports in, and returns when they are durable;
// *starter.Reporter does.
type Reporter interface {
	Add(ctx context.Context, reports []message.Report) (starter.ReportOutcome, error)
}

const (
	// maxReport bounds the body of a callback with delivery reports.
	maxReport = 2 << 20
	// reportWait is how long the body may take: nobody knows yet who sends it.
	reportWait = 15 * time.Second
	// maxReading is how many of these bodies are in memory at once; others wait.
	maxReading = 32
)

// reports registers where providers report what became of messages. They are no
// tenants: a signature says who they are.
func (g *Gateway) reports() {
	if g.o.Readers == nil || g.o.Reporter == nil {
		return
	}
	g.plain("POST /reports/{account}", func(w http.ResponseWriter, r *http.Request) {
		if err := g.report(w, r); err != nil {
			hangUp(w, r)
			front{fail: writeProblem}.answer(w, g.failureOf(r, err))
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

// report answers once all that a provider said is durable. What it says of no batch of
// ours is accepted too: saying it again is no use.
func (g *Gateway) report(w http.ResponseWriter, r *http.Request) error {
	account := r.PathValue("account")
	reader, ok := g.o.Readers.Reports(account)
	if !ok {
		return notFound("no reports are taken here")
	}
	body, done, err := g.readReport(w, r)
	if err != nil {
		return err
	}
	defer done()
	q := provider.Callback{URL: g.publicURL(r), Header: r.Header, Body: body}
	reports, err := reader.ReadReports(q)
	switch {
	case errors.Is(err, provider.ErrUnreadable):
		return fail(http.StatusBadRequest, codeInvalid, err.Error())
	case errors.Is(err, provider.ErrSignature), errors.Is(err, provider.ErrClock):
		g.o.Log.Warn("a delivery report was refused", zap.String("account", account), zap.Error(err))
		return fail(http.StatusUnauthorized, codeUnauthorized, err.Error())
	case err != nil:
		return err
	case len(reports) == 0:
		return nil
	}
	out, err := g.o.Reporter.Add(r.Context(), reports)
	if err != nil {
		reader.Forget(q)
		if errors.Is(err, starter.ErrNoStore) {
			g.o.Log.Error("a delivery report came after its batch had ended, and there is no store to keep it in", zap.String("account", account))
			return fail(http.StatusServiceUnavailable, codeUnavailable, "there is no store for reports that come after the end of their batch")
		}
		return err
	}
	if out.Unknown > 0 {
		g.o.Log.Info("delivery reports of no batch that Temporal knows", zap.String("account", account), zap.Int("reports", out.Unknown))
	}
	return nil
}

// readReport reads a body of which it is not known who sent it. What it holds in memory
// is let go of by done.
func (g *Gateway) readReport(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	if r.ContentLength > maxReport {
		return nil, nil, &http.MaxBytesError{Limit: maxReport}
	}
	if err := g.reading.Acquire(r.Context(), 1); err != nil {
		return nil, nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(reportWait)) // a test's recorder knows none
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		g.reading.Release(1)
		return nil, nil, err
	}
	return body, func() { g.reading.Release(1) }, nil
}

// publicURL is the address of a request as its client knows it. It is no secret and
// proves nothing; Bird signs it.
func (g *Gateway) publicURL(r *http.Request) string {
	base := strings.TrimSuffix(g.o.PublicURL, "/")
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		if s, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ","); s != "" {
			scheme = strings.TrimSpace(s)
		}
		host := r.Host
		if s, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); s != "" {
			host = strings.TrimSpace(s)
		}
		base = scheme + "://" + host
	}
	return base + r.URL.RequestURI()
}
