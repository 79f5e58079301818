package starter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"volley/internal/message"
	"volley/starter"
)

func TestALargeBatchLiesInTheStoreBeforeItStarts(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{Rates: map[string]float64{"one": 100}, ActionPrice: 50})
	in := streamOf(2500)
	in.header.Template.Body = []byte(`{"text":"secret"}`)
	got, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, in)
	require.NoError(t, err)
	require.Equal(t, "a", got.ID)
	require.Equal(t, 2500, got.Total)
	require.Equal(t, 1, got.Rejected)
	require.Len(t, got.Problems, 1)
	require.Equal(t, 3, got.Segments)
	require.Equal(t, 2499, got.Estimate.Messages)
	require.Equal(t, noon.Add(24990*time.Millisecond), *got.Estimate.EndsAt)

	sent := b.input(t)
	require.Empty(t, sent.Batch.Messages)
	require.Empty(t, sent.Batch.Template, "no content reaches Temporal")
	require.Equal(t, 2500, sent.Large.Total)
	require.Equal(t, 1, sent.Large.Rejected)
	require.Equal(t, noon.Add(message.DefaultTTL).UnixMilli(), sent.Large.Expires)
	m, err := b.store.Manifest(t.Context(), sent.Large.Dir)
	require.NoError(t, err)
	require.Equal(t, 2500, m.Total)
	require.JSONEq(t, `{"text":"secret"}`, string(m.Batch.Template.Body))
	require.Equal(t, "message", m.Batch.Dispatch)
	attrs := b.fake.flow(t, "batch-a").start.GetSearchAttributes().GetIndexedFields()
	require.Equal(t, 2500, decode[int](t, attrs["VolleyTotal"]))
	require.Equal(t, noon, decode[time.Time](t, attrs["VolleyDue"]).UTC())
}

// policies gives every account of a batch a policy.
func policies(p message.Policy) func(b *message.Batch) {
	return func(b *message.Batch) {
		b.Policies = map[string]message.Policy{}
		for _, way := range b.Hops {
			for _, h := range way {
				b.Policies[h.Account] = p
			}
		}
	}
}

func TestABatchInMemoryGoesTheLargeWayByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o      starter.Options
		n      int
		change func(b *message.Batch)
		large  bool
		as     string
	}{
		"too many messages":                   {n: 1001, large: true, as: "message"},
		"too many bytes":                      {o: starter.Options{MaxBytes: 500}, n: 3, large: true, as: "message"},
		"too many, and doubts can be asked":   {n: 1001, change: policies(message.Policy{Reconciles: true}), large: true, as: "group"},
		"too many, and doubts are sent again": {n: 1001, change: policies(message.Policy{OnUnknown: message.Resend}), large: true, as: "group"},
		"too many, one account is unknowing": {n: 1001, change: func(b *message.Batch) {
			policies(message.Policy{Reconciles: true})(b)
			b.Hops = append(b.Hops, []message.Hop{{Account: "blind"}})
		}, large: true, as: "message"},
		"it is asked for what is the default": {n: 1001, change: func(b *message.Batch) {
			policies(message.Policy{Reconciles: true})(b)
			b.Dispatch = "auto"
		}, large: true, as: "group"},
		"few leave one by one":                {n: 3, change: policies(message.Policy{Reconciles: true})},
		"it is below the limit for groups":    {o: starter.Options{GroupAbove: 5000}, n: 1001, change: policies(message.Policy{Reconciles: true}), large: true, as: "message"},
		"groups were asked for":               {n: 3, change: func(b *message.Batch) { b.Dispatch = "group" }, large: true, as: "group"},
		"it is above the limit for groups":    {o: starter.Options{GroupAbove: 2}, n: 3, large: true, as: "group"},
		"its dispatch was asked for":          {o: starter.Options{GroupAbove: 2}, n: 3, change: func(b *message.Batch) { b.Dispatch = "message" }},
		"it fits":                             {o: starter.Options{GroupAbove: 3}, n: 3},
		"it is empty":                         {change: func(b *message.Batch) { b.Dispatch = "group" }},
		"asked for messages, and is too long": {o: starter.Options{GroupAbove: 2}, n: 1001, change: func(b *message.Batch) { b.Dispatch = "message" }, large: true, as: "message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBig(t, c.o)
			r := request("a", c.n)
			if c.change != nil {
				c.change(r.Batch)
			}
			got, err := b.Start(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, c.n, got.Total)
			require.Equal(t, c.large, b.input(t).Large != nil)
			require.Equal(t, c.large, got.Segments > 0)
			if c.large {
				require.Equal(t, c.as, b.input(t).Batch.Dispatch)
			}
			again, err := b.Start(t.Context(), r)
			require.NoError(t, err)
			require.True(t, again.Existing)
			require.Equal(t, got.Rejected, again.Rejected)
			require.Equal(t, got.Segments, again.Segments)
			if c.large && c.change == nil {
				again, err = b.StartLarge(t.Context(), starter.Request{Ref: r.Ref, Body: r.Body}, streamOf(c.n))
				require.NoError(t, err, "read one by one it is the same request")
				require.True(t, again.Existing)
			}
			r.Body = []byte("other")
			_, err = b.Start(t.Context(), r)
			require.ErrorIs(t, err, starter.ErrConflict)
		})
	}
}

func TestWithoutAStoreLargeBatchesAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{GroupAbove: 1})
	var large *starter.TooLargeError
	_, err := s.Start(t.Context(), request("a", 1001))
	require.ErrorAs(t, err, &large)
	r := request("a", 3)
	r.Batch.Dispatch = "group"
	_, err = s.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrInvalid)
	_, err = s.StartLarge(t.Context(), starter.Request{Ref: a}, streamOf(3))
	require.ErrorIs(t, err, starter.ErrInvalid)
	start(t, s, request("b", 3))
}

func TestARepeatedLargeStartAnswersWhatTheFirstResolved(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	first := streamOf(1500)
	first.header.SendAfter = noon.Add(time.Hour).UnixMilli()
	_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, first)
	require.NoError(t, err)

	second := streamOf(1500)
	got, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, second)
	require.NoError(t, err)
	due := noon.Add(time.Hour)
	require.NotEmpty(t, got.Content)
	require.Equal(t, starter.Started{
		ID: "a", Total: 1500, Rejected: 1, Existing: true, Segments: 2, SendAfter: &due, Content: got.Content,
		Problems: message.Problems{{Index: 1499, Path: "messages[2].to", Code: message.CodeFormat, Detail: "no number"}},
	}, got)
	require.Equal(t, 1500, second.at, "the body was read to its end for its hash")
	require.Equal(t, 1, b.folders(t))

	third := streamOf(1500)
	third.hash = "other"
	got, err = b.StartLarge(t.Context(), starter.Request{Ref: a}, third)
	require.ErrorIs(t, err, starter.ErrConflict)
	require.Equal(t, starter.Started{ID: "a"}, got)
	_, err = b.StartLarge(t.Context(), starter.Request{Ref: a, Flags: map[string]string{"ttl": "1h"}}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrConflict)
	require.Equal(t, 1, b.folders(t))
}

func TestAFailedLargeStartLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the body breaks off")
	for name, c := range map[string]struct {
		change func(in *stream, b *big)
		check  func(t *testing.T, err error)
	}{
		"the stream says that nothing may run": {
			func(in *stream, _ *big) { in.err = broken },
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, broken) },
		},
		"no message is valid": {
			func(in *stream, _ *big) { in.all = in.all[len(in.all)-1:] },
			func(t *testing.T, err error) {
				t.Helper()
				var none *starter.NoneValidError
				require.ErrorAs(t, err, &none)
				require.ErrorIs(t, err, starter.ErrInvalid)
				require.Equal(t, 1, none.Started.Total)
				require.Equal(t, 1, none.Started.Rejected)
				require.Len(t, none.Started.Problems, 1)
			},
		},
		"the server refuses it": {
			func(_ *stream, b *big) { b.fake.startError = serviceerror.NewInvalidArgument("no") },
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, starter.ErrInvalid) },
		},
		"its metadata is too large": {
			func(in *stream, _ *big) {
				in.header.Metadata = []byte(`{"k":"` + longText() + `"}`)
			},
			func(t *testing.T, err error) { t.Helper(); require.ErrorIs(t, err, starter.ErrInvalid) },
		},
		"the worker sees another store": {
			func(_ *stream, b *big) {
				b.fake.onStart(message.Overview{V: 1, Fault: "it is not there", Missing: true})
			},
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, starter.ErrStoreNotShared)
				require.Contains(t, err.Error(), "s3://bucket")
				require.NotContains(t, err.Error(), "password")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBig(t, starter.Options{StoreURL: "s3://user:password@bucket?secret=password"})
			in := streamOf(1200)
			c.change(in, b)
			_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, in)
			c.check(t, err)
			require.Zero(t, b.folders(t))
			require.Empty(t, b.fake.flows)
			require.LessOrEqual(t, in.ended, 1)
		})
	}
}

func TestAStoreThatIsAwayIsToldFromOneThatLacksSomething(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "store")
	require.NoError(t, os.Mkdir(dir, 0o700))
	b := newBigOn(t, starter.Options{}, "file://"+dir)
	b.startBig(t, 1500)
	fresh := starter.New(b.fake.client, starter.Options{Store: newStore(t, "file://"+dir), Now: func() time.Time { return noon }})
	gone := filepath.Join(root, "gone")
	require.NoError(t, os.Rename(dir, gone))
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the folder belongs

	_, err := fresh.StartLarge(t.Context(), starter.Request{Ref: starter.Ref{ID: "b"}}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrStore)
	require.NotErrorIs(t, err, starter.ErrInvalid)
	require.NotContains(t, b.fake.flows, "batch-b")
	_, err = fresh.Accepted(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrStore)
	require.ErrorContains(t, err, "/manifest: ", "it names the object")

	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err = fresh.Accepted(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrStoreAway)
	require.NotErrorIs(t, err, starter.ErrNotFound)
	_, err = fresh.SetupStore(t.Context(), true)
	require.NoError(t, err)
	_, err = fresh.Accepted(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNotFound)
	require.NotErrorIs(t, err, starter.ErrStore)
}

func longText() string {
	return strings.Repeat("x", message.MaxLarge)
}

func TestALargeBatchWaitsForAWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBig(t, starter.Options{Wait: short})
		b.fake.answer = nil
		got := b.startBig(t, 1200)
		require.Equal(t, 2, got.Segments)
		require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, b.fake.flow(t, "batch-a").status)
	})
}

func TestTwoStartsAtOnceAreOneBatch(t *testing.T) {
	t.Parallel()
	for name, hash := range map[string]string{"same content": "hash", "other content": "other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBig(t, starter.Options{})
			in := streamOf(1500)
			in.hash = hash
			in.onEnd = func() { b.startBig(t, 1500) }
			got, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, in)
			require.Equal(t, 1, b.folders(t), "the one that came second leaves nothing")
			if hash == "other" {
				require.ErrorIs(t, err, starter.ErrConflict)
				return
			}
			require.NoError(t, err)
			require.True(t, got.Existing)
			require.Equal(t, 2, got.Segments)
		})
	}
}

func TestMetadataThatDoesNotFitIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	in := streamOf(3)
	in.header.Metadata = []byte(`{"note":"` + strings.Repeat("x", 300_000) + `"}`)
	_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, in)
	var refused *starter.RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.Equal(t, refused.Problems, starter.CheckLarge(in.header))
	require.Equal(t, "metadata", refused.Problems[0].Path)
	require.Equal(t, message.CodeTooLong, refused.Problems[0].Code)
	require.Zero(t, in.at, "no message was read")

	in.header.Metadata = []byte(`{"note":"x"}`)
	require.Empty(t, starter.CheckLarge(in.header))
}
