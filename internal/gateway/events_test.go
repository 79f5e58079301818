package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// listener is a client of a stream that notes when it heard something.
type listener struct {
	*httptest.ResponseRecorder
	receivedAt []time.Time
}

func (l *listener) WriteHeader(status int) {
	l.note()
	l.ResponseRecorder.WriteHeader(status)
}

func (l *listener) Write(p []byte) (int, error) {
	l.note()
	return l.ResponseRecorder.Write(p)
}

func (l *listener) note() { l.receivedAt = append(l.receivedAt, time.Now()) }

// follow listens to the events of a batch of the tenant acme until the stream ends.
func (b *testEnv) follow(target string) *listener {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, target, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+acmeKey)
	l := &listener{ResponseRecorder: httptest.NewRecorder(), receivedAt: []time.Time{time.Now()}}
	b.g.ServeHTTP(l, r)
	return l
}

// silence is the longest time in which a client heard nothing.
func (l *listener) silence() (longest time.Duration) {
	for i := 1; i < len(l.receivedAt); i++ {
		longest = max(longest, l.receivedAt[i].Sub(l.receivedAt[i-1]))
	}
	return longest
}

// running is the status of a batch of one message that is on its way, or was sent.
func running(ref starter.Ref, state message.BatchState, rev int64) message.Status {
	return message.Status{ID: ref.ID, Tenant: ref.Tenant, State: state, Total: 1, Counts: &message.Counts{}, Rev: rev}
}

func TestAStreamIsNeverSilentForLong(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]bool{"while no status comes": false, "while no page comes": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newEnv(t, nil)
				b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
				began := time.Now()
				slow := func() { time.Sleep(12 * time.Second) } // as long as a worker that is away takes
				b.status = func(ref starter.Ref) (message.Status, error) {
					switch past := time.Since(began); {
					case past < time.Second:
						return running(ref, message.BatchRunning, 1), nil
					case past > 4*time.Minute || page:
						return running(ref, message.BatchCompleted, 9), nil
					}
					slow()
					return message.Status{}, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNoWorker)
				}
				b.page = func(ref starter.Ref) error {
					if past := time.Since(began); !page || past < time.Second || past > 4*time.Minute {
						return nil
					}
					slow()
					return fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNoWorker)
				}
				l := b.follow("/v1/batches/b1/events")
				require.Greater(t, time.Since(began), 4*time.Minute)
				require.LessOrEqual(t, l.silence(), 15*time.Second)
				require.GreaterOrEqual(t, strings.Count(l.Body.String(), ": still here\n\n"), 15)
				require.Equal(t, []string{"status 1", "message 2", "status 9", "end 9"}, eventsOf(l.Body.String()))
			})
		})
	}
}

func TestAStreamOpensThoughNobodyAnswersYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
		began := time.Now()
		b.status = func(ref starter.Ref) (message.Status, error) {
			if time.Since(began) < time.Minute {
				time.Sleep(12 * time.Second)
				return message.Status{}, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNoWorker)
			}
			return running(ref, message.BatchCompleted, 9), nil
		}
		missing := b.acme("GET", "/v1/batches/nobody/events", "")
		require.Equal(t, "not_found", missing.json(http.StatusNotFound)["code"])
		l := b.follow("/v1/batches/b1/events")
		require.Equal(t, http.StatusOK, l.Code)
		require.Equal(t, "text/event-stream", l.Header().Get("Content-Type"))
		require.LessOrEqual(t, l.silence(), 15*time.Second)
		require.Equal(t, []string{"message 2", "status 9", "end 9"}, eventsOf(l.Body.String()))
	})
}

func TestAStreamEndsWithABatchThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
		began := time.Now()
		b.status = func(ref starter.Ref) (message.Status, error) {
			if time.Since(began) < time.Second {
				return running(ref, message.BatchRunning, 1), nil
			}
			return message.Status{}, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNotFound)
		}
		l := b.follow("/v1/batches/b1/events")
		require.Equal(t, []string{"status 1"}, eventsOf(l.Body.String()))
	})
}
