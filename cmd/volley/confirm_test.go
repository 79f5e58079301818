package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

// crowd is a request of n messages, of which the first ones have no recipient.
func crowd(n, rejected int) string {
	var b strings.Builder
	b.WriteString(`{"text":"Hi ${name}"}` + "\n")
	for i := range n {
		to := fmt.Sprintf("+1555%07d", i)
		if i >= n-rejected {
			to = ""
		}
		fmt.Fprintf(&b, `{"to":%q,"params":{"name":"Ann"}}`+"\n", to)
	}
	return b.String()
}

var sale = &starter.Same{ID: "sale-1", At: moment.Add(-3 * time.Minute)}

// dialog is a run at a terminal: what is typed once it asks, and what was shown.
type dialog struct {
	setting
	// typed is written when the question is there, an empty line if it is empty;
	// interrupt ends the run instead.
	typed     string
	interrupt bool
	// piped stands for a stdin, and redirected for a stderr, that is no terminal.
	piped, redirected bool
}

func (d dialog) run(t *testing.T, args ...string) result {
	t.Helper()
	master, slave, err := pty.Open()
	if errors.Is(err, pty.ErrUnsupported) {
		t.Skip("there are no pseudo-terminals")
	}
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	f := d.fake
	a := &app{
		env: d.env, stdin: slave, stdout: &stdout, stderr: slave, now: func() time.Time { return moment }, every: time.Millisecond,
		open:     func(context.Context, *app, *config.Config) (batches, func(), error) { return f, func() {}, nil },
		terminal: isTerminal, limitMemory: func() {},
	}
	if d.piped {
		a.stdin = strings.NewReader(d.stdin)
	}
	if d.redirected {
		a.stderr = &stderr
	}
	shown := make(chan string, 1)
	go func() { // ends when both sides are closed
		var all []byte
		for asked := false; ; {
			b := make([]byte, 4096)
			n, err := master.Read(b)
			all = append(all, b[:n]...)
			if !asked && bytes.Contains(all, []byte("[y/N] ")) {
				asked = true
				if d.interrupt {
					cancel()
				} else if _, err := io.WriteString(master, cmp.Or(d.typed, "\n")); err != nil {
					break
				}
			}
			if err != nil {
				break
			}
		}
		shown <- string(all)
	}()
	code := a.run(ctx, args)
	if d.interrupt {
		_, err = io.WriteString(master, "\n") // ends the reading that nobody waits for
		require.NoError(t, err)
	}
	require.NoError(t, slave.Close())
	text := strings.ReplaceAll(<-shown, "\r\n", "\n")
	require.NoError(t, master.Close())
	return result{code, stdout.String(), text + stderr.String()}
}

