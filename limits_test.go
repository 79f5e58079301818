package volley_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/dialect"
	"volley/internal/message"
	"volley/internal/provider"
)

// limits are the cells of docs/limits.md: by the name of a row, then by provider.
func limits(t *testing.T) map[string]map[string]string {
	t.Helper()
	data, err := os.ReadFile("docs/limits.md")
	require.NoError(t, err)
	rows := map[string]map[string]string{}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		require.Len(t, cells, 6, line)
		row := map[string]string{}
		for i, name := range []string{"bird", "sinch", "imkit", "bluesky", "webhook"} {
			row[name] = strings.TrimSpace(cells[i+1])
		}
		rows[strings.TrimSpace(cells[0])] = row
	}
	require.NotEmpty(t, rows)
	return rows
}

// numbers are those of a text, in order; commas between digits do not count.
func numbers(t *testing.T, text string) (all []int) {
	t.Helper()
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(strings.ReplaceAll(text, ",", ""), -1) {
		n, err := strconv.Atoi(digits)
		require.NoError(t, err)
		all = append(all, n)
	}
	require.NotEmpty(t, all, "no number in %q", text)
	return all
}

// requests are a provider's own format: a request of n messages with a text, and with a
// validity in s that is left out below 0.
var requests = map[string]func(n int, text string, validity int) string{
	"bird": func(n int, text string, validity int) string {
		one := fmt.Sprintf(`{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+15550001111"}]},"body":{"type":"text","text":{"text":%q}}`, text)
		if validity >= 0 {
			one += fmt.Sprintf(`,"validity":%d`, validity)
		}
		return `{"messageRequests":[` + repeated(n, one+"}") + `]}`
	},
	"sinch": func(n int, text string, validity int) string {
		head := fmt.Sprintf(`{"app_id":"a","message":{"text_message":{"text":%q}},`, text)
		if validity >= 0 {
			head += fmt.Sprintf(`"ttl":"%ds",`, validity)
		}
		return head + `"recipient_and_params":[` + repeated(n, `{"recipient":{"contact_id":"c"}}`) + `]}`
	},
	"imkit": func(n int, text string, _ int) string {
		return fmt.Sprintf(`{"messageType":"text","message":%q,"paras":[`, text) + repeated(n, `{"receiver":"ann"}`) + `]}`
	},
	"bluesky": func(n int, text string, _ int) string {
		return `{"items":[` + repeated(n, fmt.Sprintf(`{"convoId":"c","message":{"text":%q}}`, text)) + `]}`
	},
	"webhook": func(n int, text string, validity int) string {
		head := fmt.Sprintf(`{"text":%q,`, text)
		if validity >= 0 {
			head += fmt.Sprintf(`"ttl":"%ds",`, validity)
		}
		return head + `"messages":[` + repeated(n, `{"to":"ann"}`) + `]}`
	},
}

func repeated(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }

// refusals decodes a request in a provider's own format, and returns the codes of all of its
// problems.
func refusals(t *testing.T, name, body string, change func(o *dialect.Options)) (*message.Batch, []string) {
	t.Helper()
	format := name
	if name == "webhook" {
		format = "volley"
	}
	d, err := dialect.Named(format)
	require.NoError(t, err)
	o := dialect.Options{Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), IMKITParas: config.Default().Limits.IMKITParas}
	if change != nil {
		change(&o)
	}
	b, problems := d.Decode([]byte(body), o)
	codes := []string{}
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	if b != nil {
		for _, m := range b.Messages {
			for _, p := range m.Problems {
				codes = append(codes, p.Code)
			}
		}
	}
	return b, codes
}

