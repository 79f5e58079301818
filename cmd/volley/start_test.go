package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

const (
	goodBody = `{"text":"Hi ${name}","messages":[{"to":"+15550001111","params":{"name":"Ann"}},{"to":"+15550002222","params":{"name":"Bob"},"sendAfter":"2h"}]}`
	someBody = `{"text":"Hi ${name}","messages":[{"to":"+15550001111","params":{"name":"Ann"}},{"to":"+15550002222"}]}`
	badBody  = `{"text":"Hi ${name}","messages":[{"to":"+15550002222"}]}`
)

func TestStart(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = goodBody
	golden(t, "start.text", s.run(t, "start", "--dialect", "volley", "--id", "b1", "-"))
	require.True(t, f.closed)
	require.Equal(t, starter.Ref{Tenant: "default", ID: "b1"}, f.request.Ref)
	require.True(t, bytes.Equal([]byte(goodBody), f.request.Body), "the content is the bytes as received")
	require.Empty(t, f.request.Flags)
	require.Equal(t, []message.Hop{{Account: "hook"}, {Account: "spare"}}, f.request.Batch.HopsOf(&f.request.Batch.Messages[0]))
	require.Equal(t, moment, f.request.Batch.CreatedAt)
	golden(t, "start.json", s.run(t, "start", "--dialect", "volley", "--id", "b1", "-o", "json", "-"))
}

func TestFlagsStandAnywhere(t *testing.T) {
	t.Parallel()
	file := write(t, "batch.json", goodBody)
	var first result
	for i, args := range [][]string{
		{"start", "--dialect", "volley", "--id", "b1", "-o", "json", file},
		{"-o", "json", "start", file, "--id=b1", "--dialect=volley"},
		{"start", file, "-o=json", "--dialect", "volley", "--id", "b1"},
		{"--output", "json", "start", "--dialect", "volley", file, "--id", "b1"},
	} {
		r := withConfig(t, nil).run(t, args...)
		require.Equal(t, 0, r.code, r.stderr)
		if i == 0 {
			first = r
		}
		require.Equal(t, first, r)
	}
}

func TestStartGivesOnAllFlagsThatDecideTheContent(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = goodBody
	r := s.run(t, "start", "--dialect", "volley", "--account", "spare", "--send-after", "10m", "--ttl", "2h", "--dispatch", "message", "--strict", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, map[string]string{
		"account": "spare", "send-after": "10m", "ttl": "2h", "dispatch": "message", "strict": "true",
	}, f.request.Flags)
	b := f.request.Batch
	require.Equal(t, []message.Hop{{Account: "spare"}}, b.HopsOf(&b.Messages[0]))
	require.Equal(t, moment.Add(10*time.Minute).UnixMilli(), b.DueAt(&b.Messages[0]))
	require.Equal(t, (2 * time.Hour).Milliseconds(), b.Validity(&b.Messages[0]))
}

func TestStartReadsCSVWithItsHeaderInFlags(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = "to,name\n+15550001111,Ann\n"
	r := s.run(t, "start", "--dialect", "volley", "--text", "Hi ${name}", "--channel", "SMS", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, map[string]string{"text": "Hi ${name}", "channel": "SMS"}, f.request.Flags)
	_, text, err := f.request.Batch.Template.Render(&f.request.Batch.Messages[0])
	require.NoError(t, err)
	require.Equal(t, "Hi Ann", text)
	require.Equal(t, []string{"SMS"}, f.request.Batch.Messages[0].Channels)
}

func TestStartWithProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		args []string
		code int
	}{
		"some":   {someBody, nil, 0},
		"strict": {someBody, []string{"--strict"}, 2},
		"none":   {badBody, nil, 2},
		"whole":  {`{"text":`, nil, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"text", "json"} {
				f := &fake{}
				s := withConfig(t, f)
				s.stdin = tt.body
				r := s.run(t, append([]string{"start", "--dialect", "volley", "--id", "b1", "-o", output, "-"}, tt.args...)...)
				golden(t, "start.problems-"+name+"."+output, r)
				require.Equal(t, tt.code, r.code)
				require.Equal(t, tt.code == 0, f.startCalls == 1, "what is refused starts nothing")
			}
		})
	}
}

func TestProblemsAreLimited(t *testing.T) {
	t.Parallel()
	body := `{"text":"x","messages":[{"to":"+15550001111"}` + strings.Repeat(`,{"to":""}`, 150) + `]}`
	for args, want := range map[string]int{"100": 100, "all": 150, "3": 3, "0": 0} {
		s := withConfig(t, nil)
		s.stdin = body
		r := s.run(t, "start", "--dialect", "volley", "-", "-o", "json", "--problems", args)
		require.Equal(t, 0, r.code, r.stderr)
		require.Len(t, document(t, r)["problems"], want)
	}
	s := withConfig(t, nil)
	s.stdin = body
	for args, want := range map[string]string{
		"all": "required  150 × to: a message needs a recipient (messages 1, 2, 3, 4, 5, …)\n",
		"0":   "… and 150 more problems, --problems all shows them\n",
	} {
		require.Contains(t, s.run(t, "start", "--dialect", "volley", "--problems", args, "-").stdout, want)
	}
}

func TestABlueskyCallIsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = `{"items":[{"convoId":"c1","message":{"text":"a"}},{"convoId":"c2","message":{"text":"b"}}]}`
	r := s.run(t, "start", "--dialect", "bluesky", "-", "-o", "json")
	require.Equal(t, 2, r.code, "no route takes it")
	doc := document(t, r)
	require.InDelta(t, 2, doc["rejected"], 0)
	require.Zero(t, f.startCalls)

	s.stdin = `{"items":[]}`
	r = s.run(t, "start", "--dialect", "bluesky", "-", "-o", "json", "--account", "hook")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, 1, f.startCalls, "a call without items is a batch without messages")
}

