package intake_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
)

func TestATenantsBestPriorityBoundsItsBatches(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		priority, best, asked, want int
		refused                     bool
	}{
		"no bound":                         {0, 0, 1, 1, false},
		"no bound, none asked for":         {0, 0, 0, 0, false},
		"better than the bound":            {3, 3, 2, 2, true},
		"the bound":                        {3, 2, 2, 2, false},
		"behind the bound":                 {3, 2, 5, 5, false},
		"none asked for":                   {4, 2, 0, 4, false},
		"none anywhere, the default is in": {0, 2, 0, 0, false},
		"the default is better":            {0, 4, 0, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := intake.Caller{Tenant: "acme", Priority: tt.priority, MaxPriority: tt.best}
			check := func(header *message.Batch, refusal error) {
				t.Helper()
				require.Equal(t, tt.refused, refusal != nil)
				require.Equal(t, tt.want, header.Priority)
			}
			given := ""
			if tt.asked != 0 {
				given = fmt.Sprintf(`"priority":%d,`, tt.asked)
			}
			whole := open(t, strings.NewReader(`{`+given+`"text":"x","messages":[{"to":"+15550001111"}]}`), caller, intake.Options{}).Buffered()
			check(whole.Batch, whole.Refusal())
			if tt.refused {
				require.Equal(t, "priority", whole.Problems[0].Path)
				require.Equal(t, "tenant acme may ask for 3 (first) to 5, got 2", whole.Problems[0].Detail)
			}
			lines, err := open(t, strings.NewReader(`{`+given+`"text":"x"}`+"\n"+`{"to":"+15550001111"}`), caller, intake.Options{}).Streamed(&problemList{})
			require.NoError(t, err)
			defer lines.Close()
			require.NoError(t, lines.Rest())
			check(lines.Header(), lines.Refusal())
			table := open(t, strings.NewReader("to\n+15550001111\n"), caller, intake.Options{Options: dialect.Options{Text: "x", Priority: tt.asked}}).Buffered()
			check(table.Batch, table.Refusal())
		})
	}
}

func TestBatchesOfEveryDialectHaveATenantsPriority(t *testing.T) {
	t.Parallel()
	for _, d := range dialect.All() {
		file, err := os.Open("../../examples/" + d.Name + ".json")
		require.NoError(t, err)
		defer file.Close()
		caller := intake.Caller{Tenant: "acme", MaxPriority: 4, MaySetSender: true}
		o := intake.Options{Dialect: d, Options: dialect.Options{Now: accepted}}
		q, err := intake.Open(file, caller, intake.Limits{BodyBytes: 1 << 20}, o)
		require.NoError(t, err)
		w := q.Buffered()
		require.NotNil(t, w.Batch, d.Name)
		require.Equal(t, 4, w.Batch.Priority, d.Name)
	}
}

func TestWhatIsSentAgainIsAskedForAsOfToday(t *testing.T) {
	t.Parallel()
	accounts := map[string]message.Policy{"hook": {}, "bird": {}}
	c := intake.Caller{Tenant: "acme", Router: &message.Router{Accounts: accounts, Allowed: []string{"hook"}}, Dialects: []string{"volley"}, MaxPriority: 3}
	through := func(accounts ...string) *message.Batch {
		b := &message.Batch{Dialect: "volley", Priority: 1}
		for _, a := range accounts {
			b.Hops = append(b.Hops, []message.Hop{{Account: a}})
		}
		return b
	}
	b := through("hook")
	require.NoError(t, c.AllowAgain(b, ""))
	require.Equal(t, 3, b.Priority)
	require.ErrorContains(t, c.AllowAgain(through("hook", "bird"), ""), `account "bird" is not one that this tenant may use`)
	require.ErrorContains(t, c.AllowAgain(through("gone"), ""), `account "gone" is not in the configuration`)
	require.NoError(t, c.AllowAgain(through("bird"), "hook"))
	require.Error(t, c.AllowAgain(through("hook"), "bird"))
	b = through("hook")
	b.Dialect = "bird"
	require.EqualError(t, c.AllowAgain(b, ""), "dialect bird is not one that tenant acme may use")
}
