package index_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

func TestFindPagesThroughEverythingNewestFirst(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	// More than is looked at in one go, in spans of three days that are far apart.
	const batches, messages = 7, 200
	for n := range batches {
		b := batch(fmt.Sprint("b", n))
		b.CreatedAt = noon().Add(-time.Duration(n) * 10 * 24 * time.Hour)
		ms := make([]index.Message, messages)
		for i := range ms {
			ms[i] = index.Message{Index: i, To: "+4915112345678", State: message.State(4 + i%2), FinishedAt: noon().Add(-time.Duration(i) * time.Minute), Rev: 1} //nolint:gosec // 4 or 5
			if i%2 == 0 {
				ms[i].To, ms[i].Others = "ann@example.com", []string{"+4915112345678"}
			}
		}
		require.NoError(t, x.Put(t.Context(), b, ms))
	}
	walk := func(q index.FindQuery) (all []string) {
		for {
			page, err := x.Find(t.Context(), q)
			require.NoError(t, err)
			for _, m := range page.Messages {
				all = append(all, fmt.Sprint(m.Batch, "/", m.Index))
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return all
			}
		}
	}
	var every, sent, late []string
	for n := range batches {
		for i := messages - 1; i >= 0; i-- {
			name := fmt.Sprint("b", n, "/", i)
			every = append(every, name)
			if i%2 == 0 {
				sent = append(sent, name)
			}
			if i <= 30 {
				late = append(late, name)
			}
		}
	}
	require.Equal(t, every, walk(index.FindQuery{To: "+49 151 12345678", Limit: 500}))
	require.Equal(t, sent, walk(index.FindQuery{Text: "+4915112345678", States: []message.State{message.Sent}, Limit: 11}))
	require.Equal(t, late, walk(index.FindQuery{To: "+4915112345678", Since: noon().Add(-30 * time.Minute)}))
	require.Empty(t, walk(index.FindQuery{To: "+4915112345678", Tenant: "acme"}))
}

func TestAQueryThatMakesNoSenseIsInvalid(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	for name, ask := range map[string]func() error{
		"nothing to find":  func() error { _, err := x.Find(t.Context(), index.FindQuery{Text: " "}); return err },
		"a large limit":    func() error { _, err := x.Find(t.Context(), index.FindQuery{Text: "a", Limit: 501}); return err },
		"a cursor":         func() error { _, err := x.Find(t.Context(), index.FindQuery{Text: "a", Cursor: "?"}); return err },
		"batches' cursor":  func() error { _, err := x.Batches(t.Context(), index.BatchesQuery{Cursor: "-1"}); return err },
		"cursor of nobody": func() error { _, err := x.Batches(t.Context(), index.BatchesQuery{Cursor: "zzz"}); return err },
		"cursor of suppressions": func() error {
			_, _, err := x.Suppressions(t.Context(), index.SuppressionQuery{Cursor: "x"})
			return err
		},
		"batches' names": func() error {
			_, err := x.Batches(t.Context(), index.BatchesQuery{Only: make([]index.BatchName, 501)})
			return err
		},
		"batches' limit": func() error { _, err := x.Batches(t.Context(), index.BatchesQuery{Limit: -1}); return err },
		"audit's cursor": func() error { _, _, err := x.Audit(t.Context(), index.AuditQuery{Cursor: "1"}); return err },
		"by":             func() error { _, err := x.Stats(t.Context(), index.StatsQuery{By: "colour"}); return err },
		"no key":         func() error { _, err := x.Stats(t.Context(), index.StatsQuery{By: "meta."}); return err },
	} {
		require.ErrorIs(t, ask(), index.ErrInvalid, name)
	}
}