func TestStartWaits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  message.Status
		args []string
		code int
	}{
		"all-sent":  {ended(message.Counts{message.Sent: 1, message.Delivered: 1}), []string{"--wait"}, 0},
		"unsent":    {ended(message.Counts{message.Sent: 1, message.Expired: 1}), []string{"--wait"}, 3},
		"watch":     {ended(message.Counts{message.Sent: 1, message.Undelivered: 1}), []string{"--watch"}, 3},
		"watch-all": {ended(message.Counts{message.Sent: 2}), []string{"--wait", "--watch"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"text", "json"} {
				s := withConfig(t, &fake{statuses: []message.Status{tt.end}})
				s.stdin = goodBody
				r := s.run(t, append([]string{"start", "--dialect", "volley", "--id", "b1", "-o", output, "-"}, tt.args...)...)
				golden(t, "start.wait-"+name+"."+output, r)
				require.Equal(t, tt.code, r.code)
				if output == "json" {
					require.Equal(t, "completed", document(t, r)["status"].(map[string]any)["state"])
				}
			}
		})
	}
}

func TestAnInterruptedWaitStillSaysWhichBatchItIs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	a := &app{
		env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig)}, stdin: strings.NewReader(goodBody), stdout: &stdout, stderr: &stderr,
		now: func() time.Time { return moment }, every: time.Millisecond, terminal: isTerminal,
		open: func(context.Context, *app, *config.Config) (batches, func(), error) {
			return &fake{failures: map[int]error{1: context.Canceled}}, func() {}, nil
		},
	}
	code := a.run(ctx, []string{"start", "--dialect", "volley", "--id", "b1", "--wait", "-o", "json", "-"})
	require.Equal(t, 1, code)
	require.Equal(t, "b1", document(t, result{stdout: stdout.String()})["id"])
	require.Equal(t, "volley: interrupted, batch b1 goes on\n", stderr.String())
}

func TestStartOfABatchThatIsThere(t *testing.T) {
	t.Parallel()
	s := withConfig(t, &fake{started: starter.Started{ID: "b1", Total: 2, Existing: true}})
	s.stdin = goodBody
	r := s.run(t, "start", "--dialect", "volley", "--id", "b1", "-", "-o", "json")
	require.Equal(t, 0, r.code)
	require.Equal(t, true, document(t, r)["existing"])
	require.Equal(t, "batch b1: 2 messages, 0 rejected, which was there already\n", s.run(t, "start", "--dialect", "volley", "--id", "b1", "-").stdout)

	s = withConfig(t, &fake{err: fmt.Errorf("batch b1: %w", starter.ErrConflict)})
	s.stdin = goodBody
	r = s.run(t, "start", "--dialect", "volley", "--id", "b1", "-")
	require.Equal(t, 5, r.code)
	require.Equal(t, "volley: batch b1: a batch with this id and other content exists\n", r.stderr)
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	inGroups := `{"dispatch":"group","text":"x","messages":[{"to":"+15550001111"}]}`
	bird := `{"messageRequests":[{"receiver":{"contacts":[{"identifierValue":"+31612345678"}]},"body":{"type":"text","text":{"text":"x"}}}]}`
	for name, tt := range map[string]struct {
		dialect, body, flag, want string
	}{
		"the starter decides":          {"volley", goodBody, "", ""},
		"the flag decides":             {"volley", goodBody, "group", "group"},
		"the body decides":             {"volley", inGroups, "", "group"},
		"the flag beats the body":      {"volley", inGroups, "message", "message"},
		"the flag is for all dialects": {"bird", bird, "group", "group"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			s := withConfig(t, f)
			s.stdin = tt.body
			args := []string{"start", "--dialect", tt.dialect, "--account", "hook", "-"}
			if tt.flag != "" {
				args = append(args, "--dispatch", tt.flag)
			}
			r := s.run(t, args...)
			require.Equal(t, 0, r.code, r.stdout+r.stderr)
			require.Equal(t, tt.want, f.request.Batch.Dispatch)
			require.Equal(t, tt.flag, f.request.Flags["dispatch"])
		})
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = goodBody
	r := s.run(t, "start", "--dialect", "volley", "--tenant", "acme", "--account", "spare", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "acme", f.request.Tenant)
	require.Equal(t, 2, f.request.Batch.Priority)

	require.Equal(t, 2, s.run(t, "start", "--dialect", "volley", "--tenant", "acme", "--account", "hook", "-").code, "not its account")
	require.Equal(t, 2, s.run(t, "start", "--dialect", "sinch", "--tenant", "acme", "-").code, "not its dialect")
	r = s.run(t, "start", "--dialect", "volley", "--tenant", "stranger", "-")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `tenant "stranger" is not in the configuration`)
}

func TestTheBodyIsBounded(t *testing.T) {
	t.Parallel()
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"limits: {body_bytes: 20}\n")}, stdin: goodBody}
	r := s.run(t, "start", "--dialect", "volley", "-")
	require.Equal(t, 2, r.code)
	require.Equal(t, "volley: read -: the request is larger than 20 bytes\n", r.stderr)
	file := write(t, "batch.json", goodBody)
	r = s.run(t, "start", "--dialect", "volley", file)
	require.Equal(t, 2, r.code)
	require.Equal(t, fmt.Sprintf("volley: read %s (%d bytes): the request is larger than 20 bytes\n", file, len(goodBody)), r.stderr)
}
