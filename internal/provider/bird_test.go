package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

func TestBirdSendsTheCallersRequestFieldForField(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ content, want string }{
		"without a reference ours stands there": {
			`{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text"},"tags":["a"],"reference":""}`,
			`{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text"},"tags":["a"],"reference":"` + messageID + `"}`,
		},
		"a reference is kept and ours goes into meta": {
			`{"reference":"mine","meta":{"extraInformation":{"useCase":"marketing"},"sms":{"smartEncoding":true}}}`,
			`{"reference":"mine","meta":{"extraInformation":{"useCase":"marketing","volleyMessageId":"` + messageID + `"},"sms":{"smartEncoding":true}}}`,
		},
		"a reference with no meta": {
			`{"reference":"mine","meta":null}`,
			`{"reference":"mine","meta":{"extraInformation":{"volleyMessageId":"` + messageID + `"}}}`,
		},
		"the caller's own key in meta is kept": {
			`{"reference":"mine","meta":{"extraInformation":{"volleyMessageId":"theirs"}}}`,
			`{"reference":"mine","meta":{"extraInformation":{"volleyMessageId":"theirs"}}}`,
		},
		"a meta that is nothing like one is Bird's to refuse": {
			`{"reference":"mine","meta":7}`, `{"reference":"mine","meta":7}`,
		},
		"validity becomes what is left of it": {
			`{"validity":129600}`, `{"validity":90,"reference":"` + messageID + `"}`,
		},
		"no validity stays none": {
			`{"validity":null}`, `{"validity":null,"reference":"` + messageID + `"}`,
		},
		"the time to send has come": {
			`{"scheduledFor":"2026-03-01T12:00:00Z"}`, `{"reference":"` + messageID + `"}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := record(t, answer(202, `{"id":"bird-1","status":"accepted"}`))
			m := outgoing("bird", "+1", tc.content)
			m.ExpiresAt = noon.Add(90*time.Second + 900*time.Millisecond)
			receipt, err := openAt(t, birdAccount(srv.URL)).Send(t.Context(), m)
			require.NoError(t, err)
			require.Equal(t, "bird-1", receipt.ProviderID)
			r := srv.got()[0]
			require.Equal(t, "POST /workspaces/ws/channels/ch/messages", r.Method+" "+r.URL.Path)
			require.Equal(t, "AccessKey bird-key-4711", r.Header.Get("Authorization"))
			require.Equal(t, "application/json", r.Header.Get("Content-Type"))
			require.JSONEq(t, tc.want, string(r.body))
		})
	}
}

func TestBirdGivesALastSecondToWhatIsAboutToExpire(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(202, `{"id":"bird-1"}`))
	m := outgoing("bird", "+1", `{"validity":5}`)
	m.ExpiresAt = noon.Add(10 * time.Millisecond)
	_, err := openAt(t, birdAccount(srv.URL)).Send(t.Context(), m)
	require.NoError(t, err)
	require.Contains(t, string(srv.got()[0].body), `"validity":1`)
}

func TestBirdSendsTheTextOfOtherDialects(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]struct{ key, value string }{
		"+1 (555) 000-1111": {"phonenumber", "+15550001111"},
		"1 555 000-1111":    {"phonenumber", "+15550001111"},
		"ann@example.com":   {"emailaddress", "ann@example.com"},
	} {
		srv := record(t, answer(202, `{"id":"bird-1"}`))
		m := outgoing("sinch", to, `{"message":{}}`)
		m.Text, m.Reference = "Hi <Ann>", "c-1"
		_, err := open(t, birdAccount(srv.URL)).Send(t.Context(), m)
		require.NoError(t, err)
		require.JSONEq(t, fmt.Sprintf(`{"receiver":{"contacts":[{"identifierKey":%q,"identifierValue":%q}]},
			"body":{"type":"text","text":{"text":"Hi <Ann>"}},"reference":%q}`, want.key, want.value, messageID), string(srv.got()[0].body))
	}
}

func TestWhatAnAccountCannotCarryNeverLeaves(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(200, `{}`), serveTokenOnly)
	accounts := map[string]provider.Account{"bird": birdAccount(srv.URL), "sinch": sinchAccount(srv.URL)}
	with := func(m message.Outgoing, text string) message.Outgoing { m.Text = text; return m }
	for name, tc := range map[string]struct {
		account string
		m       message.Outgoing
		code    string
	}{
		"bird, no text":            {"bird", outgoing("imkit", "+15550001111", `{}`), provider.CodeContent},
		"bird, a room":             {"bird", with(outgoing("imkit", "room-1", `{}`), "Hi"), provider.CodeRecipient},
		"bird, no object":          {"bird", outgoing("bird", "+1", `[]`), provider.CodeContent},
		"bird, null":               {"bird", outgoing("bird", "+1", `null`), provider.CodeContent},
		"sinch, no text":           {"sinch", outgoing("imkit", "+15550001111", `{}`), provider.CodeContent},
		"sinch, a room":            {"sinch", with(outgoing("imkit", "room-1", `{}`), "Hi"), provider.CodeRecipient},
		"sinch, no object":         {"sinch", outgoing("sinch", "+1", `7`), provider.CodeContent},
		"sinch, metadata in words": {"sinch", outgoing("sinch", "+1", `{"message_metadata":"words"}`), provider.CodeContent},
		"sinch, metadata a list":   {"sinch", outgoing("sinch", "+1", `{"conversation_metadata":[1]}`), provider.CodeContent},
		"sinch, long metadata": {"sinch", outgoing("sinch", "+1",
			`{"message_metadata":{"k":"`+strings.Repeat("x", 1000)+`"}}`), message.CodeTooLong},
		"sinch, long conversation metadata": {"sinch", outgoing("sinch", "+1",
			`{"conversation_metadata":{"k":"`+strings.Repeat("x", 2040)+`"}}`), message.CodeTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, accounts[tc.account]).Send(t.Context(), tc.m)
			e := failure(t, err)
			require.Equal(t, provider.Invalid, e.Kind)
			require.Equal(t, tc.code, e.Code)
		})
	}
	require.Empty(t, srv.got())
}

func serveTokenOnly(w http.ResponseWriter, r *http.Request) { serveToken(w, r) }

func TestBirdRefusesAMessageThatIsRejectedAtOnce(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(202, `{"id":"bird-1","status":"rejected","reason":"no such receiver","failure":{"code":11002}}`))
	_, err := open(t, birdAccount(srv.URL)).Send(t.Context(), outgoing("bird", "+1", `{}`))
	require.Equal(t, provider.Error{Kind: provider.Rejected, Code: "11002", Detail: "no such receiver"}, *failure(t, err))
}

func TestBirdReconciles(t *testing.T) {
	t.Parallel()
	const (
		plain   = `{"body":{"type":"text","text":{"text":"Hi"}}}`
		withRef = `{"reference":"mine","body":{"type":"text","text":{"text":"Hi"}}}`
	)
	const (
		callers = `{"reference":"mine","meta":{"extraInformation":{"volleyMessageId":"theirs"}},"body":{"type":"text","text":{"text":"Hi"}}}`
		contact = "4b7e08a9-5d0e-4e56-aaf1-cd0bfa29d431"
	)
	entry := func(id, reference, to, text, extra string) string {
		return fmt.Sprintf(`{"id":%q,"reference":%q,"createdAt":"2026-03-01T12:00:00Z","receiver":{"contacts":[{"identifierValue":%q}]},
			"body":{"type":"text","text":{"text":%q,"added":true}}%s}`, id, reference, to, text, extra)
	}
	const to = "+15550001111"
	mine := entry("p-1", "mine", "+1 555 000 1111", "Hi", "")
	tests := map[string]struct {
		content string
		to      string
		taken   []string
		pages   []string
		verdict provider.Verdict
		id      string
	}{
		"our reference is there":             {content: plain, pages: []string{entry("p-1", messageID, to, "Hi", "")}, verdict: provider.Found, id: "p-1"},
		"our reference is on a later page":   {content: plain, pages: []string{entry("p-0", "other", to, "Hi", ""), entry("p-1", messageID, to, "Hi", "")}, verdict: provider.Found, id: "p-1"},
		"our reference is nowhere":           {content: plain, pages: []string{entry("p-0", "other", to, "Hi", ""), ""}, verdict: provider.Absent},
		"our id is in meta":                  {content: withRef, pages: []string{entry("p-1", "mine", to, "Hi", `,"meta":{"extraInformation":{"volleyMessageId":"`+messageID+`"}}`)}, verdict: provider.Found, id: "p-1"},
		"one match by content":               {content: withRef, pages: []string{mine}},
		"two matches by content":             {content: withRef, pages: []string{mine, strings.Replace(mine, "p-1", "p-2", 1)}},
		"a match beside one in doubt":        {content: withRef, pages: []string{mine + "," + entry("p-0", "mine", to, "Bye", "")}},
		"one of two matches is taken":        {content: withRef, taken: []string{"p-2"}, pages: []string{mine + "," + strings.Replace(mine, "p-1", "p-2", 1)}},
		"nothing with its reference":         {content: withRef, pages: []string{""}, verdict: provider.Absent},
		"all with its reference are taken":   {content: withRef, taken: []string{"p-1"}, pages: []string{mine}, verdict: provider.Absent},
		"the same reference to another":      {content: withRef, pages: []string{entry("p-0", "mine", "+15550002222", "Hi", "")}, verdict: provider.Absent},
		"the same reference, other text":     {content: withRef, pages: []string{entry("p-0", "mine", to, "Bye", "")}},
		"a receiver that is not shown":       {content: withRef, pages: []string{`{"id":"p-0","reference":"mine"}`}},
		"a match with the id of another":     {content: withRef, pages: []string{entry("p-0", "mine", to, "Hi", `,"meta":{"extraInformation":{"volleyMessageId":"another"}}`)}, verdict: provider.Absent},
		"a contact shown by another address": {content: withRef, to: contact, pages: []string{mine}},
		"a contact shown with its id":        {content: withRef, to: contact, pages: []string{strings.Replace(mine, `{"identifierValue"`, `{"id":"`+contact+`","identifierValue"`, 1)}},
		"one of the contact's identifiers":   {content: withRef, pages: []string{strings.Replace(mine, `"+1 555 000 1111"`, `"ann","identifiers":[{"identifierValue":"`+to+`"}]`, 1)}},
		"a number without its country":       {content: withRef, pages: []string{entry("p-0", "mine", "0555 000 1111", "Hi", "")}},
		"another email address":              {content: withRef, to: "ann@example.com", pages: []string{entry("p-0", "mine", "bo@example.com", "Hi", "")}, verdict: provider.Absent},
		"the caller's own key in meta":       {content: callers, pages: []string{entry("p-1", "mine", to, "Hi", `,"meta":{"extraInformation":{"volleyMessageId":"theirs"}}`)}},
		"a match from long before":           {content: withRef, pages: []string{strings.Replace(mine, "12:00:00", "06:00:00", 1)}, verdict: provider.Absent},
		"a reference that happens to be id":  {content: `{"reference":"` + messageID + `"}`, pages: []string{`{"id":"p-0","reference":"` + messageID + `"}`}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := record(t, func(w http.ResponseWriter, r *http.Request) {
				n := 0
				_, _ = fmt.Sscan(r.URL.Query().Get("pageToken"), &n)
				next := "null"
				if n+1 < len(tc.pages) {
					next = fmt.Sprintf("\"%d\"", n+1)
				}
				_, _ = fmt.Fprintf(w, `{"results":[%s],"nextPageToken":%s,"total":9}`, tc.pages[n], next)
			})
			m := outgoing("bird", to, tc.content)
			if tc.to != "" {
				m.To = tc.to
			}
			a, err := reconciler(t, open(t, birdAccount(srv.URL))).Reconcile(t.Context(),
				provider.Query{Message: m, Since: noon, Until: noon.Add(10 * time.Second), Taken: tc.taken})
			require.NoError(t, err)
			require.Equal(t, tc.verdict, a.Verdict, a.Detail)
			require.Equal(t, tc.id, a.Receipt.ProviderID)
			require.Equal(t, a.Verdict == provider.CannotTell, a.Detail != "")
			r := srv.got()[0]
			require.Equal(t, "GET /workspaces/ws/channels/ch/messages", r.Method+" "+r.URL.Path)
			require.Equal(t, url.Values{
				"direction": {"outgoing"}, "limit": {"100"},
				"startAt": {"2026-03-01T11:55:00Z"}, "endAt": {"2026-03-01T12:05:10Z"},
			}, r.URL.Query())
		})
	}
}

func TestBirdDoesNotTakeSilenceForAbsence(t *testing.T) {
	t.Parallel()
	q := provider.Query{Message: outgoing("bird", "+1", `{}`), Since: noon, Until: noon}
	for name, body := range map[string]http.HandlerFunc{
		"an error":           answer(500, ``),
		"no list":            answer(200, `{}`),
		"null":               answer(200, `null`),
		"no JSON":            answer(200, `<html>`),
		"a page that breaks": answer(200, `{"results":[`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := reconciler(t, open(t, birdAccount(record(t, body).URL))).Reconcile(t.Context(), q)
			_ = failure(t, err)
		})
	}
	t.Run("a listing without end", func(t *testing.T) {
		t.Parallel()
		srv := record(t, answer(200, `{"results":[],"nextPageToken":"again"}`))
		a, err := reconciler(t, open(t, birdAccount(srv.URL))).Reconcile(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, provider.CannotTell, a.Verdict)
		require.NotEmpty(t, a.Detail)
		require.Len(t, srv.got(), 50)
	})
}

func reconciler(t *testing.T, s provider.Sender) provider.Reconciler {
	t.Helper()
	r, ok := s.(provider.Reconciler)
	require.True(t, ok)
	return r
}