func TestLimitsOfARequestAreAsThePageSays(t *testing.T) {
	t.Parallel()
	rows := limits(t)
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cell := func(row string) string {
				require.Contains(t, rows, row)
				return rows[row][name]
			}
			decode := func(body string, change func(o *dialect.Options)) []string {
				_, codes := refusals(t, name, body, change)
				return codes
			}

			size := numbers(t, cell("messages of a batch"))
			if name == "webhook" {
				require.Equal(t, config.Default().Limits.BatchMessages, size[1])
			} else {
				require.Empty(t, decode(request(size[1], "Hi", -1), nil))
				require.Contains(t, decode(request(size[1]+1, "Hi", -1), nil), message.CodeTooMany)
			}
			require.Empty(t, decode(request(max(size[0], 1), "Hi", -1), nil))
			require.Equal(t, size[0] == 0, len(decode(request(0, "Hi", -1), nil)) == 0, "an empty batch")

			if text := cell("text"); name == "bluesky" {
				most := numbers(t, text) // bytes, the 8 of UTF-8, graphemes
				accents := "e" + strings.Repeat("\u0301", (most[0]-2)/2) + "x"
				require.Len(t, accents, most[0])
				require.Empty(t, decode(request(1, accents, -1), nil))
				require.Contains(t, decode(request(1, accents+"y", -1), nil), message.CodeTooLong)
				require.Empty(t, decode(request(1, strings.Repeat("x", most[2]), -1), nil))
				require.Contains(t, decode(request(1, strings.Repeat("x", most[2]+1), -1), nil), message.CodeTooLong)
			} else {
				require.Empty(t, decode(request(1, strings.Repeat("x", 200_000), -1), nil))
				require.Equal(t, strings.HasPrefix(text, "1 character or more"), len(decode(request(1, "", -1), nil)) > 0)
			}

			ahead := time.Duration(numbers(t, cell("scheduled ahead, at most"))[0]) * 24 * time.Hour
			require.Contains(t, cell("scheduled ahead, at most"), "days")
			require.Empty(t, decode(request(1, "Hi", -1), func(o *dialect.Options) { o.SendAfter = o.Now.Add(ahead) }))
			require.Contains(t, decode(request(1, "Hi", -1), func(o *dialect.Options) { o.SendAfter = o.Now.Add(ahead + time.Second) }), message.CodeHorizon)

			b, codes := refusals(t, name, request(1, "Hi", -1), nil)
			require.Empty(t, codes)
			validity := time.Duration(numbers(t, cell("validity, if none is given"))[0]) * time.Hour
			require.Equal(t, validity.Milliseconds(), b.Validity(&b.Messages[0]))

			switch least := cell("validity, at least"); name {
			case "imkit", "bluesky": // only from flags
			case "bird":
				b, codes := refusals(t, name, request(1, "Hi", 0), nil)
				require.Empty(t, codes)
				require.Equal(t, validity.Milliseconds(), b.Validity(&b.Messages[0]))
				require.Empty(t, decode(request(1, "Hi", numbers(t, least)[0]), nil))
			case "sinch":
				require.Empty(t, decode(request(1, "Hi", numbers(t, least)[0]), nil))
				require.Contains(t, decode(request(1, "Hi", numbers(t, least)[0]-1), nil), message.CodeRange)
			default:
				require.NotEmpty(t, decode(request(1, "Hi", 0), nil))
				require.Empty(t, decode(request(1, "Hi", 1), nil))
			}
		})
	}
}

func TestLimitsOfAnAccountAreAsThePageSays(t *testing.T) {
	t.Parallel()
	rows := limits(t)
	for name := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := provider.Account{Name: "a", Provider: name, Reconcile: true, ReportSecret: "s"}
			without := provider.Account{Name: "a", Provider: name}

			asked := rows["can be asked about a message in doubt"][name]
			require.Equal(t, strings.HasPrefix(asked, "yes"), without.Policy().Reconciles)
			require.Equal(t, strings.HasPrefix(asked, "yes") || strings.Contains(asked, "`reconcile: true`"), with.Policy().Reconciles)
			reports := rows["reports deliveries"][name]
			require.False(t, without.TakesReports())
			require.Equal(t, strings.HasPrefix(reports, "yes, with `report_secret`"), with.TakesReports())

			takes := rows["recipients of other formats"][name]
			for _, kind := range []message.AddressKind{
				message.KindPhone, message.KindEmail, message.KindContact, message.KindConvo, message.KindRoom, message.KindOther,
			} {
				m := &message.Message{Addresses: []message.Address{{Kind: kind, Channel: "LINE", Value: "x"}}}
				b := &message.Batch{Dialect: "another", Policies: map[string]message.Policy{"a": without.Policy()}}
				_, plain := b.HopAddress(m, message.Hop{Account: "a"})
				_, app := b.HopAddress(m, message.Hop{Account: "a", Channels: []string{"LINE"}})
				require.Equal(t, strings.Contains(takes, "`"+string(kind)+"`"), plain || app && kind == message.KindOther, "%s", kind)
			}
		})
	}
}

func TestLimitsOfAllAreAsThePageSays(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("docs/limits.md")
	require.NoError(t, err)
	policy := provider.Account{}.Policy()
	require.NotEqual(t, message.Resend, policy.OnUnknown)
	for _, said := range []string{
		fmt.Sprintf("`settle` %d s", policy.Settle/1000),
		fmt.Sprintf("counts as %d years at most", int(message.MaxTTL.Hours()/24/365)),
		fmt.Sprintf("has %d s in place of the %d h", int(message.TwoFactorTTL.Seconds()), int(message.DefaultTTL.Hours())),
	} {
		require.Contains(t, string(data), said)
	}
}