func TestAQuestionBeforeManyMessages(t *testing.T) {
	t.Parallel()
	file := write(t, "batch.jsonl", crowd(1003, 2))
	tests := map[string]struct {
		dialog
		same  *starter.Same
		args  []string
		code  int
		asked bool
	}{
		"yes":                        {dialog: dialog{typed: "y\n"}, asked: true},
		"YES":                        {dialog: dialog{typed: " YES \n"}, asked: true},
		"no":                         {dialog: dialog{typed: "n\n"}, code: 1, asked: true},
		"just enter":                 {dialog: dialog{typed: "\n"}, code: 1, asked: true},
		"something else":             {dialog: dialog{typed: "why?\n"}, code: 1, asked: true},
		"end of file":                {dialog: dialog{typed: "\x04"}, code: 1, asked: true},
		"a line that does not end":   {dialog: dialog{typed: "y\x04\x04"}, code: 1, asked: true},
		"Ctrl-C":                     {dialog: dialog{interrupt: true}, code: 1, asked: true},
		"-y":                         {args: []string{"-y"}},
		"--yes":                      {args: []string{"--yes"}},
		"JSON":                       {args: []string{"-o", "json"}},
		"in CI":                      {dialog: dialog{setting: setting{env: []string{"CI=true"}}}},
		"where CI says no":           {dialog: dialog{setting: setting{env: []string{"CI=false"}}, typed: "y\n"}, asked: true},
		"without input":              {dialog: dialog{setting: setting{env: []string{"VOLLEY_NO_INPUT=1"}}}},
		"stdin is no terminal":       {dialog: dialog{piped: true}},
		"stderr is no terminal":      {dialog: dialog{redirected: true}},
		"a higher limit":             {dialog: dialog{setting: setting{env: []string{"LIMIT=1001"}}}},
		"no limit":                   {dialog: dialog{setting: setting{env: []string{"LIMIT=0"}}}},
		"a lower limit":              {dialog: dialog{setting: setting{env: []string{"LIMIT=1"}}, typed: "y\n"}, asked: true},
		"the same is in it":          {dialog: dialog{typed: "n\n"}, same: sale, code: 1, asked: true},
		"-y is no answer to that":    {dialog: dialog{typed: "n\n"}, same: sale, args: []string{"-y"}, code: 1, asked: true},
		"--again alone is half one":  {dialog: dialog{typed: "y\n"}, same: sale, args: []string{"--again"}, asked: true},
		"both are one":               {same: sale, args: []string{"-y", "--again"}},
		"refused without a question": {same: sale, args: []string{"--if-same", "refuse"}, code: 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{started: starter.Started{Same: tt.same}}
			limit := "1000"
			for _, v := range tt.env {
				if n, ok := strings.CutPrefix(v, "LIMIT="); ok {
					limit = n
				}
			}
			d := tt.dialog
			d.fake, d.env = f, append(d.env, "VOLLEY_CONFIG="+write(t, "volley.yaml", testConfig+"confirm_above: "+limit+"\n"))
			r := d.run(t, append([]string{"start", "--dialect", "volley", "--id", "b1", file}, tt.args...)...)
			require.Equal(t, tt.code, r.code, r.stderr)
			require.Equal(t, tt.code == 0, f.startCalls == 1, "what is not wanted is not started")
			require.Equal(t, tt.asked, strings.Contains(r.stderr, "[y/N] "), r.stderr)
			if !tt.asked {
				return
			}
			require.Contains(t, r.stderr, "1,001 messages through hook, then spare; 2 others are rejected\n")
			require.Contains(t, r.stderr, "the first one to +15550000000: Hi Ann\n")
			require.Contains(t, r.stderr, "starts now (2026-11-20 15:00:00 UTC)")
			again := strings.Contains(strings.Join(tt.args, " "), "--again")
			require.Equal(t, tt.same != nil && !again, strings.Contains(r.stderr, "the same went out 3 min ago as sale-1\n"), r.stderr)
			if tt.code == 1 {
				require.Contains(t, r.stderr, "nothing was started\n")
				require.NotContains(t, r.stdout, "batch b1")
			}
			require.Equal(t, 1, strings.Count(r.stdout, "2 × to: "), "why they are rejected is there before the question, and once: %s", r.stdout)
		})
	}
}

func TestAQuestionBeforeALargeBatch(t *testing.T) {
	t.Parallel()
	file := write(t, "batch.jsonl", rows(many, func(i int) bool { return i == many-1 }))
	end := moment.Add(time.Hour)
	for typed, code := range map[string]int{"y\n": 0, "n\n": 1} {
		f := &fake{started: starter.Started{Estimate: &message.Estimate{Messages: many - 1, EndsAt: &end, Expiring: 7}}}
		r := dialog{setting: withConfig(t, f), typed: typed}.run(t, "start", "--dialect", "volley", "--id", "b1", file)
		require.Equal(t, code, r.code, r.stderr)
		require.Equal(t, code == 0, f.startCalls == 1)
		require.Contains(t, r.stdout, "messages[49999].to", "its problems are there before the question")
		require.Contains(t, r.stderr, "49,999 messages through hook, then spare; 1 other is rejected\n")
		require.Contains(t, r.stderr, "\nends about in 1 h (2026-11-20 16:00:00 UTC)\n7 messages would expire before their turn\n")
	}
}

