package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// problemsOf are the problems, or warnings, of a document.
func problemsOf(t *testing.T, doc map[string]any, key string) (out message.Problems) {
	t.Helper()
	raw, err := json.Marshal(doc[key])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// checked runs validate and start, and holds that what is refused starts nothing.
func checked(t *testing.T, body string, code int, see func(command string, r result), args ...string) {
	t.Helper()
	for _, command := range []string{"validate", "start"} {
		f := &fake{}
		s := withConfig(t, f)
		s.stdin = body
		r := s.run(t, append([]string{command, "--dialect", "volley", "-"}, args...)...)
		require.Equal(t, code, r.code, "%s: %s%s", command, r.stdout, r.stderr)
		if code != 0 {
			require.Zero(t, f.startCalls, "nothing was started")
		}
		see(command, r)
	}
}

func TestAColumnThatDecidesWhenOrWhetherToSendIsNotPassedOver(t *testing.T) {
	t.Parallel()
	for column, hint := range map[string]string{
		"send_at":      "--map send_after=send_at, or --ignore-columns send_at",
		"Scheduled At": `--map "send_after=Scheduled At", or --ignore-columns "Scheduled At"`,
		"deliver-at":   "--map send_after=deliver-at, or --ignore-columns deliver-at",
		"sendtime":     "--map send_after=sendtime, or --ignore-columns sendtime",
		"SCHEDULE":     "--map send_after=SCHEDULE, or --ignore-columns SCHEDULE",
		"unsubscribed": "--skip-if unsubscribed=VALUE leaves rows out, --ignore-columns unsubscribed sends to all",
		"Opt-Out":      "--skip-if Opt-Out=VALUE leaves rows out, --ignore-columns Opt-Out sends to all",
		"dnc":          "--skip-if dnc=VALUE leaves rows out, --ignore-columns dnc sends to all",
		"SMS Opt-In":   "says who agreed to messages, and nothing uses it; --skip-if \"SMS Opt-In=no\", or the value",
		"unsubs":       "--skip-if unsubs=VALUE leaves rows out, --ignore-columns unsubs sends to all",
		"doNotContact": "--skip-if doNotContact=VALUE leaves rows out, --ignore-columns doNotContact sends to all",
	} {
		body := "to,name," + column + "\n+15550001111,Ann,2h\n"
		checked(t, body, 2, func(_ string, r result) {
			found := problemsOf(t, document(t, r), "problems")
			require.Len(t, found, 1)
			require.Equal(t, "columns[2]", found[0].Path)
			require.Equal(t, message.CodeUnknownField, found[0].Code)
			require.Contains(t, found[0].Detail, hint)
		}, "--text", "Hi ${name}", "-o", "json")
		for _, args := range [][]string{
			{"--text", "Hi ${name}", "--ignore-columns", column},
			{"--text", "Hi ${name}", "--ignore-columns", "all"},
			{"--text", "Hi ${name}", "--skip-if", column + "=x"},
			{"--text", "Hi ${name}", "--map", "send_after=" + column},
			{"--text", "Hi ${name} ${" + column + "}"},
		} {
			checked(t, body, 0, func(_ string, r result) {
				if args[len(args)-2] == "--skip-if" {
					require.Equal(t, "volley: warning: no row has \"x\" in "+column+"; it has 2h\n", r.stderr)
					return
				}
				require.Empty(t, r.stderr)
			}, args...)
		}
	}
	checked(t, "to,name,birthday,created_at,mobile\n+15550001111,Ann,x,y,z\n", 0, func(_ string, r result) {
		require.Equal(t, "volley: warning: no text uses the columns birthday, created_at, mobile\n", r.stderr)
	}, "--text", "Hi ${name}")
}

func TestWhatIsMappedIsSent(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = "Phone,Vorname,when,id\n+15550001111,Ann,2h,c-1\n"
	r := s.run(t, "start", "--dialect", "volley", "--text", "Hi ${name}", "--to-column", "Phone", "--map", "name=Vorname",
		"--map", "send_after=when", "--map", "reference=id", "--ignore-columns", "a,b", "--skip-if", "id=x", "--unique", "to=drop", "-")
	require.Equal(t, 0, r.code, r.stderr)
	m := f.request.Batch.Messages[0]
	require.Equal(t, "+15550001111", m.To)
	require.Equal(t, "c-1", m.Reference)
	require.Equal(t, map[string]string{"name": "Ann"}, m.Params)
	require.Equal(t, moment.Add(2*3600*1e9).UnixMilli(), m.Due)
	require.Equal(t, map[string]string{
		"text": "Hi ${name}", "to-column": "Phone", "map": "[name=Vorname,send_after=when,reference=id]",
		"ignore-columns": "[\"a,b\"]", "skip-if": "[id=x]", "unique": "to=drop",
	}, f.request.Flags, "a repeat must share them")
}

func TestFlagsForColumnsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--map name":               `--map "name": expected name=column`,
		"--map to=a --to-column b": `--map "to=a": to has a column already`,
		"--map x=nope":             `--map x=nope: there is no column "nope"; columns: to, name`,
		"--to-column nope":         `--to-column nope: there is no column "nope"; columns: to, name`,
		"--skip-if nope=1":         `--skip-if nope=1: there is no column "nope"; columns: to, name`,
		"--skip-if name":           `--skip-if "name": expected column=value`,
		"--ignore-columns ,":       "--ignore-columns expected names with commas between them, or all",
		"--unique text":            `--unique "text": expected to, to+text, to=drop or to+text=drop`,
		"--exclude nope.txt":       "--exclude: open nope.txt: no such file or directory",
		"--exclude -":              "--exclude -: stdin is the request already",
		"--exclude-column x":       "--exclude-column is for --exclude, which is missing",
		"--problems few":           `--problems "few", expected a number or all`,
	} {
		checked(t, "to,name\n+15550001111,Ann\n", 2, func(_ string, r result) {
			require.Contains(t, r.stdout+r.stderr, want)
		}, append([]string{"--text", "Hi ${name}"}, strings.Fields(args)...)...)
	}
	for _, flag := range []string{"--to-column=a", "--map=a=b", "--ignore-columns=a", "--skip-if=a=b"} {
		checked(t, goodBody, 2, func(_ string, r result) { require.Contains(t, r.stderr, "for CSV files") }, flag)
	}
	checked(t, goodBody, 0, func(string, result) {}, "--unique=to")
}

