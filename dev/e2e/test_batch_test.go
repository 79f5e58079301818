package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// A test of a batch in any dialect reaches its own address, and none of the recipients.
func TestATestOfABatchIsSentToItsAddressAlone(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	for _, c := range []struct{ dialect, address, body, text string }{
		{
			"volley", to(t, 9, ""), `{"text":"Hi ${n}","messages":[{"to":"` + to(t, 1, "") + `","reference":"r-1","params":{"n":"Ann"}},{"to":"` + to(t, 2, "") + `","params":{"n":"Annabelle"},"sendAfter":"2h"}]}`,
			"Hi Annabelle",
		},
		{
			"bird", "+15550178009", `{"messageRequests":[` + birdItem("+15550178001", `{"type":"text","text":{"text":"Hi Annabelle"}}`) + `,` + birdItem("+15550178002", `{"type":"text","text":{"text":"Hi Ann"}}`) + `]}`,
			"Hi Annabelle",
		},
		{
			"sinch", "+15550178109", `{"app_id":"` + sinchApp + `","message":{"text_message":{"text":"Hi ${n}"}},"recipient_and_params":[
				{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550178101"}]}},"parameters":{"n":"Ann"}},
				{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550178102"}]}},"parameters":{"n":"Annabelle"}}]}`,
			"Hi Annabelle",
		},
		{"bluesky", "3ktestofabatch9", `{"items":[{"convoId":"3ktestofabatch1","message":{"text":"Hi Ann"}},{"convoId":"3ktestofabatch2","message":{"text":"Hi Annabelle"}}]}`, "Hi Annabelle"},
	} {
		r := g.as(acme, "POST", "/v1/batches:test?sample=1&dialect="+c.dialect+"&to="+url.QueryEscape(c.address), c.body)
		doc := read[struct {
			ID      string
			Samples []struct {
				Index int
				To    string
			}
		}](r, http.StatusAccepted)
		require.True(t, strings.HasPrefix(doc.ID, "test-"), doc.ID)
		require.Len(t, doc.Samples, 1)
		status, rows := l.wait(t, ofAcme(doc.ID))
		require.Equal(t, 1, status.Counts[message.Sent], "%s: %s", c.dialect, rows[0].Detail)
		got := 0
		for _, m := range l.sandbox.Received() {
			require.NotContains(t, []string{
				to(t, 1, ""), to(t, 2, ""), "+15550178001", "+15550178002", "+15550178101", "+15550178102", "3ktestofabatch1", "3ktestofabatch2",
			}, m.To, "somebody got a test")
			if m.To == c.address {
				got++
				require.Equal(t, c.text, m.Text)
			}
		}
		require.Equal(t, 1, got, c.dialect)
	}
}
