package dialect_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// accepted is the moment of acceptance in every test of this package.
var accepted = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// request is one file of testdata with what it is decoded with.
type request struct {
	// name is the file's name without its last extension, as ok.minimal.
	name    string
	golden  string
	body    []byte
	options dialect.Options
}

// requests reads testdata/<name>/{ok,err}.<rule>.{json,jsonl,csv}, each with the
// options of <case>.options.json where that stands beside it.
func requests(t testing.TB, name string) []request {
	t.Helper()
	var out []request
	seen := map[string]bool{}
	for _, ext := range []string{"json", "jsonl", "csv"} {
		files, err := filepath.Glob(filepath.Join("testdata", name, "*."+ext))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, ".options.json") {
				continue
			}
			stem := strings.TrimSuffix(file, "."+ext)
			rule := filepath.Base(stem)
			require.Truef(t, strings.HasPrefix(rule, "ok.") || strings.HasPrefix(rule, "err."), "%s is named neither ok.<rule> nor err.<rule>", file)
			require.Falsef(t, seen[rule], "two files of %s share the name %s", name, rule)
			seen[rule] = true
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			out = append(out, request{name: rule, golden: stem + ".golden", body: body, options: optionsOf(t, stem)})
		}
	}
	return out
}

// optionsOf reads <stem>.options.json: the fields of dialect.Options that differ
// from the zero value, by their Go names, with TTL as a Go duration. Now is
// accepted unless the file says otherwise.
func optionsOf(t testing.TB, stem string) dialect.Options {
	t.Helper()
	type fields dialect.Options
	in := struct {
		*fields
		TTL string
	}{fields: &fields{Now: accepted}}
	raw, err := os.ReadFile(stem + ".options.json")
	if os.IsNotExist(err) {
		return dialect.Options(*in.fields)
	}
	require.NoError(t, err)
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&in), "%s.options.json", stem)
	if in.TTL != "" {
		in.fields.TTL, err = time.ParseDuration(in.TTL)
		require.NoError(t, err, "%s.options.json", stem)
	}
	return dialect.Options(*in.fields)
}

// decode decodes a request; it was accepted at accepted unless the options say
// otherwise.
func decode(t testing.TB, name, body string, o dialect.Options) (*message.Batch, message.Problems) {
	t.Helper()
	d, err := dialect.Named(name)
	require.NoError(t, err)
	if o.Now.IsZero() {
		o.Now = accepted
	}
	return d.Decode([]byte(body), o)
}

// knownCode reports whether a code is in the closed set of message.
func knownCode(code string) bool {
	switch code {
	case message.CodeRequired, message.CodeType, message.CodeUnknownField, message.CodeTooLong,
		message.CodeTooShort, message.CodeTooMany, message.CodeTooFew, message.CodeFormat,
		message.CodeRange, message.CodeEnum, message.CodeConflict, message.CodeHorizon,
		message.CodeParameter, message.CodeUnroutable, message.CodeExcluded, message.CodeRecipient:
		return true
	}
	return false
}

