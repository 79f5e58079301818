package provider_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
)

// recordAny answers as every provider does that takes a message.
func recordAny(t *testing.T) *recorder {
	t.Helper()
	return record(t, func(w http.ResponseWriter, r *http.Request) {
		if !serveToken(w, r) {
			_, _ = w.Write([]byte(`{"id":"p-1","message_id":"p-1"}`))
		}
	})
}

// through sends a request of one message through one account, as it is accepted and
// sent: the body that the provider got, or the problem for which the message is rejected.
func through(t *testing.T, kind, format, region, body string, o intake.Options) (json.RawMessage, *message.Problem, message.Row) {
	t.Helper()
	srv := recordAny(t)
	account := map[string]provider.Account{
		"bird": birdAccount(srv.URL), "sinch": sinchAccount(srv.URL),
		"webhook": {Provider: "webhook", URL: srv.URL, Secret: "hook-secret-4711", AllowPrivate: true},
	}[kind]
	d, err := dialect.Named(format)
	require.NoError(t, err)
	o.Dialect, o.Now, o.Account = d, time.Now(), "a"
	router := message.Router{Accounts: map[string]message.Policy{"a": {Provider: kind}}}
	q, err := intake.Open(strings.NewReader(body), intake.Caller{Tenant: "acme", Router: &router, Region: region}, intake.Limits{BodyBytes: 1 << 20}, o)
	require.NoError(t, err)
	w := q.Buffered()
	require.NotNil(t, w.Batch, "%v", w.Problems)
	require.False(t, w.None, "%v", w.Problems)
	m := w.Batch.Messages[0]
	row := w.Batch.RowOf(message.KeyOf("batch-b"), 0, &w.Batch.Messages[0], &message.Record{})
	if len(m.Problems) > 0 {
		return nil, &m.Problems[0], row
	}
	stored, err := json.Marshal(m) // as it goes to a worker
	require.NoError(t, err)
	m = message.Message{}
	require.NoError(t, json.Unmarshal(stored, &m))
	content, text, err := w.Batch.Template.Render(&m)
	require.NoError(t, err)
	_, err = open(t, account).Send(t.Context(), message.Outgoing{
		ID: messageID, Batch: "b", Tenant: "acme", Dialect: w.Batch.Dialect, To: m.To, Phone: m.Phone, Region: w.Batch.Region,
		Content: content, Text: text, Channels: w.Batch.Hops[m.Route][0].Channels, ExpiresAt: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	all := srv.got()
	return all[len(all)-1].body, nil, row
}

// recipientIn is the recipient of a request that a provider of a kind got.
func recipientIn(t *testing.T, kind string, body json.RawMessage) string {
	t.Helper()
	var v struct {
		Data struct {
			To string `json:"to"`
		} `json:"data"`
		Receiver struct {
			Contacts []struct {
				IdentifierValue string `json:"identifierValue"`
			} `json:"contacts"`
		} `json:"receiver"`
		Recipient struct {
			IdentifiedBy struct {
				Identities []struct {
					Identity string `json:"identity"`
				} `json:"channel_identities"`
			} `json:"identified_by"`
		} `json:"recipient"`
	}
	require.NoError(t, json.Unmarshal(body, &v))
	switch kind {
	case "bird":
		return v.Receiver.Contacts[0].IdentifierValue
	case "sinch":
		return v.Recipient.IdentifiedBy.Identities[0].Identity
	}
	return v.Data.To
}

const rejected = "rejected"

// A recipient goes to Bird and Sinch as one number in its normal form, or not at all;
// a webhook gets what the caller wrote.
func TestRecipientsByProviderAndRegion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		to, region           string
		bird, sinch, webhook string
	}{
		// Values of a bug report: none may go to digits that were never a number.
		{"15550001002.0", "", rejected, rejected, "15550001002.0"},
		{"15550001002.00", "US", rejected, rejected, "15550001002.00"},
		{"+44 (0)7700 900123", "", "+447700900123", "+447700900123", "+44 (0)7700 900123"},
		{"+49 (0) 30 555 0100", "DE", "+49305550100", "+49305550100", "+49 (0) 30 555 0100"},
		{"+4407700900123", "", "+447700900123", "+447700900123", "+4407700900123"},
		{"555-0101 - 555-0102", "US", rejected, rejected, "555-0101 - 555-0102"},
		{"2026-11-28", "DE", rejected, rejected, "2026-11-28"},
		{"12.50", "DE", rejected, rejected, "12.50"},
		{"10.0.0.17", "", rejected, rejected, "10.0.0.17"},
		{"+1555.000.1003", "", "+15550001003", "+15550001003", "+1555.000.1003"},
		{"1.555.000.1004", "", "+15550001004", "+15550001004", "1.555.000.1004"},
		{"(555) 000-1006", "US", "+15550001006", "+15550001006", "(555) 000-1006"},
		{"(555) 000-1006", "", rejected, rejected, "(555) 000-1006"},
		{"+1 555 000 1007", "", "+15550001007", "+15550001007", "+1 555 000 1007"},

		// Blanks, invisible characters and what a spreadsheet makes of numbers.
		{" +15550001001 ", "", "+15550001001", "+15550001001", "+15550001001"},
		{"+15550001002\u00a0", "", "+15550001002", "+15550001002", "+15550001002"},
		{"\u202a+15550001003\u202c", "", "+15550001003", "+15550001003", "+15550001003"},
		{"\u200b+15550001004", "", "+15550001004", "+15550001004", "+15550001004"},
		{"+1555\u200b0001004", "", "+15550001004", "+15550001004", "+1555\u200b0001004"},
		{"1.5555E+10", "", rejected, rejected, "1.5555E+10"},
		{"+1555\x000001004", "", rejected, rejected, rejected},
		{"\u202e4001000555 1+", "", rejected, rejected, rejected},
		{"n/a", "", rejected, rejected, "n/a"},
		{"0151/123", "", rejected, rejected, "0151/123"},

		// Which country it is.
		{"15550001002", "", "+15550001002", "+15550001002", "15550001002"},
		{"15550001002", "DE", rejected, rejected, "15550001002"},
		{"447700900123", "DE", rejected, rejected, "447700900123"},
		{"0151 23456789", "DE", "+4915123456789", "+4915123456789", "0151 23456789"},
		{"0151 23456789", "", rejected, rejected, "0151 23456789"},
		{"612 345 678", "ES", "+34612345678", "+34612345678", "612 345 678"},

		// Others.
		{"ann@example.com", "DE", "ann@example.com", rejected, "ann@example.com"},
		{"ann", "", rejected, rejected, "ann"},
		{"+15550001111+down", "", rejected, rejected, "+15550001111+down"},
	} {
		for kind, want := range map[string]string{"bird": tc.bird, "sinch": tc.sinch, "webhook": tc.webhook} {
			var file strings.Builder
			w := csv.NewWriter(&file)
			require.NoError(t, w.WriteAll([][]string{{"to"}, {tc.to}}))
			o := intake.Options{Options: dialect.Options{Text: "Hi"}}
			body, problem, row := through(t, kind, "volley", tc.region, file.String(), o)
			if want == rejected {
				require.NotNil(t, problem, "%q in %q through %s", tc.to, tc.region, kind)
				code, path := message.CodeRecipient, "messages[0].to"
				if strings.Contains(tc.to, "\x00") {
					code, path = message.CodeFormat, "messages[0]" // no row has it
				}
				require.Equal(t, code, problem.Code)
				require.Equal(t, path, problem.Path)
				require.True(t, strings.HasPrefix(problem.Detail, "line 2: "), problem.Detail)
				continue
			}
			require.Nil(t, problem, "%q in %q through %s: %v", tc.to, tc.region, kind, problem)
			require.Equal(t, want, recipientIn(t, kind, body), "%q in %q through %s", tc.to, tc.region, kind)
			require.Equal(t, want, row.To, "what is shown is what was sent")
			if want != tc.webhook {
				require.Equal(t, tc.webhook, row.Given)
			} else {
				require.Empty(t, row.Given)
			}
			require.Equal(t, tc.webhook, row.Written())

			// The region of the file stands before the tenant's.
			o.DefaultRegion = tc.region
			body, problem, _ = through(t, kind, "volley", "FR", file.String(), o)
			if tc.region != "" {
				require.Nil(t, problem)
				require.Equal(t, want, recipientIn(t, kind, body))
			}
		}
	}
}