func TestStatsSayHowLongMessagesTookAndWhichReportsAreMissing(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	ended := noon().Add(-30 * time.Hour)
	var ms []index.Message
	for i := range 100 {
		ms = append(ms, index.Message{Index: i, To: "+4915112345678", Account: "one", State: message.Delivered, DueAt: ended.Add(-time.Duration(i+1) * time.Second), SentAt: ended, FinishedAt: ended, Rev: 1})
	}
	ms[0].State, ms[1].State, ms[2].State = message.Undelivered, message.Sent, message.Sent
	ms[2].FinishedAt = noon().Add(-time.Hour) // its report may still come
	ms[3].State, ms[3].SentAt = message.Failed, time.Time{}
	ms[4].State, ms[4].FinishedAt = message.Scheduled, time.Time{}
	require.NoError(t, x.Put(t.Context(), batch("b1"), ms))
	all, err := x.Stats(t.Context(), index.StatsQuery{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	s := all[0]
	require.Equal(t, 99, s.Total, "one has not ended")
	require.Equal(t, 1, s.NoReport)
	require.InDelta(t, 97.0/99, s.Success, 1e-9)
	require.InDelta(t, 95.0/96, *s.DeliveryRate, 1e-9)
	require.InEpsilon(t, 51, *s.P50, 0.1)
	require.InEpsilon(t, 99, *s.P99, 0.1)

	none, err := x.Stats(t.Context(), index.StatsQuery{Tenant: "acme"})
	require.NoError(t, err)
	require.Empty(t, none)
	failed, err := x.Stats(t.Context(), index.StatsQuery{Tenant: "default", By: "account", Since: noon().Add(-2 * time.Hour)})
	require.NoError(t, err)
	require.Len(t, failed, 1)
	require.Equal(t, 1, failed[0].Total)
	require.Nil(t, failed[0].DeliveryRate, "neither delivered nor undelivered")
}

func TestADayIsThatOfTheZone(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	for name, tt := range map[string]struct {
		at        time.Time
		day, hour string
	}{
		"Asia/Kathmandu":   {time.Date(2026, 11, 29, 18, 14, 0, 0, time.UTC), "2026-11-29", "2026-11-29T23:00:00+05:45"},
		"Asia/Kolkata":     {time.Date(2026, 11, 29, 18, 31, 0, 0, time.UTC), "2026-11-30", "2026-11-30T00:00:00+05:30"},
		"America/New_York": {time.Date(2026, 11, 30, 4, 59, 0, 0, time.UTC), "2026-11-29", "2026-11-29T23:00:00-05:00"},
	} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		b := batch("b1")
		b.Tenant = name
		require.NoError(t, x.Put(t.Context(), b, []index.Message{{To: "a", State: message.Failed, FinishedAt: tt.at, Rev: 1}}))
		for by, want := range map[string]string{"day": tt.day, "hour": tt.hour} {
			stats, err := x.Stats(t.Context(), index.StatsQuery{Tenant: name, By: by, Zone: zone})
			require.NoError(t, err)
			require.Len(t, stats, 1)
			require.Equal(t, want, stats[0].Key)
		}
	}
}

func TestBatchesAreListedAsTheyWerePut(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	var want []index.Batch
	for n := range 5 {
		b := index.Batch{
			Tenant: []string{"default", "acme"}[n%2], ID: fmt.Sprint("b", n), Dialect: "bird", Account: "a", State: message.BatchRunning, Dispatch: "group", Total: 3,
			Counts: message.Counts{message.Sent: 2, message.Failed: 1}, Reasons: message.Reasons{{State: message.Failed, Code: "x", Count: 1, Detail: "d"}},
			Metadata: map[string]string{"campaign": fmt.Sprint(n / 2), "k": "v"}, RedriveOf: "b0", CreatedAt: noon().Add(-time.Duration(n) * time.Hour), Fault: "store",
			SendAfter: noon(), StartedAt: noon(), NextDueAt: noon().Add(time.Hour), EstimatedEnd: noon().Add(2 * time.Hour),
			Held: &message.HoldView{By: "person", Reason: "why", Since: noon()}, Rev: int64(n), AsOf: noon(),
		}
		if n == 3 {
			b.State, b.FinishedAt = message.BatchCompleted, noon()
		}
		require.NoError(t, x.Put(t.Context(), b, nil))
		want = append(want, b)
	}
	list := func(q index.BatchesQuery) (all []index.Batch) {
		for {
			page, err := x.Batches(t.Context(), q)
			require.NoError(t, err)
			all = append(all, page.Batches...)
			if q.Cursor = page.Next; q.Cursor == "" {
				return all
			}
			require.Len(t, page.Batches, q.Limit)
		}
	}
	require.Equal(t, want, list(index.BatchesQuery{Limit: 2}))
	require.Equal(t, []index.Batch{want[0], want[2], want[4]}, list(index.BatchesQuery{Tenant: "default"}))
	require.Equal(t, []index.Batch{want[1]}, list(index.BatchesQuery{Tenant: "acme", Open: true}))
	some := []index.BatchName{{Tenant: want[1].Tenant, ID: want[1].ID}, {Tenant: want[0].Tenant, ID: want[0].ID}, {Tenant: want[0].Tenant, ID: "none"}, {Tenant: "nobody", ID: want[2].ID}}
	require.Equal(t, want[:2], list(index.BatchesQuery{Only: some}))
	require.Equal(t, []index.Batch{want[1]}, list(index.BatchesQuery{Only: some, Tenant: "acme"}))
	require.Empty(t, list(index.BatchesQuery{Only: []index.BatchName{}}))
	require.Equal(t, want[:2], list(index.BatchesQuery{Since: noon().Add(-time.Hour)}))
	require.Equal(t, want[2:4], list(index.BatchesQuery{Meta: map[string]string{"campaign": "1", "k": "v"}}))

	want[0].Metadata = map[string]string{"campaign": "9"}
	want[0].Rev++
	require.NoError(t, x.Put(t.Context(), want[0], nil))
	require.Equal(t, want[:1], list(index.BatchesQuery{Meta: map[string]string{"campaign": "9"}}))
}

func TestManyBatchesOfOneSecondAreAllKept(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	for n := range 600 { // more than a second has numbers for
		require.NoError(t, x.Put(t.Context(), batch(fmt.Sprint("b", n)), nil))
	}
	s, err := x.Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 600, s.Batches)
	require.Equal(t, s.Newest, s.Schema)
	require.Positive(t, s.Bytes)
	require.Equal(t, noon(), *s.AsOf)
	require.Equal(t, noon().Add(-time.Hour), *s.Oldest)
}

