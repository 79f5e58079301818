package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// An account whose answers take long has many requests under way, of which those that
// are in doubt are asked about on the same queue. What the doubts cost is logged as the
// ratio of two batches side by side.
func TestWhatDoubtfulAnswersCostAnAccountWithARate(t *testing.T) {
	t.Parallel()
	const rate, n = 10, 150
	took := make([]time.Duration, 2)
	t.Run("at once", func(t *testing.T) {
		for i, name := range []string{"none", "every tenth"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := shared.own(t, messages, 5*time.Second)
				l.served[0].Rate = rate
				l.serve(t)
				all := notes(t, n)
				for k := range all {
					if i == 1 && k%10 == 5 {
						all[k].To += "+drop"
					} else {
						all[k].To += "+slow"
					}
				}
				began := time.Now()
				ref := l.large(t, all)
				status, rows := l.wait(t, ref)
				took[i] = time.Since(began)
				require.Equal(t, n, status.Counts[message.Sent], "%v", *status.Counts)
				l.agree(t, rows)
			})
		}
	})
	t.Logf("%v without and %v with doubtful answers: %.2f", took[0], took[1], took[1].Seconds()/took[0].Seconds())
}

// forgetful is a webhook that takes requests and does not say so. The recipient steers it:
// dup<code> is taken with an answer 500 and later refused with that code, cut is taken and
// its connection reset each time, hang is taken and not answered and later refused; others are
// taken.
type forgetful struct {
	url string
	mu  sync.Mutex
	got map[string]int // requests by recipient
}

func newForgetful(t *testing.T) *forgetful {
	t.Helper()
	f := &forgetful{got: map[string]int{}}
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Data struct{ To string } }
		if json.NewDecoder(r.Body).Decode(&body) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		to := body.Data.To
		f.mu.Lock()
		f.got[to]++
		n := f.got[to]
		f.mu.Unlock()
		_, how, _ := strings.Cut(to, "+")
		switch {
		case how == "cut":
			panic(http.ErrAbortHandler)
		case how == "hang" && n == 1:
			<-end
		case how == "hang":
			w.WriteHeader(http.StatusConflict)
		case strings.HasPrefix(how, "dup") && n == 1:
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasPrefix(how, "dup"):
			code := 0
			_, _ = fmt.Sscan(how[3:], &code)
			w.WriteHeader(code)
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(end) })
	f.url = srv.URL
	return f
}

func (f *forgetful) count(to string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[to]
}

// repeating is an account at f that sends again what nobody can tell of.
func (f *forgetful) repeating(t *testing.T) provider.Account {
	return provider.Account{
		Name: queueOf(t) + "-again", Provider: "webhook", URL: f.url, Secret: hookSecret, AllowPrivate: true,
		OnUnknown: message.Resend, Settle: time.Second, Concurrency: 10,
	}
}

func TestWhatMayHaveArrivedGoesNowhereElse(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		f := newForgetful(t)
		l.served = append(l.served, f.repeating(t))
		l.serve(t)
		all := notes(t, 5)
		for i, how := range []string{"+dup409", "+dup400", "+dup410", "+cut"} {
			all[i].To += how
		}
		all[3].TTL = "8s"
		status, rows := l.wait(t, l.start(t, l.starter, l.served[1].Name+">"+l.served[0].Name, all))
		require.Equal(t, message.Counts{message.Sent: 1, message.Unknown: 4}, *status.Counts, "%+v", rows)
		require.Equal(t, message.Sent, rows[4].State)
		require.Empty(t, l.sandbox.Received(), "nothing went through the other account")
		for i := range 3 {
			require.Equal(t, 2, f.count(all[i].To))
		}
		require.Greater(t, f.count(all[3].To), 1)
	})
}

func TestACancelDoesNotSayOfWhatMayHaveArrivedThatItDidNot(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		f := newForgetful(t)
		l.served = append(l.served, f.repeating(t))
		l.serve(t)
		all := notes(t, 1)
		all[0].To += "+cut"
		ref := l.start(t, l.starter, l.served[1].Name, all)
		require.Eventually(t, func() bool { return f.count(all[0].To) >= 2 }, time.Minute, 10*time.Millisecond)
		res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "enough"})
		require.NoError(t, err)
		require.Empty(t, res.Canceled)
		require.Equal(t, 1, res.Counts.InFlight+res.Counts.Ended)
		status, _ := l.wait(t, ref)
		require.Equal(t, message.Counts{message.Unknown: 1}, *status.Counts)
	})
}

func TestADoubtOutlivesTheWorkerThatHadIt(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		f := newForgetful(t)
		again := f.repeating(t)
		l.served = append(l.served, again)
		other := l.served[0]
		cfg := filepath.Join(t.TempDir(), "volley.yaml")
		require.NoError(t, os.WriteFile(cfg, fmt.Appendf(nil, `task_queue: %s
store: %s
accounts:
  %s: {provider: webhook, url: %q, secret: %q, settle: 1s, on_unknown: resend}
  %s: {provider: webhook, url: %q, secret: %q, reconcile: true, settle: 1s}
`, queueOf(t), l.address, again.Name, again.URL, hookSecret, other.Name, other.URL, hookSecret), 0o600))
		work := func() func() {
			w := spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), "worker", "--config", cfg, "--listen", "")
			return func() { kill(w) }
		}
		end := work()
		all := notes(t, 3)
		all[0].To += "+hang"
		all[1].To += "+dup409"
		ref := l.start(t, l.starter, again.Name+">"+other.Name, all)
		require.Eventually(t, func() bool { return f.count(all[0].To) == 1 && f.count(all[1].To) > 0 }, time.Minute, time.Millisecond)
		end()
		work()
		status, rows := l.wait(t, ref)
		require.Equal(t, 2, status.Counts[message.Unknown], "%+v", rows)
		require.Equal(t, message.Unknown, rows[0].State)
		require.Equal(t, 2, f.count(all[0].To))
		require.Empty(t, l.sandbox.Received(), "nothing went through the other account")
	})
}

// Bluesky keeps no id of ours, so a message of another batch with the same text may be the
// one in doubt or not.
func TestAMessageOfAnotherBatchIsNotFoundInPlaceOfALostOne(t *testing.T) {
	t.Parallel()
	l := shared
	d, err := dialect.Named("bluesky")
	require.NoError(t, err)
	start := func(id string) starter.Ref {
		body := fmt.Appendf(nil, `{"items":[{"convoId":"3k%s+lost","message":{"text":"Hello same"}}]}`, strings.ToLower(message.KeyOf(t.Name()).String()))
		b, problems := d.Decode(body, dialect.Options{Now: time.Now()})
		require.Empty(t, problems)
		router := l.router()
		router.Routes = []message.Route{{Hops: []string{"bsky-main"}}}
		router.Accept(b, d.Recipient)
		ref := starter.Ref{ID: t.Name() + "-" + id}
		_, err := l.starter.Start(t.Context(), starter.Request{Ref: ref, Body: body, Batch: b})
		require.NoError(t, err)
		return ref
	}
	refs := []starter.Ref{start("a"), start("b")}
	said := map[string]bool{}
	taken := 0
	for _, ref := range refs {
		_, rows := l.wait(t, ref)
		switch row := rows[0]; row.State {
		case message.Sent:
			require.False(t, said[row.ProviderID], "two messages have one id at the provider")
			said[row.ProviderID] = true
			taken++
		default:
			require.Equal(t, message.Unknown, row.State)
		}
	}
	arrived := 0
	for _, r := range l.sandbox.Received() {
		if r.Text == "Hello same" {
			arrived++
		}
	}
	require.Equal(t, arrived, taken)
}
