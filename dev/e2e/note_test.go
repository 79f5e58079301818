package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

// note is one message of a batch in the volley dialect.
type note struct {
	To        string            `json:"to"`
	Reference string            `json:"reference,omitempty"`
	Params    map[string]string `json:"params,omitempty"`
	Text      string            `json:"text,omitempty"`
	SendAfter string            `json:"sendAfter,omitempty"`
	TTL       string            `json:"ttl,omitempty"`
}

// notes are n plain messages to recipients of the test's own.
func notes(t *testing.T, n int) []note {
	all := make([]note, n)
	for i := range all {
		all[i] = note{To: fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "."), i), Params: map[string]string{"name": "Ann"}}
	}
	return all
}

// start starts a batch under the test's name, through an account, or through two
// with > between them, the second in case the first one refuses. No notes make an
// empty batch.
func (l *lab) start(t *testing.T, s *starter.Starter, account string, all []note) starter.Ref {
	t.Helper()
	return l.startText(t, s, account, "Hi ${name}", all)
}

func (l *lab) startText(t *testing.T, s *starter.Starter, account, text string, all []note) starter.Ref {
	t.Helper()
	r := l.request(t, account, text, all)
	_, err := s.Start(t.Context(), r)
	require.NoError(t, err)
	return r.Ref
}

// request is what start asks for.
func (l *lab) request(t *testing.T, account, text string, all []note) starter.Request {
	t.Helper()
	header := map[string]any{"text": text, "account": account, "messages": all}
	hops := strings.Split(account, ">")
	if len(hops) > 1 {
		delete(header, "account")
	}
	body, err := json.Marshal(header)
	require.NoError(t, err)
	name := "volley"
	if len(all) == 0 { // the one dialect in which a batch may be empty
		name, body = "bluesky", []byte(`{"items":[]}`)
	}
	d, err := dialect.Named(name)
	require.NoError(t, err)
	b, problems := d.Decode(body, dialect.Options{Now: time.Now()})
	require.Empty(t, problems)
	router := l.router()
	router.Routes = []message.Route{{Hops: hops}}
	if _, ok := router.Accounts[account]; !ok && len(hops) == 1 {
		router.Accounts[account] = l.hook(account, !strings.HasSuffix(account, "blind")).Policy()
	}
	router.Accept(b, d.Recipient)
	b.Dispatch = message.DispatchMessage
	if l.mode == groups {
		b.Dispatch = message.DispatchGroup
	}
	return starter.Request{Ref: starter.Ref{ID: strings.ReplaceAll(t.Name(), "/", ".")}, Body: body, Batch: b}
}
