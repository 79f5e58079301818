package index_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

// made is the message of an index as a provider has taken it.
func made(number, i int, now time.Time) index.Message {
	n := number*1_000_000 + i
	return index.Message{
		Index: i, To: fmt.Sprintf("+4915%09d", n*7919%1_000_000_000), Channel: "SMS", Account: "sinch-eu", Country: "DE", Reference: "c-" + strconv.Itoa(n),
		ProviderID: fmt.Sprintf("01HZX%021d", n), State: message.Sent, DueAt: now, SentAt: now.Add(time.Duration(i) * time.Millisecond), FinishedAt: now.Add(time.Duration(i) * time.Millisecond), Attempts: 1, Rev: int64(i),
	}
}

// fill puts batches of up to a million messages until the index has so many more.
func fill(tb testing.TB, x *index.Index, first, rows, page int, now time.Time) {
	tb.Helper()
	for number := first; rows > 0; number++ {
		of := min(rows, 1_000_000)
		rows -= of
		b := index.Batch{Tenant: "default", ID: fmt.Sprint("made-", number), Dialect: "volley", State: message.BatchCompleted, Total: of, CreatedAt: now.Add(time.Duration(number-10) * 72 * time.Hour), FinishedAt: now, AsOf: now, Rev: 1}
		for from := 0; from < of; from += page {
			ms := make([]index.Message, min(page, of-from))
			for i := range ms {
				ms[i] = made(number, from+i, now)
			}
			require.NoError(tb, x.Put(context.Background(), b, ms))
		}
	}
}

// BenchmarkPut takes in b.N messages of batches of a million.
func BenchmarkPut(b *testing.B) {
	for _, page := range []int{500, 5000} {
		b.Run(fmt.Sprintf("pages of %d", page), func(b *testing.B) {
			x := open(b, fromEnvironment)
			b.ResetTimer()
			fill(b, x, 0, b.N, page, noon())
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// fromEnvironment takes the database of VOLLEY_TEST_INDEX in place of one of the test's own.
func fromEnvironment(o *index.Options) {
	if url, ok := os.LookupEnv("VOLLEY_TEST_INDEX"); ok {
		o.URL = url
	}
}

// BenchmarkFind finds among ten million messages in the database of VOLLEY_TEST_INDEX, which
// keeps them for the next time; without it, among a hundred thousand.
func BenchmarkFind(b *testing.B) {
	rows, of := 100_000, 10_000
	if _, kept := os.LookupEnv("VOLLEY_TEST_INDEX"); kept {
		rows, of = 10_000_000, 1_000_000
	}
	x := open(b, fromEnvironment)
	s, err := x.Status(context.Background())
	require.NoError(b, err)
	for have := int(s.Messages) / of * of; have < rows; have += of {
		begun := time.Now()
		fill(b, x, have/of, of, 5000, noon())
		b.Logf("%d messages, the last million in %s", have+of, time.Since(begun).Round(time.Second))
	}
	m := made(3, 4711, noon())
	for name, q := range map[string]index.FindQuery{
		"text":      {Text: m.To},
		"recipient": {To: m.To, Tenant: "default"},
		"reference": {Reference: m.Reference},
		"id":        {ID: message.KeyOf("batch-made-3").MessageID(4711)},
		"nobody":    {Text: "+4930123456789"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				page, err := x.Find(context.Background(), q)
				require.NoError(b, err)
				require.Equal(b, name == "nobody", len(page.Messages) == 0)
			}
		})
	}
	b.Run("stats", func(b *testing.B) {
		for b.Loop() {
			_, err := x.Stats(context.Background(), index.StatsQuery{By: "account", Since: noon().Add(-time.Hour)})
			require.NoError(b, err)
		}
	})
}
