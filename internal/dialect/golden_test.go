package dialect_test

import (
	"bytes"
	"encoding/json"
	"flag"
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

var (
	update = flag.Bool("update", false, "rewrite the golden files of testdata")
	only   = flag.String("dialect", "", "restrict the golden and malformed tests to one dialect")
)

// golden is what a .golden file holds: everything that a decoder decided.
type golden struct {
	Whole    message.Problems `json:"whole,omitempty"`
	Warnings message.Problems `json:"warnings,omitempty"`
	Batch    *goldenBatch     `json:"batch,omitempty"`
	Messages []goldenMessage  `json:"messages,omitempty"`
}

type goldenBatch struct {
	Total        int             `json:"total"`
	Rejected     int             `json:"rejected"`
	Account      string          `json:"account,omitempty"`
	Dispatch     string          `json:"dispatch,omitempty"`
	Priority     int             `json:"priority,omitempty"`
	SendAfter    string          `json:"sendAfter,omitempty"`
	TTL          string          `json:"ttl,omitempty"`
	Horizon      string          `json:"horizon,omitempty"`
	AwaitReports string          `json:"awaitReports,omitempty"`
	Region       string          `json:"region,omitempty"`
	Callbacks    string          `json:"callbacks,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	Syntax       message.Syntax  `json:"syntax,omitempty"`
	Scope        []string        `json:"scope,omitempty"`
	TextPaths    [][]string      `json:"textPaths,omitempty"`
}

type goldenMessage struct {
	To        string            `json:"to"`
	Addresses []message.Address `json:"addresses,omitempty"`
	Reference string            `json:"reference,omitempty"`
	Channels  []string          `json:"channels,omitempty"`
	Due       string            `json:"due"`
	TTL       string            `json:"ttl"`
	Params    map[string]string `json:"params,omitempty"`
	Metadata  json.RawMessage   `json:"metadata,omitempty"`
	Problems  message.Problems  `json:"problems,omitempty"`
	Text      string            `json:"text,omitempty"`
	Content   json.RawMessage   `json:"content,omitempty"`
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, d := range dialect.All() {
		if *only != "" && *only != d.Name {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			known := map[string]bool{}
			for _, r := range requests(t, d.Name) {
				known[r.golden] = true
				t.Run(r.name, func(t *testing.T) { compare(t, d, r) })
			}
			files, err := filepath.Glob(filepath.Join("testdata", d.Name, "*.golden"))
			require.NoError(t, err)
			for _, file := range files {
				require.Truef(t, known[file], "%s belongs to no request", file)
			}
		})
	}
}

func compare(t *testing.T, d dialect.Dialect, r request) {
	t.Helper()
	body := bytes.Clone(r.body)
	b, whole := d.Decode(body, r.options)
	require.Equal(t, string(r.body), string(body), "the decoder changed its input")
	require.NoError(t, violation(d, r.options, b, whole))

	problems := whole
	if len(whole) == 0 {
		problems = b.Problems()
	}
	if strings.HasPrefix(r.name, "ok.") {
		require.Empty(t, problems)
	} else {
		require.NotEmpty(t, problems)
	}

	got := show(t, b, whole)
	if *update {
		require.NoError(t, os.WriteFile(r.golden, got, 0o644))
		return
	}
	want, err := os.ReadFile(r.golden)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), string(got))
}

// show writes what a decoder decided for a person to read. Nothing of a batch is
// shown when the whole was refused.
func show(t *testing.T, b *message.Batch, whole message.Problems) []byte {
	t.Helper()
	g := golden{Whole: whole}
	if len(whole) == 0 {
		g.Batch = &goldenBatch{
			Total: len(b.Messages), Rejected: b.Rejected(),
			Account: b.Account, Dispatch: b.Dispatch, Priority: b.Priority,
			SendAfter: formatMillis(b.SendAfter), TTL: span(b.TTL), Horizon: span(b.Horizon),
			AwaitReports: span(b.AwaitReports), Region: b.Region, Metadata: b.Metadata,
			Syntax: b.Template.Syntax, Scope: b.Template.Scope, TextPaths: b.Template.TextPaths,
		}
		for i := range b.Messages {
			g.Messages = append(g.Messages, showMessage(t, b, i))
		}
	}
	if b != nil {
		g.Warnings = b.Warnings
	}
	if g.Batch != nil && b.Callbacks != nil {
		g.Batch.Callbacks = fmt.Sprintf("%s to %s, messages %t", b.Callbacks.Path, b.Callbacks.URL, b.Callbacks.Messages)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(g))
	return out.Bytes()
}

func showMessage(t *testing.T, b *message.Batch, i int) goldenMessage {
	t.Helper()
	m := &b.Messages[i]
	out := goldenMessage{
		To: m.To, Addresses: m.Addresses, Reference: m.Reference, Channels: m.Channels,
		Due: formatMillis(b.DueAt(&b.Messages[i])), TTL: span(b.Validity(&b.Messages[i])),
		Params: m.Params, Metadata: m.Metadata, Problems: m.Problems,
	}
	if len(m.Problems) == 0 {
		var err error
		out.Content, out.Text, err = b.Template.Render(m)
		require.NoError(t, err)
	}
	return out
}

func formatMillis(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

func span(ms int64) string {
	if ms == 0 {
		return ""
	}
	return (time.Duration(ms) * time.Millisecond).String()
}