func TestTwoWaysToWriteANumberAreOneRecipient(t *testing.T) {
	t.Parallel()
	router := message.Router{Accounts: map[string]message.Policy{"a": {Provider: "bird"}}}
	for format, body := range map[string]string{
		"volley": "to\n0151 23456789\n+49 (0)151 23456789\n+4915123456780\n",
		"bird": `{"messageRequests":[` + strings.Join([]string{
			`{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"0151 23456789"}]},"body":{"type":"text","text":{"text":"Hi"}}}`,
			`{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+4915123456789"}]},"body":{"type":"text","text":{"text":"Hi"}}}`,
			`{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+4915123456780"}]},"body":{"type":"text","text":{"text":"Hi"}}}`,
		}, ",") + `]}`,
	} {
		d, err := dialect.Named(format)
		require.NoError(t, err)
		q, err := intake.Open(strings.NewReader(body), intake.Caller{Tenant: "acme", Router: &router, Region: "DE"},
			intake.Limits{BodyBytes: 1 << 20}, intake.Options{Dialect: d, Options: dialect.Options{Now: noon, Account: "a", Text: "Hi"}})
		require.NoError(t, err)
		b := q.Buffered().Batch
		require.Empty(t, b.Problems())
		same := func(i, j int) bool {
			a, b := &b.Messages[i], &b.Messages[j]
			return a.HashFor(a.Recipient()) == b.HashFor(b.Recipient())
		}
		require.True(t, same(0, 1), format)
		require.False(t, same(0, 2), format)
	}
}

// What a provider shows in another way than it was written may be the same number; one that
// certainly is another rules an entry out.
func TestBirdReconcilesBySayingWhatNumberItIs(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string]provider.Verdict{
		"+4915123456789":   provider.CannotTell,
		"4915123456789":    provider.CannotTell,
		"+49 151 23456789": provider.CannotTell,
		"015123456789":     provider.CannotTell,
		"+14915123456789":  provider.CannotTell, // no number
		"+15550001111":     provider.Absent,
	} {
		entry := `{"id":"p-1","reference":"mine","receiver":{"contacts":[{"identifierValue":"` + shown + `"}]}}`
		srv := record(t, answer(200, `{"results":[`+entry+`]}`))
		m := outgoing("bird", "0151 23456789", `{"reference":"mine"}`)
		m.Region = "DE"
		a, err := reconciler(t, open(t, birdAccount(srv.URL))).Reconcile(t.Context(), provider.Query{Message: m, Since: noon, Until: noon})
		require.NoError(t, err)
		require.Equal(t, want, a.Verdict, shown)
	}
}