func TestAFileOfExcludedRecipients(t *testing.T) {
	t.Parallel()
	list := write(t, "stop.csv", "id,to\n1,+1 (555) 000-1111\n2,nobody@example.com\n")
	body := "to,name\n+15550001111,Ann\n+15550002222,Bob\n"
	args := []string{"--text", "Hi ${name}", "--exclude", list}
	checked(t, body, 0, func(_ string, r result) {
		doc := document(t, r)
		require.InDelta(t, 1, doc["excluded"], 0)
		require.Equal(t, []any{}, doc["problems"])
		require.Equal(t, "recipients of the exclusion list that no message is for: 1 of 2", problemsOf(t, doc, "warnings")[0].Detail)
	}, append(args, "-o", "json")...)
	checked(t, body, 0, func(command string, r result) {
		want := "2 messages, 1 valid, 1 left out as asked, 0 problems\n"
		if command == "start" {
			want = "2 messages, 1 rejected, 1 of them left out as asked\n"
		}
		require.Contains(t, r.stdout, want)
		require.Equal(t, "volley: warning: recipients of the exclusion list that no message is for: 1 of 2\n", r.stderr)
	}, args...)

	two := write(t, "two.csv", "id,Mobile\n1,+15550001111\n")
	checked(t, body, 0, func(_ string, r result) { require.Empty(t, r.stderr) },
		"--text", "Hi ${name}", "--exclude", two, "--exclude", write(t, "plain.txt", "+15550001111\n"), "--exclude-column", "Mobile")
	checked(t, body, 2, func(_ string, r result) {
		require.Contains(t, r.stderr, "two.csv: there is no column \"to\"; columns: id, Mobile; --exclude-column Mobile\n")
	}, "--text", "Hi ${name}", "--exclude", two)
	checked(t, body, 2, func(_ string, r result) {
		require.Contains(t, r.stderr, "float.txt: line 1: looks like a number with decimals")
	}, "--text", "Hi ${name}", "--exclude", write(t, "float.txt", "15550001111.0\n"))

	// The content of the list is part of what a repeat must share, and strict sees nothing wrong.
	sums := map[string]bool{}
	for _, content := range []string{"+15550001111\n", "+15550001111\n+15550003333\n"} {
		f := &fake{}
		s := withConfig(t, f)
		s.stdin = body
		r := s.run(t, "start", "--dialect", "volley", "--strict", "--text", "Hi ${name}", "--exclude", write(t, "stop.txt", content), "-")
		require.Equal(t, 0, r.code, r.stderr)
		require.Equal(t, message.CodeExcluded, f.request.Batch.Messages[0].Problems[0].Code)
		sums[f.request.Flags["exclude"]] = true
	}
	require.Len(t, sums, 2)
	require.NotContains(t, sums, "")

	checked(t, body, 2, func(_ string, r result) {
		require.Contains(t, r.stderr, "there is no recipient in it, and no first row that names columns, so that nobody would be left out")
	}, "--text", "Hi ${name}", "--exclude", write(t, "empty.txt", "\n"))
	checked(t, body, 2, func(command string, r result) {
		require.Contains(t, r.stderr, map[string]string{
			"validate": "every message is left out, `volley start` would refuse the request",
			"start":    "every message is left out, nothing was started",
		}[command])
	}, "--text", "Hi ${name}", "--exclude", write(t, "all.txt", "+15550001111\n+15550002222\n"))
}

