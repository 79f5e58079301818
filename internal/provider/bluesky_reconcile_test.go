package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// chatMessage is a message of ours in a conversation, some seconds after the attempt.
func chatMessage(id, text string, seconds float64, more string) string {
	return chatMessageFrom(bskyDID, id, text, seconds, more)
}

func chatMessageFrom(did, id, text string, seconds float64, more string) string {
	return fmt.Sprintf(`{"$type":"chat.bsky.convo.defs#messageView","id":%q,"rev":"r","text":%q,"sender":{"did":%q},"sentAt":%q%s}`,
		id, text, did, attempt().Add(time.Duration(seconds*float64(time.Second))).Format(time.RFC3339Nano), more)
}

func attempt() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// convo serves a conversation, newest first, two messages a page.
func convo(views []string) *pds {
	return &pds{chat: func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		to := min(from+2, len(views))
		cursor := ""
		if to < len(views) {
			cursor = fmt.Sprintf(`"cursor":"%d",`, to)
		}
		_, _ = io.WriteString(w, `{`+cursor+`"messages":[`+strings.Join(views[from:to], ",")+`]}`)
	}}
}

func TestBlueskyReconciles(t *testing.T) {
	t.Parallel()
	rich := outgoing("bluesky", "c-1", `{"convoId":"c-1","message":{"text":"Hi","facets":[{"index":{"byteStart":0,"byteEnd":2}}],
		"embed":{"$type":"app.bsky.embed.record","record":{"uri":"at://u/1","cid":"c"}},"replyTo":{"messageId":"m-0"}}}`)
	const shown = `,"facets":[{"index":{"byteStart":0,"byteEnd":2}}],"embed":{"$type":"app.bsky.embed.record#view","record":{"uri":"at://u/%s"}},"replyTo":{"id":"m-0"}`
	plain := outgoing("bluesky", "c-1", bskyContent)
	other := outgoing("bluesky", "c-1", `{"convoId":"c-1","message":{"text":"Hi","embed":{"$type":"x.y","z":1}}}`)
	bare := outgoing("bluesky", "c-1", `{"convoId":"c-1","message":{"text":"Hi","facets":[]}}`)
	old := chatMessage("old", "Hi", -3600, "")
	deleted := fmt.Sprintf(`{"$type":"chat.bsky.convo.defs#deletedMessageView","id":"d","rev":"r","sender":{"did":%q},"sentAt":"2026-05-01T12:00:01Z"}`, bskyDID)
	system := `{"$type":"chat.bsky.convo.defs#systemMessageView","id":"s","rev":"r","sentAt":"2026-05-01T12:00:01Z","data":{}}`
	var chatter []string
	for i := range 9 {
		chatter = append(chatter, chatMessage(fmt.Sprint("x", i), "other", 9-float64(i), ""))
	}
	for name, c := range map[string]struct {
		m     message.Outgoing
		views []string
		taken []string
		want  provider.Verdict
		id    string
	}{
		"its text at its time":              {plain, []string{chatMessage("m-1", "Hi", 1, ""), old}, nil, provider.CannotTell, ""},
		"its text on a later page":          {plain, append(append([]string{}, chatter...), chatMessage("m-1", "Hi", 0, "")), nil, provider.CannotTell, ""},
		"its text when trimmed":             {plain, []string{chatMessage("m-1", " Hi\n", 1, "")}, nil, provider.CannotTell, ""},
		"its text, facets and references":   {rich, []string{chatMessage("m-1", "Hi", 1, fmt.Sprintf(shown, "1"))}, nil, provider.CannotTell, ""},
		"its text beside one that is taken": {plain, []string{chatMessage("m-2", "Hi", 2, ""), chatMessage("m-1", "Hi", 1, "")}, []string{"m-2"}, provider.CannotTell, ""},
		"absent from an empty one":          {plain, nil, nil, provider.Absent, ""},
		"absent when read far enough":       {plain, append(append([]string{}, chatter...), old), nil, provider.Absent, ""},
		"absent though another said it":     {plain, []string{chatMessageFrom("did:plc:you", "m-1", "Hi", 1, ""), system}, nil, provider.Absent, ""},
		"absent when all are taken":         {plain, []string{chatMessage("m-1", "Hi", 1, "")}, []string{"m-1"}, provider.Absent, ""},
		"its text twice":                    {plain, []string{chatMessage("m-2", "Hi", 2, ""), chatMessage("m-1", "Hi", 1, "")}, nil, provider.CannotTell, ""},
		"a minute off":                      {plain, []string{chatMessage("m-1", "Hi", 60, "")}, nil, provider.CannotTell, ""},
		"another embed is in doubt":         {rich, []string{chatMessage("m-1", "Hi", 1, fmt.Sprintf(shown, "2"))}, nil, provider.CannotTell, ""},
		"an embed of unknown kind":          {other, []string{chatMessage("m-1", "Hi", 1, `,"embed":{"$type":"x.y#view","z":2}`)}, nil, provider.CannotTell, ""},
		"an embed that is not shown":        {rich, []string{chatMessage("m-1", "Hi", 1, strings.Replace(fmt.Sprintf(shown, "1"), "embed", "bed", 1))}, nil, provider.CannotTell, ""},
		"an embed that is not ours":         {plain, []string{chatMessage("m-1", "Hi", 1, `,"embed":{"$type":"x.y#view"}`)}, nil, provider.CannotTell, ""},
		"its text without facets":           {bare, []string{chatMessage("m-1", "Hi", 1, "")}, nil, provider.CannotTell, ""},
		"facets of its own are in doubt":    {plain, []string{chatMessage("m-1", "Hi", 1, fmt.Sprintf(shown, "1"))}, nil, provider.CannotTell, ""},
		"a deleted one may have been ours":  {plain, []string{deleted}, nil, provider.CannotTell, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, blueskyAccount(answering(t, convo(c.views).ServeHTTP)))
			answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{
				Message: c.m, Since: attempt(), Until: attempt().Add(10 * time.Second), Taken: c.taken,
			})
			require.NoError(t, err)
			require.Equal(t, c.want, answer.Verdict, answer.Detail)
			require.Equal(t, c.id, answer.Receipt.ProviderID)
			require.Equal(t, c.want == provider.CannotTell, answer.Detail != "")
		})
	}
}

