package console_test

import (
	"bufio"
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/console"
	"volley/internal/index"
	"volley/internal/message"
)

func TestAControlAsksFirstAndNamesTheNumber(t *testing.T) {
	t.Parallel()
	s, w := full(t)
	b := s.as(t, access.Operator)
	for path, want := range map[string]string{
		"/batches/default/b-1/control/pause":               "Pause Spring sale, of which 3,248 messages have not ended?",
		"/batches/default/b-1/control/cancel":              "Cancel 3,248 messages of Spring sale that have not ended?",
		"/batches/default/b-1/control/cancel?state=failed": "Cancel 0 messages",
		"/batches/default/b-1/control/redrive":             "Send up to 112 messages of Spring sale again, to those who did not get it?",
		"/batches/default/b-4/control/redrive":             "3 messages that may have arrived are left out, so that nobody gets it a second time.",
		"/holds/hold?account=sinch-eu":                     "Hold sinch-eu, for which 3,200 messages wait?",
		"/holds/release?account=bird-main":                 "Release bird-main, of which 600 messages leave now?",
	} {
		require.Contains(t, b.get(path, http.StatusOK), want, path)
	}
	require.Empty(t, w.calls, "a question does nothing")
}

func TestAControlIsDoneUnderThePersonsName(t *testing.T) {
	t.Parallel()
	s, w := full(t)
	b := s.as(t, access.Operator)
	b.get("/", http.StatusOK)
	for _, x := range []struct {
		path, want string
		form       url.Values
	}{
		{"/batches/default/b-1/control/pause", "pause b-1", nil},
		{"/batches/default/b-2/control/resume", "resume b-2", nil},
		{"/batches/default/b-3/control/reschedule", "reschedule b-3 2026-12-01T08:00:00Z", url.Values{"at": {"2026-12-01T09:00"}, "zone": {"Europe/Berlin"}}},
		{"/batches/default/b-1/control/cancel", "cancel b-1 [] wrong text", url.Values{"reason": {"wrong text"}}},
		{"/batches/default/b-1/control/cancel", "cancel b-1 [m-2] ", url.Values{"state": {"failed"}}},
		{"/holds/hold", "hold account sinch-eu rotation", url.Values{"account": {"sinch-eu"}, "reason": {"rotation"}, "for": {"30m"}}},
		{"/holds/release", "release account bird-main", url.Values{"account": {"bird-main"}}},
	} {
		if x.form == nil {
			x.form = url.Values{}
		}
		res := b.post(x.path, x.form)
		require.Equal(t, http.StatusOK, res.status, res.body)
		require.Equal(t, x.want, w.calls[len(w.calls)-1])
		line := s.audit.String()
		line = line[strings.LastIndex(strings.TrimSpace(line), "\n")+1:]
		require.Contains(t, line, `"actor":"operator-ann"`)
		require.Contains(t, line, `"through":"console"`)
		require.Contains(t, line, `"action":"`+strings.Fields(x.want)[0]+`"`)
	}
	require.Contains(t, s.audit.String(), `"action":"resume","result":"recorded"`, "no worker has confirmed it")
}

func TestManyMessagesLeaveOnlyWithTheirNumberTypedIn(t *testing.T) {
	t.Parallel()
	w := world()
	w.leaving.Leaving = 5200
	s := serve(t, console.Options{Batches: w, People: people(), ConfirmAbove: 1000})
	b := s.as(t, access.Operator)
	require.Contains(t, b.get("/holds/release?account=bird-main", http.StatusOK), "Type in the number of messages")
	form := url.Values{"account": {"bird-main"}, "number": {"520"}}
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/holds/release", form).status)
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/batches/default/b-1/control/redrive", url.Values{"number": {"1"}}).status)
	require.Empty(t, w.calls)
	form.Set("number", "5,200")
	require.Equal(t, http.StatusOK, b.post("/holds/release", form).status)
	require.Equal(t, http.StatusOK, b.post("/batches/default/b-1/control/redrive", url.Values{"number": {"3000"}}).status)
	require.Equal(t, []string{"release account bird-main", "redrive b-1 [failed,expired,undelivered]"}, w.calls)
}