// What is left out as asked is no message that was not sent.
func TestABatchOfWhichSomeAreLeftOutEndsWell(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"--wait", "--watch"} {
		for args, code := range map[string]int{"--unique=to=drop": 0, "--unique=to": 3} {
			st := ended(message.Counts{message.Sent: 1, message.Rejected: 1})
			s := withConfig(t, &fake{statuses: []message.Status{st}})
			s.stdin = "to,name\n+15550001111,Ann\n+15550001111,Bob\n"
			r := s.run(t, "start", "--dialect", "volley", "--id", "b1", "--text", "Hi ${name}", wait, args, "-")
			require.Equal(t, code, r.code, r.stdout+r.stderr)
		}
	}
}

func TestRowsThatComeTwice(t *testing.T) {
	t.Parallel()
	body := "to,name\n+15550001111,Ann\n+15550001111,Ann\n"
	checked(t, body, 0, func(_ string, r result) {
		require.Equal(t, "volley: warning: 1 row has the same recipient and text as an earlier one; --unique to+text=drop leaves it out\n", r.stderr)
	}, "--text", "Hi ${name}")
	checked(t, body, 0, func(_ string, r result) { require.Empty(t, r.stderr) }, "--text", "Hi ${name}", "--unique", "to+text=drop")
	for command, code := range map[string]int{"validate": 2, "start": 0} {
		s := withConfig(t, nil)
		s.stdin = body
		r := s.run(t, command, "--dialect", "volley", "--text", "Hi ${name}", "--unique", "to", "-")
		require.Equal(t, code, r.code)
		require.Contains(t, r.stdout, "duplicate  messages[1].to: line 3: an earlier message has the same recipient\n")
	}
}

func TestOneCauseIsOneLine(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&file, "+1555%07d,Ann,12\n", i)
	}
	rows := file.String()
	for name, tt := range map[string]struct {
		header string
		args   []string
		want   string
	}{
		"no recipients": {
			"Phone,name,total",
			[]string{"--text", "Hi ${name} ${total}"},
			"required  20,000 × to: there is no column \"to\"; columns: Phone, name, total; --to-column Phone (lines 2, 3, 4, 5, 6, …)\n",
		},
		"a mistyped placeholder": {
			"to,name,total",
			[]string{"--text", "Hi ${name} ${totl}"},
			"parameter  20,000 × params.totl: the text has ${totl}, and there is no column \"totl\"; columns: to, name, total (lines 2, 3, 4, 5, 6, …)\n",
		},
		"a mistyped account": {
			"to,name,total",
			[]string{"--text", "Hi ${name} ${total}", "--account", "nope"},
			"unroutable  account: account \"nope\" is not in the configuration\n",
		},
		"no text": {
			"to,name,total", nil, "required  text: a CSV file has no place for the text; --text TEXT gives it\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, more := range []string{"", strings.Repeat("x", 300)} { // in memory as a whole, and not
				body := tt.header + "\n" + strings.ReplaceAll(rows, "Ann", "Ann"+more)
				checked(t, body, 2, func(_ string, r result) {
					require.Contains(t, r.stdout, tt.want)
					require.LessOrEqual(t, strings.Count(r.stdout, "\n"), 3)
				}, tt.args...)
			}
			s := withConfig(t, nil)
			s.stdin = tt.header + "\n" + rows
			doc := document(t, s.run(t, append([]string{"validate", "--dialect", "volley", "-o", "json", "--problems", "7", "-"}, tt.args...)...))
			require.LessOrEqual(t, len(doc["problems"].([]any)), 7)
		})
	}
}

