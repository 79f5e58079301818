package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// rows are JSON lines of n messages, more than are decoded as a whole. Each whose
// number bad says is without a recipient.
func rows(n int, bad func(i int) bool) string {
	var b strings.Builder
	b.WriteString(`{"text":"Hi ${name}","metadata":{"campaign":"spring"}}` + "\n")
	for i := range n {
		to := fmt.Sprintf("+1555%07d", i)
		if bad(i) {
			to = ""
		}
		fmt.Fprintf(&b, `{"to":%q,"reference":"customer-%07d","params":{"name":"Ann the %d. of a long line of Anns"}}`+"\n", to, i, i)
	}
	return b.String()
}

func none(int) bool { return false }

const many = 50_000

func TestALargeRequestComesMessageByMessage(t *testing.T) {
	t.Parallel()
	body := rows(many, none)
	require.Greater(t, len(body), 4<<20)
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = body
	r := s.run(t, "start", "--dialect", "volley", "--id", "b1", "--dispatch", "group", "-o", "json", "-")
	require.Equal(t, 0, r.code, r.stderr)
	doc := document(t, r)
	require.InDelta(t, many, doc["total"], 0)
	require.InDelta(t, 50, doc["segments"], 0)
	require.Equal(t, []any{}, doc["problems"])

	sum := sha256.Sum256([]byte(body))
	require.Equal(t, sum[:], f.content, "the content is the bytes as received")
	require.Equal(t, starter.Ref{Tenant: "default", ID: "b1"}, f.request.Ref)
	require.Equal(t, map[string]string{"dispatch": "group"}, f.request.Flags)
	require.Equal(t, "group", f.header.Dispatch)
	require.JSONEq(t, `{"campaign":"spring"}`, string(f.header.Metadata))
	b := *f.header
	b.Messages = f.large
	require.Equal(t, []message.Hop{{Account: "hook"}, {Account: "spare"}}, b.HopsOf(&b.Messages[2]))
	require.Equal(t, "+15550000002", f.large[2].To)
}

func TestALargeRequestInAFile(t *testing.T) {
	t.Parallel()
	f := &fake{}
	file := write(t, "batch.csv", "to,name\n"+strings.Repeat("+15550001111,"+strings.Repeat("x", 87)+"\n", many))
	r := withConfig(t, f).run(t, "start", "--dialect", "volley", "--tenant", "acme", "--account", "spare", "--text", "Hi ${name}", file, "-o", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.InDelta(t, many, document(t, r)["total"], 0)
	require.Equal(t, 2, f.header.Priority, "the tenant's")
	body, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := sha256.Sum256(body)
	require.Equal(t, sum[:], f.content)
}

func TestProblemsOfALargeRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	body := rows(many, func(i int) bool { return i%10 == 3 })
	for args, want := range map[string]int{"100": 100, "all": many / 10, "0": 0} {
		f := &fake{}
		s := withConfig(t, f)
		s.stdin = body
		r := s.run(t, "start", "--dialect", "volley", "-o", "json", "--problems", args, "-")
		require.Equal(t, 0, r.code, r.stderr)
		doc := document(t, r)
		require.InDelta(t, many/10, doc["rejected"], 0)
		problems, ok := doc["problems"].([]any)
		require.True(t, ok)
		require.Len(t, problems, want)
		if want > 1 {
			require.Equal(t, "messages[3].to", problems[0].(map[string]any)["path"])
			require.InDelta(t, 10*(want-1)+3, problems[want-1].(map[string]any)["index"], 0)
		}

		r = s.run(t, "start", "--dialect", "volley", "--id", "b1", "--problems", args, "-")
		require.Equal(t, 0, r.code, r.stderr)
		require.Contains(t, r.stdout, fmt.Sprintf("batch b1: %s messages, %s rejected\n", number(many), number(many/10)))
		if args == "0" {
			require.Contains(t, r.stdout, "… and 5,000 more problems, --problems all shows them\n")
		} else {
			require.Contains(t, r.stdout, "required  5,000 × to: a message needs a recipient (lines 5, 15, 25, 35, 45, …)\n")
		}
	}
}

func TestALargeRequestThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body            string
		args            []string
		total, rejected int
		problems        int
		want            string
	}{
		"strict": {
			rows(many, func(i int) bool { return i%1000 == 3 }),
			[]string{"--strict"},
			many, many / 1000, many / 1000,
			"50 messages are rejected and the request is strict, nothing was started",
		},
		"none valid":   {rows(many, func(int) bool { return true }), nil, many, many, 100, "no message is valid, nothing was started"},
		"a bad header": {`{"sendAfter":"soon"}` + "\n" + rows(many, none), nil, many + 1, many + 1, 100, "the request is refused, nothing was started"},
		"too many":     {rows(many, none), []string{"--config", "limited"}, 1000, 1000, 1, "the request is refused, nothing was started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"json", "text"} {
				f := &fake{}
				s := withConfig(t, f)
				s.stdin = tt.body
				args := append([]string{"start", "--dialect", "volley", "-o", output, "-"}, tt.args...)
				if name == "too many" {
					args[len(args)-1] = write(t, "volley.yaml", testConfig+"limits: {batch_messages: 1000}\n")
				}
				r := s.run(t, args...)
				require.Equal(t, 2, r.code, r.stderr)
				require.True(t, strings.HasSuffix(r.stderr, "volley: "+tt.want+"\n"), r.stderr)
				require.Zero(t, f.startCalls)
				if output == "json" {
					doc := document(t, r)
					require.InDelta(t, tt.total, doc["total"], 0)
					require.InDelta(t, tt.rejected, doc["rejected"], 0)
					require.Len(t, doc["problems"], tt.problems)
				}
			}
		})
	}
}

func TestValidateOfALargeRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	bad := func(i int) bool { return i%10 == 3 }
	for _, render := range []bool{false, true} {
		s := withConfig(t, nil)
		s.stdin = rows(many, bad)
		args := []string{"validate", "--dialect", "volley", "-o", "json", "-"}
		if render {
			args = append(args, "--render")
		}
		r := s.run(t, args...)
		require.Equal(t, 2, r.code, r.stderr)
		var doc struct {
			validateDocument
			Messages []struct {
				Index int
				State message.State
				Text  *string
			} `json:"messages"`
		}
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &doc))
		require.Equal(t, many, doc.Total)
		require.Equal(t, many-many/10, doc.Valid)
		require.Len(t, doc.Problems, many/10)
		require.Equal(t, message.Problem{Index: 49_993, Path: "messages[49993].to", Code: "required", Detail: "line 49995: a message needs a recipient"}, doc.Problems[many/10-1])
		require.Equal(t, 50, doc.Estimate.Segments)
		require.Equal(t, many-many/10, doc.Estimate.Messages)
		if !render {
			require.Empty(t, doc.Messages)
			continue
		}
		require.Len(t, doc.Messages, many)
		last := doc.Messages[many-1]
		require.Equal(t, many-1, last.Index)
		require.Equal(t, "Hi Ann the 49999. of a long line of Anns", *last.Text)
		require.Equal(t, message.Rejected, doc.Messages[3].State)
	}
	s := withConfig(t, nil)
	s.stdin = rows(many, none)
	r := s.run(t, "validate", "--dialect", "volley", "-")
	require.Equal(t, 0, r.code)
	require.Equal(t, "50,000 messages, 50,000 valid, 0 problems\n"+
		"50,000 messages, 50 segments, message by message, about 50,255 actions ($2.51 at Temporal Cloud's list price)\n"+
		"  (in groups: about 805 actions, $0.04)\n", r.stdout)
}

func TestARequestThatCannotBeReadBitByBitIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	body := `{"text":"Hi","messages":[{"to":"a"}` + strings.Repeat(`,{"to":"+15550001111"}`, 300_000) + `]}`
	s := withConfig(t, nil)
	s.stdin = body
	r := s.run(t, "validate", "--dialect", "volley", "-o", "json", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.InDelta(t, 300_001, document(t, r)["valid"], 0)

	s.env = []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"limits: {body_bytes: 5MiB}\n")}
	for _, command := range []string{"validate", "start"} {
		r = s.run(t, command, "--dialect", "volley", "-")
		require.Equal(t, 2, r.code)
		require.Empty(t, r.stdout)
		require.Equal(t, "volley: read -: the request is larger than 5242880 bytes\n", r.stderr)
	}
}

func TestAllProblemsOfALargeBatchThatFitsIntoMemoryAreShown(t *testing.T) {
	t.Parallel()
	for _, existing := range []bool{false, true} {
		s := withConfig(t, &fake{started: starter.Started{ID: "b1", Total: 151, Rejected: 150, Segments: 1, Existing: existing, Problems: message.Problems{{Path: "first"}}}})
		s.stdin = `{"text":"x","messages":[{"to":"+15550001111"}` + strings.Repeat(`,{"to":""}`, 150) + `]}`
		for args, want := range map[string]int{"all": 150, "120": 120} {
			require.Len(t, document(t, s.run(t, "start", "--dialect", "volley", "-", "-o", "json", "--problems", args))["problems"], want)
		}
		require.Contains(t, s.run(t, "start", "--dialect", "volley", "-").stdout, "required  150 × to: a message needs a recipient (messages 1, 2, 3, 4, 5, …)\n")
	}
}

func TestLargeBatchesWithoutAStore(t *testing.T) {
	t.Parallel()
	why := errors.New("mkdir /var/lib/volley: permission denied")
	f := &fake{err: &starter.TooLargeError{Messages: 1001, MaxMessages: 1000}}
	_, err := withoutStore{f, why}.Start(t.Context(), starter.Request{Batch: &message.Batch{}})
	require.Equal(t, exitFailed, exitCode(err))
	require.EqualError(t, err, "the batch has 1,001 messages, at most 1,000 are possible without the store: mkdir /var/lib/volley: permission denied")
	_, err = withoutStore{f, why}.StartLarge(t.Context(), starter.Request{}, nil)
	require.ErrorIs(t, err, why)
	_, err = withoutStore{f, why}.Purge(t.Context(), 0, false)
	require.ErrorIs(t, err, why)
	f.err = starter.ErrInvalid
	_, err = withoutStore{f, why}.Start(t.Context(), starter.Request{Batch: &message.Batch{Dispatch: "group"}})
	require.EqualError(t, err, "dispatch in groups needs the store: mkdir /var/lib/volley: permission denied")
	require.Equal(t, exitFailed, exitCode(err))
	f.err = starter.ErrConflict
	_, err = withoutStore{f, why}.Start(t.Context(), starter.Request{Batch: &message.Batch{}})
	require.Equal(t, starter.ErrConflict, err)
	_, err = withoutStore{f, why}.Redrive(t.Context(), starter.Ref{}, starter.RedriveQuery{})
	require.Equal(t, starter.ErrConflict, err)
}
