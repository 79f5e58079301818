package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

func bird(t testing.TB) dialect.Dialect {
	t.Helper()
	d, err := dialect.Named("bird")
	require.NoError(t, err)
	return d
}

// birdBatch is a request of n messages, each with the fields given.
func birdBatch(n int, fields string) []byte {
	one := `{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+1555000%04d"}]},` + fields + `}`
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(one, i)
	}
	return []byte(`{"messageRequests":[` + strings.Join(items, ",") + `]}`)
}

const birdText = `"body":{"type":"text","text":{"text":"Your parcel is on its way"}},"reference":"order"`

func TestBirdBatch(t *testing.T) {
	t.Parallel()
	b, whole := bird(t).Decode(birdBatch(2, birdText), dialect.Options{Now: accepted, Account: "bird-main"})
	require.Empty(t, whole)
	require.Equal(t, message.Version, b.V)
	require.Equal(t, "bird", b.Dialect)
	require.Equal(t, "bird-main", b.Account)
	require.Equal(t, (35 * 24 * time.Hour).Milliseconds(), b.Horizon)
	require.Equal(t, message.SyntaxNone, b.Template.Syntax)
	require.Equal(t, "order", b.Messages[1].Reference)
	require.Equal(t, "+15550000001", b.Messages[1].To)
}

func TestBirdPlaceholdersAreNotOurs(t *testing.T) {
	t.Parallel()
	b, whole := bird(t).Decode(birdBatch(1, `"body":{"type":"text","text":{"text":"Hi ${name} $x$ {{y}}"}}`), dialect.Options{Now: accepted})
	require.Empty(t, whole)
	_, text, err := b.Template.Render(&b.Messages[0])
	require.NoError(t, err)
	require.Equal(t, "Hi ${name} $x$ {{y}}", text)
}

func TestBirdValidity(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, field string
		// kept is whether the body tells a sender to pass a validity on.
		kept      bool
		want      time.Duration
		twoFactor bool
	}{
		{"none given is 36 hours", ``, false, 36 * time.Hour, false},
		{"none given is 10 minutes on an account for two factors", ``, false, 10 * time.Minute, true},
		{"0 is none given", `,"validity":0`, false, 36 * time.Hour, false},
		{"0 is none given on an account for two factors", `,"validity":0`, false, 10 * time.Minute, true},
		{"seconds are kept for the sender", `,"validity":90`, true, 90 * time.Second, false},
		{"an own validity beats that of a two-factor account", `,"validity":7200`, true, 2 * time.Hour, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, whole := bird(t).Decode(birdBatch(1, birdText+c.field), dialect.Options{Now: accepted})
			require.Empty(t, whole)
			require.Empty(t, b.Messages[0].Problems)
			b.Hops = [][]message.Hop{{{Account: "a"}}}
			b.Policies = map[string]message.Policy{"a": {TwoFactor: c.twoFactor}}
			require.Equal(t, c.want.Milliseconds(), b.Validity(&b.Messages[0]))
			var content map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(b.Messages[0].Body, &content))
			require.Equal(t, c.kept, content["validity"] != nil)
		})
	}
}