func TestTheRequestsOwnProblemsComeFirstThenWhatIsMostOften(t *testing.T) {
	t.Parallel()
	s := withConfig(t, nil)
	s.stdin = "{\"text\":\"Hi ${name}\",\"priority\":9}\n{\"to\":\"\",\"params\":{\"name\":\"x\"}}\n{\"to\":\"a\"}\n{\"to\":\"b\"}\nnull\n"
	golden(t, "validate.groups", s.run(t, "validate", "--dialect", "volley", "-"))
	golden(t, "validate.groups-two", s.run(t, "validate", "--dialect", "volley", "--problems", "2", "-"))
}

func TestRenderedMessagesAreLimited(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, more := range []string{"", strings.Repeat("x", 400_000)} {
		s := withConfig(t, nil)
		s.stdin = "to,name\n" + strings.Repeat("+15550001111,Ann"+more+"\n", 12)
		for limit, want := range map[string]int{"-1": 12, "3": 3, "0": 0} {
			args := []string{"validate", "--dialect", "volley", "--text", "Hi ${name}", "--render", "--limit", limit, "-"}
			require.Equal(t, want, strings.Count(s.run(t, args...).stdout, "+15550001111"))
			doc := document(t, s.run(t, append(args, "-o", "json")...))
			require.Len(t, doc["messages"], want)
			require.InDelta(t, 12, doc["total"], 0)
		}
	}
}

func TestValidateReportsWhatOnlyStartRefused(t *testing.T) {
	t.Parallel()
	body := fmt.Sprintf(`{"text":"Hi","metadata":{"note":%q},"messages":[{"to":"+15550001111"}]}`, strings.Repeat("x", 300_000))
	check := func(r result) {
		require.Equal(t, 2, r.code, r.stderr)
		doc := document(t, r)
		found := problemsOf(t, doc, "problems")
		require.Len(t, found, 1)
		require.Equal(t, "metadata", found[0].Path)
		require.Equal(t, message.CodeTooLong, found[0].Code)
		require.NotContains(t, doc, "estimate")
	}
	s := withConfig(t, nil)
	s.stdin = body
	r := s.run(t, "validate", "--dialect", "volley", "--dispatch", "group", "-o", "json", "-")
	check(r)
	require.InDelta(t, 0, document(t, r)["valid"], 0)
	r = s.run(t, "validate", "--dialect", "volley", "-o", "json", "-")
	require.Equal(t, 0, r.code, "a batch that is not large may have as much: %s", r.stdout)

	// A starter that finds it says the same.
	s.fake = &fake{err: &starter.RefusedError{Problems: starter.CheckLarge(&message.Batch{Metadata: json.RawMessage(`"` + strings.Repeat("x", 300_000) + `"`)})}}
	check(s.run(t, "start", "--dialect", "volley", "--dispatch", "group", "-o", "json", "-"))
	r = s.run(t, "start", "--dialect", "volley", "--dispatch", "group", "-")
	require.Contains(t, r.stdout, "too_long  metadata: ")
}