func TestBlueskyStopsReadingAtOlderMessages(t *testing.T) {
	t.Parallel()
	views := []string{chatMessage("m-1", "Hi", 1, "")}
	for i := range 20 {
		views = append(views, chatMessage(fmt.Sprint("o", i), "Hi", -3600-float64(i), ""))
	}
	p := convo(views)
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: outgoing("bluesky", "c-1", bskyContent), Since: attempt(), Until: attempt()})
	require.NoError(t, err)
	require.Equal(t, provider.CannotTell, answer.Verdict)
	require.Equal(t, []string{"com.atproto.server.createSession", "chat.bsky.convo.getMessages"}, p.seen().calls)
}

func TestBlueskyCannotTellFromAListingWithoutEnd(t *testing.T) {
	t.Parallel()
	p := &pds{chat: writing(200, `{"cursor":"again","messages":[]}`)}
	s := open(t, blueskyAccount(answering(t, p.ServeHTTP)))
	answer, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: outgoing("bluesky", "c-1", bskyContent), Since: attempt(), Until: attempt()})
	require.NoError(t, err)
	require.Equal(t, provider.CannotTell, answer.Verdict)
	require.Less(t, len(p.seen().calls), 100)
}

func TestBlueskyDoesNotGuessFromABrokenListing(t *testing.T) {
	t.Parallel()
	for _, h := range []http.HandlerFunc{writing(200, `{}`), writing(200, `[`), writing(400, `{"error":"InvalidConvo"}`), writing(503, ``)} {
		s := open(t, blueskyAccount(answering(t, (&pds{chat: h}).ServeHTTP)))
		_, err := s.(provider.Reconciler).Reconcile(t.Context(), provider.Query{Message: outgoing("bluesky", "c-1", bskyContent), Since: attempt(), Until: attempt()})
		var e *provider.Error
		require.ErrorAs(t, err, &e)
	}
}
