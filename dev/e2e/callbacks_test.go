package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// listener is a caller's endpoint that verifies what it hears.
type listener struct {
	*httptest.Server
	mu sync.Mutex
	// refuse is how many requests it refuses first.
	refuse int
	ids    map[string]bool
	types  []string
	rows   map[int]string // the state of each message told
	err    error
}

func listen(t *testing.T, refuse int) *listener {
	t.Helper()
	l := &listener{refuse: refuse, ids: map[string]bool{}, rows: map[int]string{}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse--; l.refuse >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := l.receive(r); err != nil {
		l.err = err
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (l *listener) receive(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	wh, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		return err
	}
	if err := wh.Verify(body, r.Header); err != nil {
		return err
	}
	id := r.Header.Get("webhook-id")
	if l.ids[id] {
		return nil
	}
	l.ids[id] = true
	var e struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	l.types = append(l.types, e.Type)
	type row struct {
		Index int
		State string
	}
	var rows []row
	switch {
	case e.Type == "messages":
		err = json.Unmarshal(e.Data, &rows)
	case strings.HasPrefix(e.Type, "message."):
		rows = make([]row, 1)
		err = json.Unmarshal(e.Data, &rows[0])
	}
	for _, r := range rows {
		l.rows[r.Index] = r.State
	}
	return err
}

// told is what it heard, once the batch's end has been told.
func (l *listener) told(t *testing.T, last string) ([]string, map[int]string) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.err != nil || len(l.types) > 0 && l.types[len(l.types)-1] == last
	}, 3*time.Minute, 20*time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	require.NoError(t, l.err)
	return l.types, l.rows
}

// withCallbacks starts a batch whose events go to an address.
func (l *lab) withCallbacks(t *testing.T, url string, all []note) starter.Ref {
	t.Helper()
	r := l.request(t, "hook", "Hi ${name}", all)
	r.Batch.Callbacks = &message.Callbacks{URL: url, Format: message.CallbackVolley, Messages: true}
	_, err := l.starter.Start(t.Context(), r)
	require.NoError(t, err)
	return r.Ref
}

func TestACallerHearsOfEveryMessageAndOfTheEnd(t *testing.T) {
	t.Parallel()
	l, ears := shared, listen(t, 2)
	all := notes(t, 6)
	all[1].To += "+reject"
	all[5].SendAfter = "3s"
	ref := l.withCallbacks(t, ears.URL, all)
	status, rows := l.wait(t, ref)
	types, told := ears.told(t, "batch.completed")
	require.Equal(t, "batch.started", types[0])
	require.Len(t, types, status.Total+2)
	for _, row := range rows {
		require.Equal(t, row.State.String(), told[row.Index])
	}

	id := starter.WorkflowID(ref)
	var res contract.NotifyResult
	require.NoError(t, l.client.GetWorkflow(t.Context(), contract.NotifyID(id), "").Get(t.Context(), &res))
	require.Equal(t, len(types), res.Told)
	require.Zero(t, res.GivenUp)
	name := "callbacks"
	if mode != "" {
		name = mode + "." + name
	}
	l.replay(t, name, id)
	l.replay(t, name+"~notify", contract.NotifyID(id))

	// Nothing new has happened, and nothing is told twice.
	require.NoError(t, l.starter.RestartCallbacks(t.Context(), ref))
	var again contract.NotifyResult
	require.NoError(t, l.client.GetWorkflow(t.Context(), contract.NotifyID(id), "").Get(t.Context(), &again))
	require.Equal(t, res, again)

	l.remove(t, ref)
	require.Eventually(t, func() bool { // the server removes it in its own time
		_, err := l.client.DescribeWorkflowExecution(t.Context(), contract.NotifyID(id), "")
		return err != nil
	}, 3*time.Minute, 50*time.Millisecond)
}

func TestACallerHearsOfALargeBatchInBundles(t *testing.T) {
	t.Parallel()
	l, ears := shared, listen(t, 0)
	const n = 1_500
	all := notes(t, n)
	for i := range all {
		all[i].To = fmt.Sprintf("%s-%d", all[0].To, i)
	}
	ref := l.withCallbacks(t, ears.URL, all)
	l.wait(t, ref)
	types, told := ears.told(t, "batch.completed")
	require.Equal(t, "batch.started", types[0])
	require.Len(t, told, n)
	require.Less(t, len(types), n/10)
}

func TestABatchThatTemporalEndedIsToldToo(t *testing.T) {
	t.Parallel()
	l, ears := shared, listen(t, 0)
	all := notes(t, 2)
	all[1].SendAfter = "1h"
	ref := l.withCallbacks(t, ears.URL, all)
	ears.told(t, "message.sent")
	id := starter.WorkflowID(ref)
	require.NoError(t, l.client.TerminateWorkflow(t.Context(), id, "", "test"))
	require.NoError(t, l.starter.RestartCallbacks(t.Context(), ref)) // it would look by itself
	_, told := ears.told(t, "batch.failed")
	require.Equal(t, map[int]string{0: "sent", 1: "canceled"}, told)
}