// The two files of public reports, as they came.
func TestTextsThatUseNothingOrEndUpEmpty(t *testing.T) {
	t.Parallel()
	names := "to,first_name\n+15550001001,Ann\n+15550001002,Bob\n"
	for text, want := range map[string][]string{
		"Hi {{first_name}}": {
			"no text uses the column first_name", `"{{first_name}}" is sent as it stands, a placeholder is written ${name}`,
		},
		"Hi , welcome":       {"no text uses the column first_name; the text has no placeholder (for a shell, ${name} stands in single quotes)"},
		"Hi ${first_name":    {"no text uses the column first_name", `"${first_name" is sent as it stands, a placeholder is written ${name}`},
		"Hi ${}":             {"no text uses the column first_name", `"${}" is sent as it stands, a placeholder is written ${name}`},
		"Hi ${a${b}}":        {`"${a${b}" is sent as it stands, a placeholder is written ${name}`},
		"Hi ${first_name}":   nil,
		"Hi $first_name":     {"no text uses the column first_name", `"$first_name" is sent as it stands, a placeholder is written ${name}`},
		"Hi *|FIRST_NAME|*!": {"no text uses the column first_name", `"|FIRST_NAME|" is sent as it stands, a placeholder is written ${name}`},
	} {
		s := withConfig(t, nil)
		s.stdin = names
		doc := document(t, s.run(t, "validate", "--dialect", "volley", "-o", "json", "--text", text, "-"))
		var got []string
		for _, w := range problemsOf(t, doc, "warnings") {
			got = append(got, w.Detail)
		}
		if text == "Hi ${a${b}}" {
			require.Subset(t, got, want)
			continue
		}
		require.Equal(t, want, got, text)
	}
	for _, command := range []string{"validate", "start"} {
		s := withConfig(t, nil)
		s.stdin = "to,msg\n+15550001001,\n+15550001002,Hello\n+15550001003, \n"
		found := problemsOf(t, document(t, s.run(t, command, "--dialect", "volley", "-o", "json", "--text", "${msg}", "-")), "problems")
		require.Equal(t, message.Problems{
			{Index: 0, Path: "messages[0].params.msg", Code: "too_short", Detail: "line 2: the text is empty with its parameters"},
			{Index: 2, Path: "messages[2].params.msg", Code: "too_short", Detail: "line 4: the text is empty with its parameters"},
		}, found)
	}
}

func TestOptionsThatMeetNothing(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", strings.Repeat("x", 5_000_000)} {
		body := "to,name,Opt Out,send_after\n+15550001111,Ann" + more + ",TRUE,2s\n+15550002222,Bob,1,\n"
		if more != "" {
			body = "to,name,Opt Out,send_after\n" + strings.Repeat("+15550001111,"+more[:1000]+",TRUE,2s\n", 5000)
		}
		checked(t, body, 0, func(_ string, r result) {
			require.Contains(t, r.stderr, "warning: no row has \"yes\" in Opt Out; it has TRUE")
			require.Contains(t, r.stderr, "for which --send-after or --at does not count; the first is due in 2s")
		}, "--text", "Hi ${name}", "--skip-if", "Opt Out=yes", "--send-after", "3d")
		checked(t, body, 2, func(_ string, r result) {
			require.Contains(t, r.stdout, "there is no column \"TO\"; columns: to, name, Opt Out, send_after; did you mean to")
			require.NotContains(t, r.stdout, "line")
		}, "--text", "Hi ${name}", "--to-column", "TO", "--ignore-columns", "all")
	}
}

// The closed list of names stands in the documentation.
func TestTheDocumentationListsTheNamesOfColumns(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "dialects", "volley.md"))
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(doc), "## Columns that are more than parameters")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n## ")
	n := 0
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.Contains(cells[2], "`") {
			continue
		}
		for i, name := range strings.Split(cells[2], "`") {
			if i%2 == 0 {
				continue
			}
			n++
			s := withConfig(t, nil)
			s.stdin = strings.ReplaceAll(name, "_", " ") + ",x\n+15550001111,y\n"
			args := []string{"validate", "--dialect", "volley", "--text", "${x}", "-"}
			if !strings.Contains(cells[1], "recipient") {
				s.stdin = "to," + s.stdin[:strings.IndexByte(s.stdin, '\n')+1] + "+15550001111,1,y\n"
			}
			r := s.run(t, args...)
			require.Equal(t, 2, r.code, "%s: %s", name, r.stdout)
			require.Contains(t, r.stdout, strings.ReplaceAll(name, "_", " "), name)
		}
	}
	require.Greater(t, n, 60)
}