// violation checks what every decoder promises of whatever it is given. It
// returns the first promise that is broken, or nil.
func violation(d dialect.Dialect, o dialect.Options, b *message.Batch, whole message.Problems) error {
	for _, p := range whole {
		if p.Index != message.WholeBatch {
			return fmt.Errorf("a problem of the whole has index %d: %s", p.Index, p)
		}
		if !knownCode(p.Code) || p.Detail == "" {
			return fmt.Errorf("unknown code or no detail: %#v", p)
		}
	}
	if len(whole) > 0 {
		return nil
	}
	switch {
	case b == nil:
		return fmt.Errorf("neither a batch nor a problem")
	case b.Dialect != d.Name:
		return fmt.Errorf("the batch's dialect is %q", b.Dialect)
	case !b.CreatedAt.Equal(o.Now):
		return fmt.Errorf("the batch was created at %s", b.CreatedAt)
	case b.TTL < 0 || b.Horizon < 0 || b.Priority < 0 || b.Priority > 5:
		return fmt.Errorf("ttl %d, horizon %d, priority %d", b.TTL, b.Horizon, b.Priority)
	}
	if _, err := json.Marshal(b); err != nil {
		return fmt.Errorf("the batch cannot be stored: %w", err)
	}
	for i := range b.Messages {
		if err := messageViolation(b, i); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

func messageViolation(b *message.Batch, i int) error {
	m := &b.Messages[i]
	for _, p := range m.Problems {
		if p.Index != i {
			return fmt.Errorf("a problem has index %d: %s", p.Index, p)
		}
		if !knownCode(p.Code) || p.Detail == "" || p.Path == "" {
			return fmt.Errorf("unknown code, no detail or no path: %#v", p)
		}
	}
	if len(m.Problems) > 0 {
		return nil
	}
	if m.To == "" {
		return fmt.Errorf("valid, but without a recipient")
	}
	if v := b.Validity(&b.Messages[i]); v <= 0 || v > message.MaxTTL.Milliseconds() {
		return fmt.Errorf("a validity of %d ms", v)
	}
	content, _, err := b.Template.Render(m)
	if err != nil {
		return fmt.Errorf("valid, but does not render: %w", err)
	}
	if !json.Valid(content) {
		return fmt.Errorf("the content is not JSON: %s", content)
	}
	return nil
}

func TestAll(t *testing.T) {
	t.Parallel()

	t.Run("lists the five dialects in the order of the documents", func(t *testing.T) {
		t.Parallel()
		var names []string
		for _, d := range dialect.All() {
			names = append(names, d.Name)
		}
		require.Equal(t, []string{"bird", "sinch", "imkit", "bluesky", "volley"}, names)
	})

	t.Run("names a recipient's place in each dialect's own words", func(t *testing.T) {
		t.Parallel()
		want := map[string]string{
			"bird":    "messageRequests[7].receiver",
			"sinch":   "recipient_and_params[7].recipient",
			"imkit":   "paras[7]",
			"bluesky": "items[7].convoId",
			"volley":  "messages[7].to",
		}
		for _, d := range dialect.All() {
			require.Equal(t, want[d.Name], d.Recipient(7))
		}
	})
}

func TestNamed(t *testing.T) {
	t.Parallel()

	t.Run("finds every dialect by its name", func(t *testing.T) {
		t.Parallel()
		for _, d := range dialect.All() {
			got, err := dialect.Named(d.Name)
			require.NoError(t, err)
			require.Equal(t, d.Name, got.Name)
		}
	})

	t.Run("says which names there are when it knows none such", func(t *testing.T) {
		t.Parallel()
		_, err := dialect.Named("smoke")
		require.EqualError(t, err, `unknown dialect "smoke", expected one of [bird sinch imkit bluesky volley]`)
	})
}

func TestRead(t *testing.T) {
	t.Parallel()

	t.Run("reads a request of exactly the limit", func(t *testing.T) {
		t.Parallel()
		b, err := dialect.Read(strings.NewReader("12345"), 5)
		require.NoError(t, err)
		require.Equal(t, "12345", string(b))
	})

	t.Run("refuses one byte more and names the limit", func(t *testing.T) {
		t.Parallel()
		_, err := dialect.Read(strings.NewReader("123456"), 5)
		require.EqualError(t, err, "the request is larger than 5 bytes")
	})
}

// The files of examples/ are what a newcomer sends first.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, d := range dialect.All() {
		files, err := filepath.Glob(filepath.Join("..", "..", "examples", d.Name+".*"))
		require.NoError(t, err)
		var read int
		for _, file := range files {
			if ext := filepath.Ext(file); ext != ".json" && ext != ".jsonl" && ext != ".csv" {
				continue
			}
			read++
			t.Run(filepath.Base(file)+" can be sent", func(t *testing.T) {
				t.Parallel()
				body, err := os.ReadFile(file)
				require.NoError(t, err)
				o := dialect.Options{Now: accepted}
				if filepath.Ext(file) == ".csv" {
					o.Text = "Thank you, ${name}!"
				}
				b, whole := d.Decode(body, o)
				require.Empty(t, whole)
				require.NoError(t, violation(d, o, b, whole))
				require.Less(t, b.Rejected(), len(b.Messages))
			})
		}
		require.NotZero(t, read, "%s has no example", d.Name)
	}
}

// A request costs no more than its size, however much is wrong with it: with every
// field of every message.
func TestTheProblemsOfARequestAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const most = 20_000
	unknown := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"x%d":0,`, i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	many := func(n int, item, separator string) string {
		return strings.TrimSuffix(strings.Repeat(item+separator, n), separator)
	}
	for name, c := range map[string]struct {
		dialect, body string
		messages      int
	}{
		"sinch":        {"sinch", `{"app_id":"a","message":{"text_message":{"text":"x"}},"recipient_and_params":[` + many(1000, unknown(300), ",") + `]}`, 1000},
		"imkit":        {"imkit", `{"messageType":"text","message":"x","paras":[` + many(1000, unknown(300), ",") + `]}`, 1000},
		"bird":         {"bird", `{"messageRequests":[` + many(100, unknown(3000), ",") + `]}`, 100},
		"volley":       {"volley", `{"text":"x","messages":[` + many(3000, unknown(200), ",") + `]}`, 3000},
		"volley lines": {"volley", `{"text":"x"}` + "\n" + many(3000, unknown(200), "\n"), 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, problems := decode(t, c.dialect, c.body, dialect.Options{Now: accepted})
			require.Empty(t, problems)
			require.Len(t, b.Messages, c.messages)
			require.Equal(t, c.messages, b.Rejected(), "each message stays rejected")
			all := len(b.Problems())
			require.GreaterOrEqual(t, all, most)
			require.LessOrEqual(t, all, most+c.messages)
		})
	}
}