func TestTheAuditIsKeptOnceAndListedNewestFirst(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	var want []index.AuditEntry
	for n := range 5 {
		want = append(want, index.AuditEntry{
			Time: noon().Add(-time.Duration(n/2) * time.Second), Action: []string{"cancel", "hold"}[n%2], Result: "ok", Actor: fmt.Sprint("ann", n), Through: "cli",
			Tenant: "default", Batch: fmt.Sprint("b", n), Reason: "why", Line: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)),
		})
	}
	require.NoError(t, x.Record(t.Context(), want))
	require.NoError(t, x.Record(t.Context(), want[1:3]))
	list := func(q index.AuditQuery) (all []index.AuditEntry) {
		for {
			entries, next, err := x.Audit(t.Context(), q)
			require.NoError(t, err)
			all = append(all, entries...)
			if q.Cursor = next; next == "" {
				return all
			}
		}
	}
	order := []index.AuditEntry{want[1], want[0], want[3], want[2], want[4]} // of one time the later written first
	require.Equal(t, order, list(index.AuditQuery{}))
	require.Equal(t, order, list(index.AuditQuery{Limit: 1}))
	require.Equal(t, []index.AuditEntry{want[1], want[3]}, list(index.AuditQuery{Action: "hold", Tenant: "default"}))
	require.Equal(t, want[2:3], list(index.AuditQuery{Batch: "b2"}))
	require.Equal(t, want[4:], list(index.AuditQuery{Actor: "ann4"}))
	require.Equal(t, order[:2], list(index.AuditQuery{Since: noon()}))
}

func TestALeaseHasOneOwnerUntilItIsOver(t *testing.T) {
	t.Parallel()
	now := noon()
	x := open(t, func(o *index.Options) { o.Now = func() time.Time { return now } })
	claim := func(owner string, ttl time.Duration) bool {
		term, err := x.Claim(t.Context(), "feed", owner, ttl)
		require.NoError(t, err)
		return term > 0
	}
	require.True(t, claim("a", time.Minute))
	require.False(t, claim("b", time.Minute))
	now = now.Add(50 * time.Second)
	require.True(t, claim("a", time.Minute), "the owner's own is made longer")
	now = now.Add(50 * time.Second)
	require.False(t, claim("b", time.Minute))
	now = now.Add(10 * time.Second)
	require.True(t, claim("b", time.Minute))
	require.False(t, claim("b", 0), "given back")
	require.True(t, claim("a", time.Minute))
}

func TestAPositionIsThatOfItsBatch(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	p, err := x.Position(t.Context(), "default", "b1")
	require.NoError(t, err)
	require.Zero(t, p)
	want := index.Position{Rev: 1 << 50, Walk: "seg:3", Done: true}
	require.NoError(t, x.Advance(t.Context(), batch("b1"), nil, index.Step{To: want}))
	require.NoError(t, x.Put(t.Context(), batch("b1"), []index.Message{{To: "a", Rev: 1}}))
	p, err = x.Position(t.Context(), "default", "b1")
	require.NoError(t, err)
	require.Equal(t, want, p)
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	_, err := index.Open(t.Context(), index.Options{URL: "postgres://volley:pass4711@127.0.0.1:1/volley"})
	require.ErrorIs(t, err, index.ErrUnavailable)
	require.NotContains(t, err.Error(), "pass4711")
	_, err = index.Open(t.Context(), index.Options{URL: "sqlite:///no/such/folder/index.db"})
	require.ErrorIs(t, err, index.ErrUnavailable)

	x := open(t, nil)
	require.NoError(t, x.Put(t.Context(), batch("b1"), []index.Message{{To: "+4915112345678", Rev: 1}}))
	require.NoError(t, x.Close())
	_, findErr := x.Find(t.Context(), index.FindQuery{Text: "a"})
	_, claimErr := x.Claim(t.Context(), "feed", "a", time.Minute)
	for _, err := range []error{findErr, claimErr, x.Put(t.Context(), batch("b1"), []index.Message{{To: "+4915112345678", Rev: 2}})} {
		require.ErrorIs(t, err, index.ErrUnavailable)
		require.NotContains(t, err.Error(), "4915112345678")
		require.NotErrorIs(t, err, index.ErrInvalid)
	}
}
