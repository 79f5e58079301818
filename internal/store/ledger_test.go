package store_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

// largestLedger has the longest texts in all records, in characters that JSON writes
// six times as long.
func largestLedger() *message.Ledger {
	l := &message.Ledger{V: message.Version}
	long := func(i int) string {
		return strings.Repeat("\x01", message.MaxDetail-3) + string([]byte{byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676)})
	}
	for i := range message.SegmentMessages {
		at := int64(1_700_000_000_000) + int64(i*i)
		r := message.Record{
			State: message.Unknown, Hop: i % 3, Attempts: 1 << 20 >> (i % 20), HopAttempts: i, Asked: i * i, Next: at * 2, Due: at, Expires: 3 * at,
			Began: at + int64(i%7), Doubt: at - int64(i%11), Stop: i%2 == 0, Sent: at, Finished: at + int64(i*i*i), Rev: at << 10, Await: at * 3,
			ProviderID: long(i), Code: strings.Repeat("c", message.MaxCode-3) + long(i)[message.MaxDetail-3:], Detail: long(i),
			Early: &message.EarlyReport{State: message.Delivered, Hop: 1, At: at, ProviderID: long(i), Code: strings.Repeat("k", message.MaxCode), Detail: long(i)},
		}
		for k := range message.TrailHead + message.TrailTail {
			r.Note(message.Entry{At: at + int64(k), Hop: k % 3, Attempt: k, Event: message.EventAmbiguous, Code: "x", Detail: long(i + k)})
		}
		l.Records = append(l.Records, r)
	}
	return l
}

func TestTheLargestLedgerComesBack(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	want := largestLedger()
	data, err := json.Marshal(want)
	require.NoError(t, err)
	t.Logf("%d bytes", len(data))
	require.Less(t, len(data), 2<<20, "a payload")
	require.NoError(t, s.KeepLedger(t.Context(), lateDir, 1, want))
	got, err := s.Ledger(t.Context(), lateDir, 1)
	require.NoError(t, err)
	require.Len(t, got.Records, len(want.Records))
	for i := range want.Records {
		is, was := got.Records[i], want.Records[i]
		require.True(t, strings.HasPrefix(was.Detail, is.Detail))
		is.Detail, is.Trail, was.Detail, was.Trail = "", nil, "", nil
		was.Early = &message.EarlyReport{State: was.Early.State, Hop: was.Early.Hop, At: was.Early.At}
		require.Equal(t, was, is)
	}
}

// What a purge and a retry need to know stands in the manifest.
func TestAManifestSaysWhereABatchRunsAndWhatExpiresFirst(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w, err := s.Create(t.Context(), header(), store.WriteOptions{Namespace: "ns", Cluster: "cl"})
	require.NoError(t, err)
	now := accepted.UnixMilli()
	for i := range 2 * message.SegmentMessages {
		m := sample(i)
		switch {
		case i < message.SegmentMessages:
			m.Problems = message.Problems{{Index: i, Code: "format"}} // and has no validity
		case i%2 == 0:
			m.Problems, m.TTL = message.Problems{{Index: i, Code: "format"}}, 5
		default:
			m.TTL = 100_000 - int64(i%100)
		}
		require.NoError(t, w.Add(t.Context(), &m))
	}
	m, err := w.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"ns", "cl"}, []string{m.Namespace, m.Cluster})
	require.Zero(t, m.Segments[0].FirstExpires)
	require.Equal(t, now+100_000-99, m.Segments[1].FirstExpires)
	require.Equal(t, now+100_000-1, m.Segments[1].Expires)
	read, err := store.On(store.Bucket(s)).Manifest(t.Context(), w.Dir())
	require.NoError(t, err)
	require.Equal(t, m, read)
}