func TestASenderControlsWhatTheyStartedAndSupportOnePersonsMessages(t *testing.T) {
	t.Parallel()
	s, w := full(t)
	w.by = map[string]string{"b-1": "sender-ann"}
	b := s.as(t, access.Sender)
	b.get("/", http.StatusOK)
	require.Equal(t, http.StatusOK, b.post("/batches/default/b-1/control/pause", url.Values{}).status)
	require.Equal(t, http.StatusUnprocessableEntity, b.post("/batches/default/b-2/control/resume", url.Values{}).status)
	require.Equal(t, http.StatusForbidden, b.post("/holds/hold", url.Values{"all": {"true"}}).status)
	b = s.as(t, access.Support)
	b.get("/", http.StatusOK)
	require.Equal(t, http.StatusForbidden, b.post("/batches/default/b-1/control/cancel", url.Values{}).status)
	require.Equal(t, http.StatusForbidden, b.post("/batches/default/b-1/control/cancel", url.Values{"state": {"failed"}}).status)
	require.Equal(t, http.StatusOK, b.post("/batches/default/b-1/control/cancel", url.Values{"to": {"+491511234567"}}).status)
	require.Equal(t, []string{"pause b-1", "cancel b-1 [m-0] "}, w.calls)
}

func TestNowNamesWhatIsWrongTheWorstFirst(t *testing.T) {
	t.Parallel()
	w := world()
	w.accounts.Accounts[0].Workers = 0
	st := w.statuses["b-2"]
	st.Fault = "the store is away"
	w.statuses["b-2"] = st
	f := searched()
	failing := index.Stat{Key: "DE", Total: 200}
	failing.Counts[message.Undelivered] = 60
	f.stats = map[string][]index.Stat{"": {failing}, "country": {failing}, "account": {{Key: eu, Total: 900, NoReport: 40}}}
	s := serve(t, console.Options{Batches: w, Index: f, People: people()})
	body := s.as(t, access.Operator).get("/", http.StatusOK)
	last := 0
	for _, want := range []string{
		"5 things wrong", "No worker serves sinch-eu", "cannot go on", "bird-main is held", "60 of 200 to DE failed", "Reports of sinch-eu are missing", "Winter newsletter",
	} {
		at := strings.Index(body, want)
		require.Greater(t, at, last, want)
		last = at
	}
	require.Contains(t, body, `href="/holds/release?account=bird-main"`)
	require.NotContains(t, s.as(t, access.Viewer).get("/", http.StatusOK), `href="/holds/release`, "who may not, is not offered it")
}

func TestAllWellSaysAsOfWhen(t *testing.T) {
	t.Parallel()
	w := world()
	w.accounts.Holds, w.accounts.Accounts[1].Held = nil, nil
	s := serve(t, console.Options{Batches: w, Open: true})
	body := s.visitor(t).get("/", http.StatusOK)
	require.Contains(t, body, "All well")
	require.Contains(t, body, "09:02:13 UTC")
}

func TestASupporterReadsWhatBecameOfAMessage(t *testing.T) {
	t.Parallel()
	s, _ := full(t)
	b := s.as(t, access.Support)
	body := b.get("/find?q=%2B491511234567", http.StatusOK)
	require.Contains(t, body, "Mon 07:02 UTC, sent by Sinch, not delivered: number not in service")
	require.Contains(t, body, "sent by Sinch, delivered 08:13 UTC")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/find?q=c-4001", nil)
	require.NoError(t, err)
	require.Equal(t, "/batches/default/b-1/messages/0?q=c-4001", b.do(r).header.Get("Location"), "one message is shown at once")
	body = b.get("/batches/default/b-1/messages/0", http.StatusOK)
	last := 0
	for _, want := range []string{"sent by Sinch, not delivered: number not in service", "Sinch asked to wait: too many requests", "Sent by Sinch", "Not delivered, Sinch reports", "The subscriber is unknown"} {
		at := strings.Index(body, want)
		require.Greater(t, at, last, want)
		last = at
	}
}

func TestWithoutAnIndexTheRestWorks(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Batches: world(), Open: true})
	b := s.visitor(t)
	require.Contains(t, b.get("/log", http.StatusNotFound), "index.url")
	require.Contains(t, b.get("/find?q=c-4001", http.StatusOK), "there is no index")
	require.Contains(t, b.get("/batches", http.StatusOK), "Invoices")
}