func TestNobodyIsAskedForABatchThatIsThere(t *testing.T) {
	t.Parallel()
	f := &fake{started: starter.Started{ID: "b1", Total: 1003, Existing: true}}
	r := dialog{setting: withConfig(t, f)}.run(t, "start", "--dialect", "volley", "--id", "b1", write(t, "batch.jsonl", crowd(1003, 0)))
	require.Equal(t, 0, r.code, r.stderr)
	require.NotContains(t, r.stderr, "[y/N]")
}

func TestAQuestionBeforeALargeRedrive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		total int
		typed string
		args  []string
		code  int
		asked bool
	}{
		{1001, "y\n", nil, 0, true},
		{1001, "n\n", nil, 1, true},
		{1001, "", []string{"--yes"}, 0, false},
		{1000, "", nil, 0, false},
	} {
		f := &fake{started: starter.Started{ID: "b2", Total: tt.total, RedriveOf: "b1"}}
		r := dialog{setting: withConfig(t, f), typed: tt.typed}.run(t, append([]string{"redrive", "b1"}, tt.args...)...)
		require.Equal(t, tt.code, r.code, r.stderr)
		require.Equal(t, tt.asked, strings.Contains(r.stderr, "[y/N] "))
	}
}

func TestTheSameContent(t *testing.T) {
	t.Parallel()
	later := &starter.Same{ID: "sale-2", At: moment.Add(50 * time.Hour)}
	tests := map[string]struct {
		same   *starter.Same
		err    error
		args   []string
		code   int
		stderr string
		sameAs any
	}{
		"none":            {},
		"went out":        {same: sale, stderr: "volley: the same went out 3 min ago as sale-1\n", sameAs: "sale-1"},
		"just now":        {same: &starter.Same{ID: "a", At: moment}, stderr: "volley: the same went out just now as a\n", sameAs: "a"},
		"goes out":        {same: later, stderr: "volley: the same goes out in 2 d 2 h as sale-2\n", sameAs: "sale-2"},
		"yes":             {same: sale, args: []string{"--yes"}, stderr: "volley: the same went out 3 min ago as sale-1\n", sameAs: "sale-1"},
		"again":           {same: sale, args: []string{"--again"}, sameAs: "sale-1"},
		"refused":         {same: sale, args: []string{"--if-same", "refuse"}, code: 5, stderr: "volley: the same went out 3 min ago as sale-1, nothing was started; --again sends it once more\n"},
		"refused, yes":    {same: sale, args: []string{"--if-same=refuse", "-y"}, code: 5, stderr: "volley: the same went out 3 min ago as sale-1, nothing was started; --again sends it once more\n"},
		"refused, again":  {same: sale, args: []string{"--if-same", "refuse", "--again"}, sameAs: "sale-1"},
		"refused, none":   {args: []string{"--if-same", "refuse"}},
		"not known":       {err: starter.ErrUnreachable, stderr: "volley: whether the same went out before is not known: temporal is not reachable\n"},
		"no attribute":    {err: &starter.MissingAttributesError{Names: []string{"VolleyContent"}}},
		"must be known":   {err: starter.ErrUnreachable, args: []string{"--if-same", "refuse"}, code: 1, stderr: "volley: whether the same went out before is not known, nothing was started; --again sends it anyway: temporal is not reachable\n"},
		"not known again": {err: starter.ErrUnreachable, args: []string{"--if-same", "refuse", "--again"}},
		"wrong":           {args: []string{"--if-same", "no"}, code: 2, stderr: "volley: --if-same \"no\", expected warn or refuse\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, body := range []string{goodBody, rows(many, none)} {
				f := &fake{started: starter.Started{Same: tt.same}, sameErr: tt.err}
				s := withConfig(t, f)
				s.stdin = body
				r := s.run(t, append([]string{"start", "--dialect", "volley", "--id", "b1", "-o", "json", "-"}, tt.args...)...)
				require.Equal(t, tt.code, r.code, r.stderr)
				require.Equal(t, tt.stderr, r.stderr)
				require.Equal(t, tt.code == 0, f.startCalls == 1)
				if tt.code != 0 {
					return
				}
				doc := document(t, r)
				require.Contains(t, doc, "sameAs")
				require.Equal(t, tt.sameAs, doc["sameAs"])
			}
		})
	}
}
