package provider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/provider/providertest"
)

func imkitAccount(base string) provider.Account {
	return provider.Account{Provider: "imkit", BaseURL: base, APIKey: "imkit-key-4711"}
}

func TestIMKITKeepsToTheTable(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(string) string{
		"errors of a call": func(text string) string {
			return quote(map[string]any{"RC": 400, "RM": text, "error": map[string]string{"code": text, "message": text}})
		},
		"errors of a key": func(text string) string { return quote(map[string]string{"error": text, "message": text}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, func(t *testing.T, base string) provider.Sender { return open(t, imkitAccount(base)) }, providertest.Hooks{
				Message:    outgoing("imkit", "kokodemo1", `{"messageType":"text","message":"Hi","receiver":"kokodemo1",`+unknown+`}`),
				Accepted:   `{"RC":0,"RM":"OK","result":{"batchID":"batch-1","count":1}}`,
				ProviderID: "batch-1",
				Fault:      fault,
				Refused:    `{"RC":404,"RM":"no such room","error":{"code":"ROOM_NOT_FOUND","message":"no such room"}}`,
				Secrets:    []string{"imkit-key-4711"},
				CarriesID:  true,
			})
		})
	}
}

// answering is a server with one handler, and the requests that it got.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestIMKITSendsABatchOfOne(t *testing.T) {
	t.Parallel()
	plain := outgoing("volley", "kokodemo1", `{}`)
	plain.Text = "Hi"
	for name, c := range map[string]struct {
		m      message.Outgoing
		sender string
		want   string
	}{
		"the caller's fields stay and the para takes the recipient": {
			m: outgoing("imkit", "r", `{"messageType":"flex","message":{"a":[1,2.50]},"room":"r","receiver":"x","push":true,"sender":"boss","extra":{"k":"v"}}`),
			want: `{"messageType":"flex","message":{"a":[1,2.50]},"push":true,"sender":"boss","extra":{"k":"v","_volley_id":"` + messageID + `"},
				"paras":[{"room":"r","receiver":"x"}]}`,
			sender: "account",
		},
		"push is explicit and the account's sender stands in": {
			m:      outgoing("imkit", "x", `{"messageType":"text","message":"Hi","receiver":"x"}`),
			sender: "account",
			want: `{"messageType":"text","message":"Hi","push":false,"sender":"account","extra":{"_volley_id":"` + messageID + `"},
				"paras":[{"receiver":"x"}]}`,
		},
		"an extra that is no object is left alone": {
			m:    outgoing("imkit", "x", `{"messageType":"text","message":"Hi","receiver":"x","extra":"mine"}`),
			want: `{"messageType":"text","message":"Hi","push":false,"extra":"mine","paras":[{"receiver":"x"}]}`,
		},
		"a caller's own key of ours is left alone": {
			m:    outgoing("imkit", "x", `{"messageType":"text","message":"Hi","receiver":"x","extra":{"_volley_id":"mine"}}`),
			want: `{"messageType":"text","message":"Hi","push":false,"extra":{"_volley_id":"mine"},"paras":[{"receiver":"x"}]}`,
		},
		"another dialect's text goes to a receiver": {
			m: plain,
			want: `{"messageType":"text","message":"Hi","push":false,"extra":{"_volley_id":"` + messageID + `"},
				"paras":[{"receiver":"kokodemo1"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got, key, path string
			a := imkitAccount(answering(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got, key, path = string(b), r.Header.Get("IM-API-KEY"), r.Method+" "+r.URL.Path
				_, _ = io.WriteString(w, `{"RC":0,"RM":"OK","result":{"batchID":"b-1","count":"1"}}`)
			}))
			a.Sender = c.sender
			receipt, err := open(t, a).Send(t.Context(), c.m)
			require.NoError(t, err)
			require.Equal(t, "b-1", receipt.ProviderID)
			require.JSONEq(t, c.want, got)
			require.Equal(t, "imkit-key-4711", key)
			require.Equal(t, "POST /messages/batch", path)
		})
	}
}

func TestIMKITRefusesWhatItCannotCarry(t *testing.T) {
	t.Parallel()
	s := open(t, imkitAccount(answering(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent") })))
	for _, m := range []message.Outgoing{outgoing("bird", "x", `{}`), outgoing("imkit", "x", `[]`)} {
		_, err := s.Send(t.Context(), m)
		var e *provider.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, provider.Invalid, e.Kind)
		require.Equal(t, provider.CodeContent, e.Code)
	}
}

func TestIMKITAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		kind   provider.Kind
		code   string
		wait   time.Duration
	}{
		"the wait stands in the body":           {429, `{"error":"RATE_LIMIT_EXCEEDED","message":"slow down","retryAfter":17}`, provider.Throttled, "RATE_LIMIT_EXCEEDED", 17 * time.Second},
		"a rate limit inside a 200":             {200, `{"error":"RATE_LIMIT_EXCEEDED","message":"slow down","retryAfter":3}`, provider.Throttled, "RATE_LIMIT_EXCEEDED", 3 * time.Second},
		"an RC without a name":                  {200, `{"RC":1,"RM":"bad"}`, provider.Rejected, "rc_1", 0},
		"an RC as a string":                     {200, `{"RC":"400","RM":"bad","error":{"code":"MISSING_PARAMETER","message":"bad"}}`, provider.Rejected, "MISSING_PARAMETER", 0},
		"a wrong key":                           {401, `{"error":"INVALID_API_KEY","message":"no"}`, provider.Unauthorized, "INVALID_API_KEY", 0},
		"a room that the sender is not part of": {403, `{"RC":403,"RM":"no","error":{"code":"NOT_ROOM_MEMBER","message":"no"}}`, provider.Rejected, "NOT_ROOM_MEMBER", 0},
		"no RC and no error":                    {200, `{"error":null,"result":{"batchID":"b"}}`, provider.Ambiguous, provider.CodeUnreadable, 0},
		"a missing parameter":                   {400, `{"RC":400,"RM":"no","error":{"code":"MISSING_PARAMETER","message":"no"}}`, provider.Invalid, "MISSING_PARAMETER", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, imkitAccount(answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})))
			_, err := s.Send(t.Context(), outgoing("imkit", "x", `{"receiver":"x"}`))
			var e *provider.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.kind, e.Kind)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.wait, e.RetryAfter)
		})
	}
}

// listed is a message as IMKIT lists it.
type listed struct {
	ID    string          `json:"_id"`
	Batch string          `json:"batchID"`
	At    int64           `json:"messageTimeMS"`
	Extra json.RawMessage `json:"extra,omitempty"`
}

// imkitRooms serves a listing of messages, newest first, at most most a page.
func imkitRooms(all []listed, most int, total bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		since, err1 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("startDate"))
		until, err2 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("endDate"))
		if err1 != nil || err2 != nil || r.URL.Path != "/admin/messages" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		data, count := []listed{}, 0
		for _, m := range all {
			if m.At < since.UnixMilli() || m.At >= until.UnixMilli() {
				continue
			}
			if count++; len(data) < most {
				data = append(data, m)
			}
		}
		result := map[string]any{"data": data}
		if total {
			result["totalCount"] = count
		}
		_, _ = io.WriteString(w, quote(map[string]any{"RC": 0, "RM": "OK", "result": result}))
	}
}

// imkitPageTotals is imkitRooms with a total that counts the page.
func imkitPageTotals(all []listed) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		imkitRooms(all, 100, false)(rec, r)
		var answer map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		result, _ := answer["result"].(map[string]any)
		data, _ := result["data"].([]any)
		result["totalCount"] = len(data)
		_, _ = io.WriteString(w, quote(answer))
	}
}

func TestIMKITReconciles(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	// rooms makes n messages, two in every millisecond, ours at position i.
	rooms := func(n, i int) []listed {
		out := make([]listed, n)
		for j := range out {
			out[j] = listed{ID: fmt.Sprint(j), Batch: fmt.Sprintf("batch-%d", j), At: at.UnixMilli() - int64(j/2), Extra: json.RawMessage(`{"_volley_id":"other"}`)}
			if j == i {
				out[j].Extra = json.RawMessage(`{"k":1,"_volley_id":"` + messageID + `"}`)
			}
		}
		return out
	}
	long := rooms(1, 0)
	long[0].At = at.Add(-time.Hour).UnixMilli()
	crowd := rooms(150, -1)
	for i := range crowd {
		crowd[i].At = at.UnixMilli()
	}
	ours := outgoing("imkit", "x", `{"receiver":"x"}`)
	closed := outgoing("imkit", "x", `{"receiver":"x","extra":"mine"}`)
	for name, c := range map[string]struct {
		m       message.Outgoing
		handler http.HandlerFunc
		want    provider.Verdict
		id      string
	}{
		"found on the first page":            {ours, imkitRooms(rooms(3, 1), 100, true), provider.Found, "batch-1"},
		"found on a later page":              {ours, imkitRooms(rooms(350, 333), 100, true), provider.Found, "batch-333"},
		"absent from an empty window":        {ours, imkitRooms(nil, 100, true), provider.Absent, ""},
		"absent from the whole window":       {ours, imkitRooms(rooms(350, -1), 100, true), provider.Absent, ""},
		"absent without a total":             {ours, imkitRooms(rooms(350, -1), 100, false), provider.Absent, ""},
		"pages shorter than asked for":       {ours, imkitRooms(rooms(35, 33), 20, false), provider.Found, "batch-33"},
		"a total of the page only":           {ours, imkitPageTotals(rooms(350, 333)), provider.Found, "batch-333"},
		"outside of the window is not ours":  {ours, imkitRooms(long, 100, true), provider.Absent, ""},
		"a crowded millisecond hides some":   {ours, imkitRooms(crowd, 100, true), provider.CannotTell, ""},
		"a page that is smaller than its ms": {ours, imkitRooms(crowd, 100, false), provider.CannotTell, ""},
		"a message without a time":           {ours, writing(200, `{"RC":0,"result":{"data":[{"_id":"1"}]}}`), provider.CannotTell, ""},
		"a message without an id":            {ours, writing(200, `{"RC":0,"result":{"data":[{"messageTimeMS":1}]}}`), provider.CannotTell, ""},
		"no id of ours, no answer":           {closed, imkitRooms(nil, 100, true), provider.CannotTell, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, imkitAccount(answering(t, c.handler)))
			answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: c.m, Since: at.Add(-time.Second), Until: at})
			require.NoError(t, err)
			require.Equal(t, c.want, answer.Verdict, answer.Detail)
			require.Equal(t, c.id, answer.Receipt.ProviderID)
			require.Equal(t, c.want == provider.CannotTell, answer.Detail != "")
		})
	}
}

func TestIMKITDoesNotGuessFromABrokenListing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no data":        `{"RC":0,"RM":"OK","result":{}}`,
		"an error":       `{"RC":403,"RM":"no","error":{"code":"INSUFFICIENT_PERMISSION"}}`,
		"not a document": `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, imkitAccount(answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })))
			answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: outgoing("imkit", "x", `{}`), Since: time.Now(), Until: time.Now()})
			var e *provider.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, provider.CannotTell, answer.Verdict)
		})
	}
}

func TestAPasswordInABaseURLIsInNoError(t *testing.T) {
	t.Parallel()
	srv := answering(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, quote(map[string]any{"RM": "not for " + password + ", " + r.Header.Get("Authorization")}))
	})
	_, err := open(t, imkitAccount(strings.Replace(srv, "://", "://proxy:pass-4711@", 1))).Send(t.Context(), outgoing("imkit", "x", `{"receiver":"x"}`))
	var e *provider.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "not for ***, Basic ***", e.Detail)
}
