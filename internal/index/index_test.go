package index_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

// noon is when tests happen.
func noon() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) }

// address is the database of a test's own: a file, or, where VOLLEY_TEST_PG has the address
// of a server of PostgreSQL on which databases may be made, one of those.
func address(t testing.TB) string {
	t.Helper()
	server, ok := os.LookupEnv("VOLLEY_TEST_PG")
	if !ok {
		return file(t)
	}
	u, err := url.Parse(server)
	require.NoError(t, err)
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	name := "t" + strings.ToLower(rand.Text())
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, db.Close())
	})
	u.Path = "/" + name
	return u.String()
}

// file is the address of a file of a test's own.
func file(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
}

// open opens an index of a test's own.
func open(t testing.TB, change func(*index.Options)) *index.Index {
	t.Helper()
	o := index.Options{URL: address(t), Now: noon}
	if change != nil {
		change(&o)
	}
	x, err := index.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

func batch(id string) index.Batch {
	return index.Batch{
		Tenant: "default", ID: id, Dialect: "volley", State: message.BatchRunning, Dispatch: "message", Total: 2, CreatedAt: noon().Add(-time.Hour), Rev: 1, AsOf: noon(),
	}
}

func TestAMessageIsFoundByWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	require.NoError(t, x.Put(t.Context(), batch("b1"), []index.Message{
		{Index: 0, To: "+4915123456789", Reference: "c-4001", ProviderID: "sm-1", State: message.Sent, Account: "sinch", DueAt: noon(), SentAt: noon(), FinishedAt: noon(), Rev: 1},
		{Index: 1, To: "Ann@Example.com", State: message.Scheduled, Rev: 1, Others: []string{"+4915100000000"}},
	}))
	id := message.KeyOf("batch-b1").MessageID(1)
	for name, tt := range map[string]struct {
		q    index.FindQuery
		want []int
	}{
		"text is a number":       {index.FindQuery{Text: "+49 151 23456789"}, []int{0}},
		"text is a local number": {index.FindQuery{Text: "0151 23456789", Region: "DE"}, []int{0}},
		"text is a reference":    {index.FindQuery{Text: "c-4001"}, []int{0}},
		"text is a provider's":   {index.FindQuery{Text: "sm-1"}, []int{0}},
		"text is an id":          {index.FindQuery{Text: id}, []int{1}},
		"mail in another case":   {index.FindQuery{To: "ann@example.COM"}, []int{1}},
		"a further address":      {index.FindQuery{To: "+4915100000000"}, []int{1}},
		"nobody":                 {index.FindQuery{To: "+4915100000001"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := x.Find(context.Background(), tt.q)
			require.NoError(t, err)
			var got []int
			for _, m := range page.Messages {
				got = append(got, m.Index)
			}
			require.Equal(t, tt.want, got, fmt.Sprint(page))
		})
	}
}
