package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestWhatOthersWroteIsHarmless(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"plain, Zoë 语": "plain, Zoë 语", "\x1b[31mred\x07": " [31mred ", "a\r\nb\tc": "a  b c", "\u009b31m": " 31m", "a\u2028b\u2029": "a b ",
		"\u202egnp.exe": "<U+202E>gnp.exe", "\u2066x\u2069": "<U+2066>x<U+2069>", "a\u200bb\ufeff\u200f": "a<U+200B>b<U+FEFF><U+200F>",
		"\xff\xfe": "\uFFFD\uFFFD", "क्\u200dष": "क्\u200dष", "👩\u200d👧": "👩\u200d👧", "🏴\U000e0067\U000e0062\U000e007f": "🏴\U000e0067\U000e0062\U000e007f",
		"\u0600١": "\u0600١",
	} {
		require.Equal(t, want, printable(s))
	}
}

// Every text that a caller gives comes to the terminal through one of these commands.
func TestNothingThatACallerWroteSteersTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = "x\u202e\x1b]0;t\x07\u009b31m\u2066y"
	st := running()
	st.ID, st.Account, st.Metadata, st.RedriveOf = evil, evil, []byte(`{"`+evil+`":"`+evil+`"}`), new(string)
	*st.RedriveOf = evil
	done := st
	done.State = message.BatchCompleted
	row := someRows()[0]
	row.To, row.Reference, row.Code, row.Detail, row.ProviderID, row.Channel = evil, st.RedriveOf, evil, evil, evil, evil
	row.Trail = []message.TrailRow{{At: moment, Account: evil, Code: evil, Detail: evil}}
	f := fake{
		statuses: []message.Status{st, done}, row: row, rows: []message.Row{row}, page: message.Page{Messages: []message.Row{row}, Next: evil},
		batches: starter.Batches{Batches: []message.Status{st}, Next: evil}, started: starter.Started{ID: evil, RedriveOf: evil},
		cancel: message.CancelResult{Batch: evil, Confirmed: true, Canceled: []string{evil}}, pause: message.PauseResult{Batch: evil, InFlight: []string{evil}},
		move: message.RescheduleResult{Batch: evil},
	}
	body := `{"text":"hi ` + "\u202e\\u001b\u2066" + ` ${n}","messages":[{"to":"` + "x\u202e\\u0007" + `","params":{"n":"1"}},{"to":"\u202ey","params":{"\u202ez":"1"}}]}`
	for _, args := range [][]string{
		{"status", "b1"},
		{"watch", "b1"},
		{"list"},
		{"messages", "b1"},
		{"message", "b1", "0"},
		{"results", "b1", "--format", "csv"},
		{"results", "b1", "--format", "csv", "--raw"},
		{"results", "b1"},
		{"results", "b1", "--columns", "to,detail"},
		{"status", "b1", "-o", "json"},
		{"message", "b1", "0", "-o", "json"},
		{"list", "-o", "json"},
		{"validate", "--dialect", "volley", "--render", "-", "-o", "json"},
		{"cancel", "b1"},
		{"pause", "b1"},
		{"resume", evil},
		{"reschedule", "b1", "--send-after", "1h"},
		{"redrive", "b1"},
		{"validate", "--dialect", "volley", "--render", "-"},
		{"start", "--dialect", "volley", "-"},
		{"status" + evil},
		{"list", "--meta", evil},
		{"start", "--dialect", "volley", evil},
		{"message", "b1", evil},
	} {
		c := f
		s := withConfig(t, &c)
		s.stdin, s.terminal = body, true
		s.env = append(s.env, "NO_COLOR=1")
		r := s.run(t, args...)
		c.err = errors.New("about " + evil + "\n" + evil)
		r2 := s.run(t, args...)
		for _, out := range []string{r.stdout, r.stderr, r2.stdout, r2.stderr} {
			if args[0] == "watch" {
				out = strings.ReplaceAll(strings.ReplaceAll(out, "\r", ""), "\x1b[0K", "") // the bar's own
			}
			for _, bad := range []string{"\x1b", "\x07", "\u009b", "\u202e", "\u2066"} {
				require.NotContains(t, out, bad, args)
			}
		}
	}
}
