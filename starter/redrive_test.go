package starter_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

func TestRedriveSendsExactlyTheSelectedMessagesAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		query   starter.RedriveQuery
		to      []string
		unknown int
	}{
		"by default":       {starter.RedriveQuery{}, []string{"1", "2", "6"}, 1},
		"by state":         {starter.RedriveQuery{States: []string{"canceled", "unknown", "canceled"}}, []string{"3", "4"}, 0},
		"by code":          {starter.RedriveQuery{Code: "http_400"}, []string{"1", "6"}, 0},
		"not sent":         {starter.RedriveQuery{States: []string{"not-sent"}}, []string{"1", "2", "4", "6"}, 1},
		"two in one":       {starter.RedriveQuery{States: []string{"expired, unknown"}}, []string{"2", "3"}, 0},
		"by recipient":     {starter.RedriveQuery{Selector: message.Selector{To: "+1 555 000-0002"}}, []string{"2"}, 0},
		"by account":       {starter.RedriveQuery{Selector: message.Selector{Account: "nobody"}}, nil, 0},
		"by metadata":      {starter.RedriveQuery{Selector: message.Selector{Meta: "n=2"}, Code: "http_400"}, []string{"1", "6"}, 0},
		"by state and all": {starter.RedriveQuery{States: []string{"failed"}, Code: ""}, []string{"1", "6"}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			later := noon.Add(24 * time.Hour)
			now := noon
			s, f := newStarter(t, starter.Options{Now: func() time.Time { return now }})
			r := request("a", 7)
			r.Batch.TTL = 60_000
			r.Batch.SendAfter = noon.Add(time.Hour).UnixMilli()
			r.Batch.Messages[1].Due = noon.Add(2 * time.Hour).UnixMilli()
			r.Batch.Messages[6].Problems, r.Batch.Messages[6].Route = nil, 0
			start(t, s, r)
			f.flow(t, "batch-a").complete(t, resultOf("a", 7))

			now = later
			got, err := s.Redrive(t.Context(), a, tt.query)
			if tt.to == nil {
				require.ErrorIs(t, err, starter.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "a", got.RedriveOf)
			require.Equal(t, len(tt.to), got.Total)
			require.Equal(t, tt.unknown, got.Unknown)
			require.False(t, got.Existing)
			require.NotEqual(t, "a", got.ID)

			in := decode[contract.Input](t, f.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
			var to []string
			for i := range in.Batch.Messages {
				to = append(to, in.Batch.Messages[i].Params["n"])
				require.Equal(t, later.UnixMilli(), in.Batch.DueAt(&in.Batch.Messages[i]), "due at once")
				require.EqualValues(t, 60_000, in.Batch.Validity(&in.Batch.Messages[i]))
				require.Equal(t, "one", in.Batch.HopsOf(&in.Batch.Messages[i])[0].Account)
			}
			require.Equal(t, tt.to, to)
			require.Nil(t, in.State)

			now = later.Add(time.Minute)
			again, err := s.Redrive(t.Context(), a, tt.query)
			require.NoError(t, err)
			require.True(t, again.Existing, "asking again sends nothing twice")
			require.Equal(t, got.ID, again.ID)
			require.Equal(t, "a", again.RedriveOf)
		})
	}
}

func TestRedriveAtATime(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 5)
	at := noon.Add(3*24*time.Hour + time.Nanosecond)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{SendAfter: at})
	require.NoError(t, err)
	require.Equal(t, noon.Add(3*24*time.Hour+time.Millisecond), *got.SendAfter, "never early")
	in := decode[contract.Input](t, f.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
	require.Equal(t, got.SendAfter.UnixMilli(), in.Batch.DueAt(&in.Batch.Messages[0]))

	again, err := s.Redrive(t.Context(), a, starter.RedriveQuery{SendAfter: at.Add(time.Hour)})
	require.NoError(t, err)
	require.True(t, again.Existing, "another time sends nothing twice")
	require.Equal(t, got.SendAfter, again.SendAfter, "and says when it is due")

	_, err = s.Redrive(t.Context(), a, starter.RedriveQuery{ID: "far", SendAfter: noon.Add(366 * 24 * time.Hour)})
	require.ErrorIs(t, err, starter.ErrInvalid)
	past, err := s.Redrive(t.Context(), a, starter.RedriveQuery{ID: "past", Again: true, SendAfter: noon.Add(-time.Hour)})
	require.NoError(t, err)
	require.Nil(t, past.SendAfter, "at once, with all of its time to live")
}

func TestRedriveUnderAnIDOfTheCallers(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 5)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{ID: "again"})
	require.NoError(t, err)
	require.Equal(t, "again", got.ID)
	require.Contains(t, f.flows, "batch-again")
	_, err = s.Redrive(t.Context(), a, starter.RedriveQuery{ID: "again", States: []string{"unknown"}})
	require.ErrorIs(t, err, starter.ErrConflict)
}

func TestRedriveOfATerminatedBatch(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 2))
	page := contract.LedgerPage{V: 1, InFlight: []contract.InFlight{attemptOf(1)}}
	page.Ledger = message.Ledger{V: 1, Records: records(2, func(i int) message.Record { return []message.Record{retryingRecord(0), sendingRecord(1)}[i] })}
	f.flow(t, "batch-a").cut(t, page, under("1.1", contract.SendName, true, nil))
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 1, got.Total)
}

func TestRedriveRefuses(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 5)
	for _, state := range []string{"sent", "delivered", "rejected", "retrying", "gone", "", "failed,", "failed,sent", "failed,waiting"} {
		_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{state}})
		require.ErrorIs(t, err, starter.ErrInvalid, state)
	}
	_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Code: "none"})
	require.ErrorIs(t, err, starter.ErrNotFound, "nothing is selected")

	require.Len(t, f.flows, 1)
}

func TestARedriveThatIsNotAllowedTakesNothing(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 7)
	r.Batch.Priority = 1
	start(t, s, r)
	f.flow(t, "batch-a").complete(t, resultOf("a", 7))
	no := errors.New("no")
	_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Allow: func(*message.Batch) error { return no }})
	require.ErrorIs(t, err, no)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Code: "http_400", Allow: func(b *message.Batch) error {
		b.Priority = 4
		return nil
	}})
	require.NoError(t, err)
	require.Zero(t, got.AlreadyRedriven)
	in := decode[contract.Input](t, f.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
	require.Equal(t, 4, in.Batch.Priority)
}