func TestBirdBodyIsTheMessage(t *testing.T) {
	t.Parallel()
	request := []byte(`{"messageRequests":[{ "reference" : "r",
		"scheduledFor":"2026-11-21T12:00:00Z", "meta":{"extraInformation":{"z":1.10,"a":12345678901234567890,"m":1E5,"t":"<\u00e9>"}},
		"receiver":{"contacts":[{"id":"c"}]}, "validity":60 , "body":{"type":"text","text":{"text":"x"}} }]}`)
	b, whole := bird(t).Decode(request, dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Equal(t, `{"reference":"r","meta":{"extraInformation":{"z":1.10,"a":12345678901234567890,"m":1E5,"t":"<\u00e9>"}},`+
		`"receiver":{"contacts":[{"id":"c"}]},"validity":60,"body":{"type":"text","text":{"text":"x"}}}`, string(b.Messages[0].Body))

	b, whole = bird(t).Decode(birdBatch(1, birdText+`,"zebra":1`), dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Empty(t, b.Messages[0].Body, "a rejected message has nothing to send")
	require.Equal(t, "+15550000000", b.Messages[0].To, "but says whose it was")
}

func TestBirdItemFailsAlone(t *testing.T) {
	t.Parallel()
	request := bytes.Replace(birdBatch(100, birdText), []byte(`"+15550000042"`), []byte(`42`), 1)
	b, whole := bird(t).Decode(request, dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Len(t, b.Messages, 100)
	require.Equal(t, 1, b.Rejected())
	require.Equal(t, message.Problems{{
		Index: 42, Path: "messageRequests[42].receiver.contacts[0].identifierValue",
		Code: message.CodeType, Detail: "expected a string, got the number 42",
	}}, b.Messages[42].Problems)
}

func TestBirdManyUnknownFields(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	fields.WriteString(birdText)
	for i := range 5_000 {
		fmt.Fprintf(&fields, `,"field%d":1`, i)
	}
	b, whole := bird(t).Decode(birdBatch(1, fields.String()), dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Len(t, b.Messages[0].Problems, 5_000, "each field once")
}

func TestBirdManyContactsWithoutAddress(t *testing.T) {
	t.Parallel()
	const contacts = 20_000
	request := `{"messageRequests":[{"receiver":{"contacts":[{"id":""}` + strings.Repeat(`,{}`, contacts-1) + `]},` + birdText + `}]}`
	b, whole := bird(t).Decode([]byte(request), dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Len(t, b.Messages[0].Problems, contacts)
	require.Equal(t, "messageRequests[0].receiver.contacts[19999]", b.Messages[0].Problems[contacts-1].Path)
}

func TestBirdDecodesSideBySide(t *testing.T) {
	t.Parallel()
	want, _ := bird(t).Decode(birdBatch(10, birdText), dialect.Options{Now: accepted})
	var group sync.WaitGroup
	got := make([]*message.Batch, 8)
	for i := range got {
		group.Go(func() { got[i], _ = bird(t).Decode(birdBatch(10, birdText), dialect.Options{Now: accepted}) })
	}
	group.Wait()
	for _, b := range got {
		require.Equal(t, want, b)
	}
}

func TestBirdExample(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../examples/bird.json")
	require.NoError(t, err)
	b, whole := bird(t).Decode(body, dialect.Options{Now: accepted})
	require.Empty(t, whole)
	require.Len(t, b.Messages, 5)
	require.Equal(t, 1, b.Rejected())
	require.Equal(t, message.CodeTooShort, b.Messages[2].Problems[0].Code)
	for _, steer := range []string{"9902", "9905", "+reject"} {
		n := 0
		for _, m := range b.Messages {
			if strings.Contains(m.To, steer) {
				n++
				require.Empty(t, m.Problems)
			}
		}
		require.Equal(t, 1, n, steer)
	}
	references := map[string]bool{}
	for _, m := range b.Messages {
		require.NotEmpty(t, m.Reference)
		require.False(t, references[m.Reference], m.Reference)
		references[m.Reference] = true
		require.Zero(t, m.Due)
	}
}

func BenchmarkDecodeBird(b *testing.B) {
	for name, body := range map[string][]byte{
		"100 valid":    birdBatch(100, birdText),
		"100 rejected": birdBatch(100, `"body":{"type":"text","text":{"text":"","x":1}},"validity":-1`),
	} {
		b.Run(name, func(b *testing.B) {
			d := bird(b)
			o := dialect.Options{Now: accepted}
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, whole := d.Decode(body, o); len(whole) > 0 {
					b.Fatal(whole)
				}
			}
		})
	}
}

func TestBirdTTLOfTheOptions(t *testing.T) {
	t.Parallel()
	const request = `{"messageRequests":[{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text","text":{"text":"x"}}}]}`
	_, problems := decode(t, "bird", request, dialect.Options{Now: accepted, TTL: -time.Second})
	require.Len(t, problems, 1)
	require.Equal(t, "ttl", problems[0].Path)
	require.Equal(t, message.CodeRange, problems[0].Code)

	b, problems := decode(t, "bird", request, dialect.Options{Now: accepted, TTL: time.Nanosecond})
	require.Empty(t, problems)
	require.EqualValues(t, 1, b.Validity(&b.Messages[0]), "the shortest validity is not the default")
}

// Checking a value costs far more than reading it.
func TestABirdMessageOfTooManyValuesIsNotChecked(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const good = `{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text","text":{"text":"x, [y] {z}"}}}`
	zeros := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]" }
	for name, c := range map[string]struct {
		message string
		path    string
	}{
		"in one list":     {`{"receiver":{"contacts":` + zeros(50_000) + `}}`, "messageRequests[1]"},
		"in many":         {`{"meta":{"extraInformation":{"a":[` + strings.TrimSuffix(strings.Repeat("[0],", 25_000), ",") + `]}}}`, "messageRequests[1]"},
		"as the message":  {zeros(50_000), "messageRequests[1]"},
		"as few as there": {`{"receiver":{"contacts":[{"identifierValue":"` + strings.Repeat(",", 60_000) + `"}]},"body":{"type":"text","text":{"text":"x"}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, problems := decode(t, "bird", `{"messageRequests":[`+good+`,`+c.message+`]}`, dialect.Options{Now: accepted})
			require.Empty(t, problems)
			require.Empty(t, b.Messages[0].Problems)
			if c.path == "" {
				require.Empty(t, b.Messages[1].Problems)
				return
			}
			require.Len(t, b.Messages[1].Problems, 1)
			require.Equal(t, c.path, b.Messages[1].Problems[0].Path)
			require.Equal(t, message.CodeTooMany, b.Messages[1].Problems[0].Code)
		})
	}
	many := strings.Repeat(`{"receiver":{"contacts":`+zeros(49_900)+`}},`, 5) + good
	b, problems := decode(t, "bird", `{"messageRequests":[`+many+`]}`, dialect.Options{Now: accepted})
	require.Empty(t, problems)
	require.NotEqual(t, message.CodeTooMany, b.Messages[3].Problems[0].Code)
	require.Equal(t, message.CodeTooMany, b.Messages[4].Problems[0].Code, "the messages before it have taken what there is")
	require.Empty(t, b.Messages[5].Problems)
	_, problems = decode(t, "bird", `{"messageRequests":`+zeros(1_000_000)+`}`, dialect.Options{Now: accepted})
	require.Len(t, problems, 1)
	require.Equal(t, message.CodeTooMany, problems[0].Code)
	_, problems = decode(t, "bird", `{"messageRequests":{"a":`+zeros(1_000_000)+`}}`, dialect.Options{Now: accepted})
	require.True(t, problems.Whole())
	require.LessOrEqual(t, len(problems), 2)
}
