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
	// maxChecking is how many callbacks are looked through at once; others wait for their
	// turn, but no longer than turnWait.
	maxChecking = 32
	turnWait    = 5 * time.Second
	// maxWaiting is how many reports wait at once until they are durable, which takes
	// a second. A callback counts as one report at least, and for each keptBytes of its
	// body, since that is kept as long.
	maxWaiting = 20_000
	keptBytes  = 2 << 10
)

// reports registers where providers report what became of messages. They are no
// tenants: a signature says who they are.
func (g *Gateway) reports() {
	if g.o.Readers == nil || g.o.Reporter == nil {
		return
	}
	g.plain("POST /reports/{account}", func(w http.ResponseWriter, r *http.Request) {
		if failed := g.closed(); failed != nil {
			hangUp(w, r)
			protocol{fail: writeProblem}.answer(w, failed)
			return
		}
		said, err := g.report(w, r)
		if err != nil {
			hangUp(w, r)
			protocol{fail: writeProblem}.answer(w, g.failureOf(r, err))
			return
		}
		if said.Unreadable > 0 {
			writeJSON(w, http.StatusOK, unreadable{said.Unreadable, said.First})
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

// unreadable is the answer to a list of which some reports make no sense.
type unreadable struct {
	Count int    `json:"unreadable"`
	First string `json:"first"`
}

// report answers once all that a provider said is durable. What it says of no batch of
// ours is accepted too, once it is sure that there is none: saying it again is no use.
func (g *Gateway) report(w http.ResponseWriter, r *http.Request) (provider.Reports, error) {
	account := r.PathValue("account")
	reader, ok := g.o.Readers.Reports(account)
	if !ok {
		return provider.Reports{}, notFound("no reports are taken here")
	}
	q, reports, err := g.readReports(w, r, reader)
	switch {
	case errors.Is(err, provider.ErrUnreadable):
		return reports, fail(http.StatusBadRequest, codeInvalid, err.Error())
	case errors.Is(err, provider.ErrSignature), errors.Is(err, provider.ErrClock):
		g.o.Log.Warn("a delivery report was refused", zap.String("account", account), zap.Error(err))
		return reports, fail(http.StatusUnauthorized, codeUnauthorized, err.Error())
	case err != nil:
		return reports, err
	}
	if len(reports.Ended) > 0 {
		if err := g.keepReports(r.Context(), account, reader, q, reports.Ended); err != nil {
			return reports, err
		}
	}
	g.o.ObserveReport(account)
	if reports.Ignored > 0 {
		g.o.CountReports(account, "ignored", reports.Ignored)
	}
	if reports.Unreadable > 0 {
		g.o.CountReports(account, "unreadable", reports.Unreadable)
		g.o.Log.Warn("some delivery reports of a list make no sense", zap.String("account", account),
			zap.Int("reports", reports.Unreadable), zap.String("first", reports.First))
	}
	return reports, nil
}

// keepReports returns once reports are durable.
func (g *Gateway) keepReports(ctx context.Context, account string, reader provider.ReportReader, q provider.Callback, reports []message.Report) error {
	weight := int64(min(max(len(reports), 1+len(q.Body)/keptBytes), maxWaiting))
	if !g.waiting.TryAcquire(weight) {
		reader.Forget(q)
		return busy("too many delivery reports wait to be kept")
	}
	defer g.waiting.Release(weight)
	out, err := g.o.Reporter.Add(ctx, reports)
	if err != nil {
		reader.Forget(q)
		if errors.Is(err, starter.ErrNoStore) {
			g.o.Log.Error("a delivery report came after its batch had ended, and there is no store to keep it in", zap.String("account", account))
			return fail(http.StatusServiceUnavailable, codeUnavailable, "there is no store for reports that come after the end of their batch")
		}
		if errors.Is(err, starter.ErrReportAgain) {
			g.o.Log.Info("delivery reports are to come again", zap.String("account", account), zap.Error(err))
			return busy("the batch of a report is not known yet, or has too many of them to keep")
		}
		return err
	}
	if out.Foreign > 0 {
		g.o.CountReports(account, "foreign", out.Foreign)
		g.o.Log.Info("delivery reports of no batch that Temporal knows", zap.String("account", account), zap.Int("reports", out.Foreign))
	}
	return nil
}

// readReports reads a callback of which it is not known who sent it. One whose body does
// not come takes nothing from others.
func (g *Gateway) readReports(w http.ResponseWriter, r *http.Request, reader provider.ReportReader) (provider.Callback, provider.Reports, error) {
	var none provider.Callback
	if r.ContentLength > maxReport {
		return none, provider.Reports{}, &http.MaxBytesError{Limit: maxReport}
	}
	held := g.callbacks.hold(addressOf(r).String(), r.Body)
	defer held.release()
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(reportWait)) // a test's recorder knows none
	body, err := io.ReadAll(http.MaxBytesReader(w, held, maxReport))
	if err != nil {
		return none, provider.Reports{}, readFault(err)
	}
	_ = ctl.SetReadDeadline(time.Time{}) // an answer may take longer
	ctx, cancel := context.WithTimeout(r.Context(), turnWait)
	defer cancel()
	if g.checking.Acquire(ctx, 1) != nil {
		return none, provider.Reports{}, busy("too many callbacks wait to be looked through")
	}
	defer g.checking.Release(1)
	q := provider.Callback{URL: g.publicURL(r), Header: r.Header, Body: body}
	reports, err := reader.ReadReports(q)
	return q, reports, err
}

// busy is the failure of a request that is to come again in a while.
func busy(why string) *failure {
	f := fail(http.StatusServiceUnavailable, codeUnavailable, why)
	f.retryAfter = waitForServer
	return f
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