// A batch of any size opens with what its workflow knows and one page of messages.
func TestALargeBatchIsNeverCounted(t *testing.T) {
	t.Parallel()
	w := world()
	for i := range 1_000_000 / 1000 {
		w.rows["b-1"] = append(w.rows["b-1"], message.Row{Index: i + 3, DueAt: at(0)})
	}
	s := serve(t, console.Options{Batches: w, Open: true})
	body := s.visitor(t).get("/batches/default/b-1", http.StatusOK)
	require.Equal(t, 50, strings.Count(body, `data-label="When"`))
	require.Contains(t, body, "cursor=50")
}

func TestAStreamSendsAPageWhenItHasChanged(t *testing.T) {
	t.Parallel()
	w := world()
	s := serve(t, console.Options{Batches: w, Open: true})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/live?path=%2Fbatches%2Fdefault%2Fb-1", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	var kinds []string
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for len(kinds) < 3 && lines.Scan() {
		if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kinds = append(kinds, kind)
		}
	}
	require.Equal(t, []string{"page", "same", "same"}, kinds)
}

// form is a new batch's, with its file last.
func (b *browser) form(path, name, file string, fields map[string]string) answer {
	b.t.Helper()
	b.get("/new", http.StatusOK)
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for key, value := range fields {
		require.NoError(b.t, m.WriteField(key, value))
	}
	p, err := m.CreateFormFile("file", name)
	require.NoError(b.t, err)
	_, err = p.Write([]byte(file))
	require.NoError(b.t, err)
	require.NoError(b.t, m.Close())
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.site.URL+path, &body)
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("X-CSRF-Token", b.token)
	return b.do(r)
}

func TestAFileIsCheckedTestedAndStarted(t *testing.T) {
	t.Parallel()
	w := world()
	s := serve(t, console.Options{Batches: w, People: people(), ConfirmAbove: 2})
	b := s.as(t, access.Sender)
	file := "Phone;name\n+4915112345670;Ann\n+4915112345671;Bartholomäus\nnobody;X\n+4915112345672;\n"
	fields := map[string]string{"text": "Hi ${name}", "column-to": "Phone", "channel": "SMS", "zone": "UTC"}
	res := b.form("/new/check", "list.csv", file, fields)
	require.Equal(t, http.StatusOK, res.status, res.body)
	for _, want := range []string{"Hi Bartholom", "the longest", "SMS part", "Type in the number of messages", `<option selected>Phone</option>`} {
		require.Contains(t, res.body, want)
	}
	require.Empty(t, w.calls)
	wrong := b.form("/new", "list.csv", file, fields)
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Empty(t, w.calls)
	n := strings.TrimPrefix(strings.Split(res.body[strings.Index(res.body, `<small id="h-number">`):], "</small>")[0], `<small id="h-number">`)
	fields["number"] = n
	res = b.form("/new", "list.csv", file, fields)
	require.Equal(t, http.StatusOK, res.status, res.body)
	require.Contains(t, res.body, `data-started="/batches/default/new-1"`)
	require.Equal(t, []string{"start 4"}, w.calls)
	require.Equal(t, "sender-ann", w.started[0].Batch.StartedBy)
	require.Contains(t, s.audit.String(), `"action":"start","result":"ok"`)
	require.NotContains(t, s.audit.String(), "4915112345670")
}

func TestAProblemOfEveryLineIsToldOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Batches: world(), Open: true})
	var file strings.Builder
	file.WriteString("to,name\n")
	for i := range 300 {
		fmt.Fprintf(&file, "+49151123%05d,x\n", i)
	}
	res := s.visitor(t).form("/new/check", "list.csv", file.String(), map[string]string{"text": "Hi ${nme}", "zone": "UTC"})
	require.Equal(t, http.StatusOK, res.status, res.body)
	require.LessOrEqual(t, strings.Count(res.body, "<tr>"), 4, "problems are in groups")
	require.Contains(t, res.body, "nme")
}

func TestAFormThatCannotBeReadStartsNothing(t *testing.T) {
	t.Parallel()
	w := world()
	s := serve(t, console.Options{Batches: w, Open: true})
	b := s.visitor(t)
	for name, fields := range map[string]map[string]string{
		"zone":   {"at": "2026-12-01T09:00", "zone": "Europe/Nowhere"},
		"time":   {"at": "nine", "zone": "UTC"},
		"ttl":    {"ttl": "soon"},
		"tenant": {"tenant": "other"},
	} {
		res := b.form("/new", "list.csv", "to\n+4915112345670\n", fields)
		require.Equal(t, http.StatusUnprocessableEntity, res.status, name)
	}
	require.Empty(t, w.calls)
}
