package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestAnEmptyFileSaysSoWhateverTheFlags(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "\ufeff", "\r\n \n", "\xff\xfe", "\xff\xfe\r\x00\n\x00"} {
		for _, flag := range []string{"--text=Hi", "--channel=SMS", "--metadata=k=v", "--priority=2", "--await-reports=10m", "--callback-messages", "--ttl=1h"} {
			for _, command := range []string{"validate", "start"} {
				s := withConfig(t, nil)
				s.stdin = body
				r := s.run(t, command, "--dialect", "volley", "-o", "json", flag, "-")
				require.Equal(t, 2, r.code, r.stderr)
				problems, _ := json.Marshal(document(t, r)["problems"])
				require.JSONEq(t, `[{"index":-1,"path":"","code":"format","detail":"the request is empty"}]`, string(problems), "%q", body)
			}
		}
	}
	s := withConfig(t, nil)
	s.stdin = "\ufeffto,name\r\n"
	r := s.run(t, "validate", "--dialect", "volley", "-o", "json", "--text=Hi", "-")
	require.Equal(t, 2, r.code)
	problems, _ := json.Marshal(document(t, r)["problems"])
	require.JSONEq(t, `[{"index":-1,"path":"messages","code":"too_few","detail":"a batch has at least one message"}]`, string(problems))
}

// What people export and join, as it comes.
func TestFilesAsPeopleHaveThem(t *testing.T) {
	t.Parallel()
	both := []string{"+15550001001 Hi Ann", "+15550001002 Hi Bo"}
	for name, tt := range map[string]struct {
		body     string
		want     []string
		problems []string
	}{
		"Python on Windows":    {"name,to\r\r\nAnn,+15550001001\r\r\nBo,+15550001002\r\r\n", both, nil},
		"the same in quotes":   {"\"name\",\"to\"\r\r\n\"Ann\",\"+15550001001\"\r\r\n\"Bo\",\"+15550001002\"\r\r\n", both, nil},
		"Excel for Macintosh":  {"to,name\r+15550001001,Ann\r+15550001002,Bo\r", both, nil},
		"Excel in Germany":     {"\ufeffto;name\r\n+15550001001;Ann\r\n+15550001002;Bo\r\n", both, nil},
		"Excel's Unicode text": {"\xff\xfet\x00o\x00\t\x00n\x00a\x00m\x00e\x00\n\x00+\x001\x00\t\x00A\x00\n\x00", []string{"+1 Hi A"}, nil},
		"rows of nothing":      {"to,name\r\n+15550001001,Ann\r\n+15550001002,Bo\r\n,\r\n,\r\n,\r\n", both, nil},
		"two files, one byte order mark": {
			"to,name\n+15550001001,Ann\n\ufeffto,name\r\n+15550001002,Bo\r\n", both, []string{"line 3: the row repeats the header"},
		},
		"a row in Latin-1": {"to,name\r\n+15550001001,Jos\xe9\r\n+15550001002,Bo\r\n", both[1:], []string{"line 2: the row is not in UTF-8"}},
		"messages without a header": {
			"{\"to\":\"+15550001001\",\"text\":\"Hi\"}\n{\"to\":\"+15550001002\",\"text\":\"Hi\"}\n", nil,
			[]string{"the first line is the batch's header ({} will do), this looks like a message"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withConfig(t, nil)
			s.stdin = tt.body
			args := []string{"validate", "--dialect", "volley", "--account", "hook", "-o", "json", "--render", "-"}
			if tt.body[0] != '{' {
				args = append(args, "--text", "Hi ${name}")
			}
			var doc struct {
				Problems message.Problems `json:"problems"`
				Messages []struct {
					To    string `json:"to"`
					State string `json:"state"`
					Text  string `json:"text"`
				} `json:"messages"`
			}
			r := s.run(t, args...)
			require.NoError(t, json.Unmarshal([]byte(r.stdout), &doc), r.stderr)
			var got, problems []string
			for _, m := range doc.Messages {
				if m.State != "rejected" {
					got = append(got, m.To+" "+m.Text)
				}
			}
			for _, p := range doc.Problems {
				problems = append(problems, p.Detail)
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.problems, problems)
			require.Equal(t, len(problems) > 0, r.code == 2)
		})
	}
}

// Above 4 MiB a file is read message by message.
func TestARowInAnotherEncodingIsTheSameInFilesOfEverySize(t *testing.T) {
	t.Parallel()
	const row = "+15550001001,Ann\r\n"
	for _, before := range []int{0, 1_000, 300_000} {
		s := withConfig(t, nil)
		s.stdin = "to,name\r\n" + strings.Repeat(row, before) + "+15550001002,Jos\xe9\r\n" + row
		doc := document(t, s.run(t, "validate", "--dialect", "volley", "--account", "hook", "--text", "Hi ${name}", "-o", "json", "-"))
		require.InDelta(t, before+2, doc["total"], 0)
		require.InDelta(t, before+1, doc["valid"], 0)
		require.Equal(t, []any{map[string]any{
			"index": float64(before), "path": fmt.Sprintf("messages[%d]", before), "code": "format",
			"detail": fmt.Sprintf("line %d: the row is not in UTF-8", before+2),
		}}, doc["problems"])
	}
}
