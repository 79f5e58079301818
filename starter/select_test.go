package starter_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// people is a batch of five with references and metadata, one recipient of which comes
// twice.
func people(t *testing.T, id string) (*starter.Starter, *fake, message.Result) {
	t.Helper()
	s, f := newStarter(t, starter.Options{})
	r := request(id, 5)
	b := r.Batch
	b.Region = "US"
	for i := range b.Messages {
		m := &b.Messages[i]
		m.Problems, m.Route = nil, 0
		m.Reference = fmt.Sprintf("c-%d", 4000+i)
		m.Body = []byte(`{"text":"code ${n}"}`)
	}
	b.Template = message.Template{Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}}}
	b.Messages[1].To, b.Messages[1].Phone = "(212) 555-0101", "+12125550101"
	b.Messages[2].To, b.Messages[2].Metadata = "212-555-0101", []byte(`{"vip":true}`)
	b.Messages[3].Reference = "4"
	b.Messages[4].Reference = "0001"
	start(t, s, r)
	res := resultOf(id, 5)
	for i := range res.Rows {
		m := &b.Messages[i]
		res.Rows[i].Reference = &m.Reference
		res.Rows[i].Address(m)
	}
	return s, f, res
}

func TestMessagesAreFoundByWhatPeopleKnowOfThem(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprint("open ", open), func(t *testing.T) {
			t.Parallel()
			s, f, res := people(t, "a")
			if open {
				f.flow(t, "batch-a").query = worker(t, res)
			} else {
				f.flow(t, "batch-a").complete(t, res)
			}
			for name, want := range map[string]int{"c-4000": 0, "4": 4, "1": 1, key.MessageID(3): 3, "0001": 4, "+15550000000": 0, " +1 555-000-0003 ": 3} {
				row, err := s.Message(t.Context(), a, name)
				require.NoError(t, err, name)
				require.Equal(t, want, row.Index, name)
				require.Equal(t, fmt.Sprintf("code %d", want), *row.Text)
			}
			for _, name := range []string{"c-9", "99", "", "+4915112345678"} {
				_, err := s.Message(t.Context(), a, name)
				require.ErrorIs(t, err, starter.ErrNotFound, name)
			}
			var several *starter.SeveralError
			_, err := s.Message(t.Context(), a, "+12125550101")
			require.ErrorAs(t, err, &several)
			require.ErrorIs(t, err, starter.ErrInvalid)
			require.ErrorContains(t, err, "by index: 1 (failed), 2 (expired)")

			for want, q := range map[string]message.PageQuery{
				"[1 2]": {Selector: message.Selector{To: "212 555 0101"}},
				"[2]":   {Selector: message.Selector{Meta: "vip=true"}},
				"[3]":   {Selector: message.Selector{Reference: "4"}},
				"[1]":   {Selector: message.Selector{To: "+12125550101"}, State: "failed"},
				"[]":    {Selector: message.Selector{Account: "two"}},
			} {
				var got []int
				q.Limit = 1
				for {
					page, err := s.Messages(t.Context(), a, q)
					require.NoError(t, err)
					require.LessOrEqual(t, len(page.Messages), 1)
					for _, row := range page.Messages {
						got = append(got, row.Index)
					}
					if q.Cursor = page.Next; page.Next == "" {
						break
					}
				}
				require.Equal(t, want, fmt.Sprint(got))
			}
			ids, err := s.Select(t.Context(), a, starter.ResultQuery{State: "not-sent", Selector: message.Selector{Meta: "campaign=x"}})
			require.NoError(t, err)
			require.Equal(t, []string{key.MessageID(1), key.MessageID(4)}, ids)
			_, err = s.Select(t.Context(), a, starter.ResultQuery{Selector: message.Selector{To: "nobody"}})
			require.ErrorIs(t, err, starter.ErrNotFound)
			_, err = s.Messages(t.Context(), a, message.PageQuery{Selector: message.Selector{Meta: "x"}})
			require.ErrorIs(t, err, starter.ErrInvalid)
		})
	}
}

func TestACancelNamesMessagesAsPeopleDo(t *testing.T) {
	t.Parallel()
	s, f, res := people(t, "a")
	f.flow(t, "batch-a").complete(t, res)
	got, err := s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"c-4000", "0", "0001"}})
	require.NoError(t, err)
	require.Equal(t, []string{key.MessageID(0)}, got.Sent)
	require.Equal(t, []string{key.MessageID(4)}, got.Ended)
	_, err = s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"+12125550101"}})
	var several *starter.SeveralError
	require.ErrorAs(t, err, &several)
}

func TestWhatASensitiveBatchSaysIsNotShownAgain(t *testing.T) {
	t.Parallel()
	for name, mark := range map[string]func(*message.Batch){
		"the batch says so": func(b *message.Batch) { b.Sensitive = true },
		"an account does":   func(b *message.Batch) { b.Policies["two"] = message.Policy{Provider: "bird", Sensitive: true} },
		"it sends codes":    func(b *message.Batch) { b.Policies["one"] = message.Policy{Provider: "bird", TwoFactor: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			r := request("a", 2)
			r.Batch.Template = message.Template{Body: []byte(`{"text":"secret ${n}"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}}}
			r.Batch.Messages[0].Body = []byte(`{"text":"secret"}`)
			mark(r.Batch)
			start(t, s, r)
			f.flow(t, "batch-a").complete(t, resultOf("a", 2))
			row, err := s.Message(t.Context(), a, "0")
			require.NoError(t, err)
			require.Nil(t, row.Text)
			b, err := s.Accepted(t.Context(), a)
			require.NoError(t, err)
			require.Nil(t, b.Template.Body)
			require.Nil(t, b.Messages[0].Body)
			require.Nil(t, b.Messages[0].Params)
			require.Equal(t, "+15550000000", b.Messages[0].To)
		})
	}
}

func TestALargeBatchIsSearchedMessageByMessage(t *testing.T) {
	t.Parallel()
	b, _ := ended(t)
	row, err := b.Message(t.Context(), a, "+1 555 000 2345")
	require.NoError(t, err)
	require.Equal(t, 2345, row.Index)
	page, err := b.Messages(t.Context(), a, message.PageQuery{Limit: 1, Selector: message.Selector{To: "+15550003210"}})
	require.NoError(t, err)
	require.Len(t, page.Messages, 1)
	require.Equal(t, 3210, page.Messages[0].Index)
	require.Empty(t, page.Next)
	ids, err := b.Select(t.Context(), a, starter.ResultQuery{State: "failed", Selector: message.Selector{Account: "one", Meta: "campaign=x"}})
	require.NoError(t, err)
	require.Len(t, ids, 1000)

	running, _ := halfway(t)
	page, err = running.Messages(t.Context(), a, message.PageQuery{Selector: message.Selector{To: "+15550002100"}})
	require.NoError(t, err)
	require.Equal(t, 2100, page.Messages[0].Index)
	got, err := running.Redrive(t.Context(), a, starter.RedriveQuery{Selector: message.Selector{To: "+15550002100"}})
	require.ErrorIs(t, err, starter.ErrNotFound, got.ID)
}
