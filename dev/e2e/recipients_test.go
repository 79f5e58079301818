package e2e_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// Recipients as they stood in a customer's file, and the number to which each may
// go; none for those that are no phone numbers.
func TestEachRecipientGoesToTheNumberThatIsWrittenOrNowhere(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	cases := [][3]string{ // as written, without a region, in the United States
		{"15550001002.0"},
		{"15550001002.00"},
		{"+44 (0)7700 900123", "+447700900123", "+447700900123"},
		{"+49 (0) 30 555 0100", "+49305550100", "+49305550100"},
		{"555-0101 - 555-0102"},
		{"2026-11-28"},
		{"12.50"},
		{"10.0.0.17"},
		{"+1555.000.1003", "+15550001003", "+15550001003"},
		{"1.555.000.1004", "+15550001004", "+15550001004"},
		{"(555) 000-1006", "", "+15550001006"},
		{"+1 555 000 1007", "+15550001007", "+15550001007"},
		{" +15550001001 ", "+15550001001", "+15550001001"},
		{"+15550001002\u00a0", "+15550001002", "+15550001002"},
		{"\u202a+15550001003\u202c", "+15550001003", "+15550001003"},
		{"\u200b+15550001004", "+15550001004", "+15550001004"},
		{"1.5555E+10"},
		{"n/a"},
		{"0151/123"},
	}
	var file strings.Builder
	w := csv.NewWriter(&file)
	require.NoError(t, w.Write([]string{"to"}))
	for _, c := range cases {
		require.NoError(t, w.Write(c[:1]))
	}
	w.Flush()
	for _, account := range []string{"bird-main", "sinch-eu"} {
		for i, region := range []string{"", "US"} {
			q := url.Values{"account": {account}, "text": {"Hi"}}
			if region != "" {
				q.Set("defaultRegion", region)
			}
			r := g.as(acme, "POST", "/v1/batches?"+q.Encode(), file.String(), "Content-Type: text/csv").is(http.StatusAccepted)
			_, rows := l.wait(t, ofAcme(r.batch()))
			l.agree(t, rows)
			arrived := map[string]string{}
			for _, record := range l.sandbox.Received() {
				arrived[record.ID] = record.To
			}
			for k, c := range cases {
				row, want := rows[k], c[1+i]
				require.Equal(t, want, arrived[row.ID], "%q through %s in %q", c[0], account, region)
				if want == "" {
					require.Equal(t, message.Rejected, row.State)
					require.Equal(t, message.CodeRecipient, row.Code)
					require.Zero(t, row.Attempts)
					continue
				}
				require.Equal(t, message.Sent, row.State)
				require.Equal(t, want, row.To)
			}
		}
	}
}
