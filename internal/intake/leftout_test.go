package intake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
)

// read reads a request in both ways, holds them to the same, and returns one.
func read(t *testing.T, body string, o intake.Options, lists ...string) *intake.Buffered {
	t.Helper()
	options := func() intake.Options {
		own := o
		for _, list := range lists {
			if own.Exclude == nil {
				own.Exclude = &intake.Exclusion{}
			}
			require.NoError(t, own.Exclude.Add(strings.NewReader(list)))
		}
		return own
	}
	w := open(t, strings.NewReader(body), intake.Caller{}, options()).Buffered()
	var log problemList
	in, err := open(t, strings.NewReader(body), intake.Caller{}, options()).Streamed(&log)
	require.NoError(t, err)
	defer in.Close()
	var all []message.Message
	for m := (message.Message{}); in.Read(&m); m = (message.Message{}) {
		all = append(all, m)
	}
	require.Equal(t, w.Total(), in.Total())
	require.Equal(t, w.Valid(), in.Valid())
	require.Equal(t, w.Excluded, in.Excluded())
	require.Equal(t, w.Warnings, in.Warnings())
	require.Equal(t, w.Refusal(), in.Refusal())
	require.ElementsMatch(t, w.Problems, message.Problems(log))
	for i := range all {
		require.Equal(t, w.Batch.Messages[i].Problems, all[i].Problems)
	}
	return w
}

func csvOptions() intake.Options { return intake.Options{Options: dialect.Options{Text: "Hi ${name}"}} }

// codes are those of the messages' first problems.
func codes(w *intake.Buffered) (out []string) {
	for _, m := range w.Batch.Messages {
		code := ""
		if len(m.Problems) > 0 {
			code = m.Problems[0].Code
		}
		out = append(out, code)
	}
	return out
}

func TestRecipientsOfAnExclusionListAreLeftOut(t *testing.T) {
	t.Parallel()
	const body = "to,name\n+15550001111,Ann\nBob@Example.com,Bob\n15550003333,Carl\n+15550004444,\n,Dan\n"
	for name, list := range map[string]string{
		"one a line":    "+1 (555) 000-1111\n\n bob@example.COM \n+15550003333\nnobody@example.com\n",
		"CSV":           "id,to,reason\n1,15550001111,x\n2,bob@example.com,\n3,\"+1-555-000-3333\",z\n4,nobody@example.com,\n5,,\n",
		"one column":    "Phone\r\n+15550001111\r\nBOB@example.com\r\n+15550003333\r\nnobody@example.com\r\n",
		"lone CR":       "\ufeffto\r+15550001111\rbob@example.com\r+15550003333\rnobody@example.com",
		"CR CR LF":      "+15550001111\r\r\nbob@example.com\r\r\n+15550003333\r\r\nnobody@example.com\r\r\n",
		"semicolons":    "to;name\n+15550001111;Ann\nbob@example.com;B\n+15550003333;C\nnobody@example.com;D\n",
		"twice in list": "+15550001111\n+15550001111\nbob@example.com\n+15550003333\nnobody@example.com\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := csvOptions()
			o.Strict = true
			w := read(t, body, o, list)
			require.Equal(t, []string{"excluded", "excluded", "excluded", "", "required"}, codes(w))
			require.Equal(t, 3, w.Excluded)
			require.Equal(t, 1, w.Valid())
			require.Len(t, w.Problems, 1, "only what is wrong")
			require.EqualError(t, w.Refusal(), "1 message is rejected and the request is strict, nothing was started")
			require.Equal(t, message.Problems{{
				Index: -1, Path: "exclude", Code: "unused", Detail: "recipients of the exclusion list that no message is for: 1 of 4",
			}}, w.Warnings)
		})
	}
}

func TestSeveralExclusionListsAreOne(t *testing.T) {
	t.Parallel()
	w := read(t, "to,name\na,A\nb,B\nc,C\n", csvOptions(), "a\nx\n", "to\nb\n")
	require.Equal(t, []string{"excluded", "excluded", ""}, codes(w))
}

func TestAnExclusionListThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                             "there is no recipient in it, and no first row that names columns",
		"\ufeff \r\n\n":                "there is no recipient in it, and no first row that names columns",
		"id,phone\n1,+15550001111\n":   `there is no column "to"; columns: id, phone; --exclude-column phone`,
		"to,x\n+15550001111,y\n\"a\n":  `line 3: expected CSV, or one recipient a line: extraneous or missing " in quoted-field`,
		"x,to\na,b\nc\n":               "line 3: it has 1 cell, and the recipient is in column 2",
		"\xff\xfe\x00\xd8\n\x00":       "line 1: it is not in UTF-16",
		"a\x00\n\x00b\x00\n\x00":       "line 1: it is not in UTF-8",
		"+15550001111\nM\xfcller@x.de": "line 2: it is not in UTF-8",
	} {
		var e intake.Exclusion
		require.EqualError(t, e.Add(strings.NewReader(list)), want, "%q", list)
	}
	var e intake.Exclusion
	require.EqualError(t, e.Add(strings.NewReader("to,Mail\na,b\n"), "mail"), `there is no column "mail"; columns: to, Mail; --exclude-column Mail`)
	require.EqualError(t, e.Add(strings.NewReader("a,b\na,b\n"), "mail", "to"), `there is no column "mail" or "to"; columns: a, b`)

	w := read(t, "to,name\na,A\n", csvOptions(), "to\n")
	require.Equal(t, "the exclusion list names no recipient", w.Warnings[0].Detail, "a list of nobody")
}

func TestAnExclusionListInAnotherEncodingIsRead(t *testing.T) {
	t.Parallel()
	list := "\xff\xfe"
	for _, c := range []byte("to,x\r\n+15550001111,y\r\n") {
		list += string([]byte{c, 0})
	}
	w := read(t, "to,name\n+15550001111,A\nb,B\n", csvOptions(), list, "\ufeff\u200bb\u00a0\r\r\n")
	require.Equal(t, []string{"excluded", "excluded"}, codes(w))
}

// Each file has its own column, and one recipient a line needs none.
func TestColumnsOfExclusionLists(t *testing.T) {
	t.Parallel()
	o := csvOptions()
	o.Exclude = &intake.Exclusion{}
	for _, list := range []string{"id,Mobile\n1,a\n", "Phone,id\nb,1\n", "c\n", "to\nd\n", "Mobile\ne\n"} {
		require.NoError(t, o.Exclude.Add(strings.NewReader(list), "Mobile", "Phone"))
	}
	w := open(t, strings.NewReader("to,name\na,A\nb,B\nc,C\nd,D\ne,E\n1,F\n"), intake.Caller{}, o).Buffered()
	require.Equal(t, []string{"excluded", "excluded", "excluded", "excluded", "excluded", ""}, codes(w))
	require.Empty(t, w.Warnings)
}

func TestAnExclusionListOfWhatIsNoNumberIsRefused(t *testing.T) {
	t.Parallel()
	const first = "line 1: looks like a number with decimals, as a spreadsheet writes it; format the column as text"
	for list, want := range map[string]string{
		"15550001001.0\n+15550001002\n": first,
		"2026-11-28\n":                  "line 1: looks like a date",
		"to\n1.5555E+10\n":              "line 2: looks like a number that a spreadsheet shortened (scientific notation); format the column as text",
		"a\n0151 23456789\n":            "line 2: begins with 0, which says no country: write + and the country code, or name the region that such numbers are of (default_region)",
		"15550001001.0\n\n12345678901.0\n1,x\n2026-11-28\n2026-11-29\n": first +
			"; line 3: " + first[len("line 1: "):] + "; line 5: looks like a date; there are 4 such entries",
	} {
		var e intake.Exclusion
		require.EqualError(t, e.Add(strings.NewReader(list)), want, "%q", list)
	}
	e := intake.Exclusion{Region: "DE"}
	require.NoError(t, e.Add(strings.NewReader("0151 23456789\n")))
	// Ids of other kinds.
	w := read(t, "to,name\n12345,A\nroom-20261128,B\n1234567890123456789,C\n1-2,D\n", csvOptions(), "12345\nroom-20261128\n1234567890123456789\n1-2\n")
	require.Equal(t, 4, w.Excluded)
}

func TestAListThatIsNoTextIsRefused(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"PK\x03\x04\x14\x00":       "this is an Excel or Numbers workbook, or another zip file; export it as CSV, or unpack it",
		"\x1f\x8b\x08\x00":         "this is compressed with gzip; decompress it",
		"\xd0\xcf\x11\xe0\xa1\xb1": "this is an Excel workbook (.xls); export it as CSV",
	} {
		var e intake.Exclusion
		require.EqualError(t, e.Add(strings.NewReader(list)), want)
		w := open(t, strings.NewReader(list+"\n+1\n"), intake.Caller{}, csvOptions()).Buffered()
		require.Equal(t, want, w.Problems[0].Detail)
		require.True(t, w.None)
	}
}

func TestAListOfAnotherContentHasAnotherSum(t *testing.T) {
	t.Parallel()
	sum := func(list string) string {
		var e intake.Exclusion
		require.NoError(t, e.Add(strings.NewReader(list)))
		return e.Sum()
	}
	again := sum("a\nb\n")
	require.Equal(t, again, sum("a\nb\n"))
	require.NotEqual(t, sum("a\nb\n"), sum("a\nc\n"))
}

func TestALongExclusionListFindsEveryRecipient(t *testing.T) {
	t.Parallel()
	var list, body strings.Builder
	body.WriteString("to,name\n")
	for i := range 30_000 {
		if i%3 == 0 {
			fmt.Fprintf(&list, "+1555%07d\n", i)
		}
		fmt.Fprintf(&body, "+1555%07d,n\n", i)
	}
	w := read(t, body.String(), csvOptions(), list.String())
	require.Equal(t, 10_000, w.Excluded)
	for i, code := range codes(w) {
		require.Equal(t, i%3 == 0, code == "excluded", i)
	}
	require.Empty(t, w.Warnings, "every one of the list was met")
}

const repeated = "to,name\n+15550001111,Ann\n+1 555 000 1111,Ann\n+15550001111,Anna\n,Ann\n+15550002222,Ann\n+15550001111,Ann\n"

func TestMessagesThatRepeatAnEarlierOne(t *testing.T) {
	t.Parallel()
	for unique, tt := range map[string]struct {
		codes           []string
		excluded, wrong int
		warning         string
	}{
		"":             {[]string{"", "", "", "required", "", ""}, 0, 1, "2 rows have the same recipient and text as an earlier one; --unique to+text=drop leaves them out"},
		"to":           {[]string{"", "duplicate", "duplicate", "required", "", "duplicate"}, 0, 4, ""},
		"to=drop":      {[]string{"", "duplicate", "duplicate", "required", "", "duplicate"}, 3, 1, ""},
		"to+text":      {[]string{"", "duplicate", "", "required", "", "duplicate"}, 0, 3, ""},
		"to+text=drop": {[]string{"", "duplicate", "", "required", "", "duplicate"}, 2, 1, ""},
	} {
		t.Run(unique, func(t *testing.T) {
			t.Parallel()
			o := csvOptions()
			if unique != "" {
				var err error
				o.Unique, err = intake.ParseUnique(unique)
				require.NoError(t, err)
			}
			w := read(t, repeated, o)
			require.Equal(t, tt.codes, codes(w))
			require.Equal(t, tt.excluded, w.Excluded)
			require.Len(t, w.Problems, tt.wrong)
			if tt.warning == "" {
				require.Empty(t, w.Warnings)
			} else {
				require.Equal(t, message.Problems{{Index: -1, Path: "messages", Code: "duplicate", Detail: tt.warning}}, w.Warnings)
			}
			for i, m := range w.Batch.Messages {
				require.Equal(t, tt.codes[i] != "", m.Route < 0, "what is rejected has no way")
			}
		})
	}
	for _, s := range []string{"text", "to=", "drop", "to=warn"} {
		_, err := intake.ParseUnique(s)
		require.Error(t, err)
	}
}

// Rows with texts of their own, and messages of other dialects.
func TestRepeatsInOtherFormats(t *testing.T) {
	t.Parallel()
	w := read(t, `{"text":"Hi"}
{"to":"a"}
{"to":"a","text":"Ho"}
{"to":"a","text":"Ho"}
{"to":"a","text":"Ha"}
{"to":"a"}
`, intake.Options{})
	require.Equal(t, "2 messages have the same recipient and text as an earlier one; --unique to+text=drop leaves them out", w.Warnings[0].Detail)
}

// A provider may try each address of a message, so one that an earlier message has is enough.
func TestMessagesThatShareAnyAddressRepeatEachOther(t *testing.T) {
	t.Parallel()
	const both = `{"phone":"+15550001111","email":"ann@example.com"}`
	for name, tt := range map[string]struct {
		to        []string
		duplicate []bool
	}{
		"the second address":          {[]string{both, `{"phone":"+15550002222","email":"Ann@example.com"}`}, []bool{false, true}},
		"beside a text":               {[]string{both, `"ann@example.com"`, `"+1 555 000-1111"`}, []bool{false, true, true}},
		"behind a text":               {[]string{`"ann@example.com"`, both}, []bool{false, true}},
		"of one that is left out":     {[]string{`"+15550001111"`, both, `"ann@example.com"`}, []bool{false, true, false}},
		"another kind":                {[]string{`{"room":"7"}`, `{"contact":"7"}`, `{"convo":"7","room":"8"}`, `{"contact":"7","room":"9"}`}, []bool{false, false, false, true}},
		"all different":               {[]string{both, `{"phone":"+15550002222","email":"bob@example.com"}`}, []bool{false, false}},
		"twice in one message, alone": {[]string{`{"contact":"7","other":"7"}`}, []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"text":"Hi"}` + "\n"
			for _, to := range tt.to {
				body += `{"to":` + to + "}\n"
			}
			for _, by := range []string{"to", "to+text"} {
				o := intake.Options{Unique: intake.Unique{By: by}}
				found := []bool{}
				for _, code := range codes(read(t, body, o)) {
					found = append(found, code == message.CodeDuplicate)
				}
				require.Equal(t, tt.duplicate, found, by)
			}
		})
	}
	lines := `{"text":"Hi"}` + "\n" + `{"to":{"other":"7"},"channel":"LINE"}` + "\n" + `{"to":{"other":"7"},"channel":"TELEGRAM"}` + "\n" + `{"to":{"other":"7"},"channel":"LINE"}` + "\n"
	require.Equal(t, []string{"", "", "duplicate"}, codes(read(t, lines, intake.Options{Unique: intake.Unique{By: "to"}})))
}

// Where a message's own part says who gets it, that is no part of its text.
func TestRepeatsOfContactsWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	d, err := dialect.Named("bird")
	require.NoError(t, err)
	receiver := func(phone, email string) string {
		return `{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"` + phone + `","identifiers":[{"identifierKey":"emailaddress","identifierValue":"` + email +
			`"}]}]},"body":{"type":"text","text":{"text":"Hi"}}}`
	}
	body := `{"messageRequests":[` + receiver("+15550001111", "a@example.com") + "," + receiver("+15550002222", "a@example.com") + "," + receiver("+15550003333", "b@example.com") + "]}"
	q, err := intake.Open(strings.NewReader(body), intake.Caller{Router: &router}, intake.Limits{BodyBytes: 1 << 20}, intake.Options{Dialect: d, Unique: intake.Unique{By: "to+text"}})
	require.NoError(t, err)
	w := q.Buffered()
	require.Equal(t, []string{"", "duplicate", ""}, codes(w))
}

func TestARequestOfWhichNobodyIsLeftIsRefused(t *testing.T) {
	t.Parallel()
	w := read(t, "to,name\na,A\n", csvOptions(), "a\n")
	require.Empty(t, w.Problems)
	require.EqualError(t, w.Refusal(), "every message is left out, nothing was started")
}

func TestRowsAreSkippedByTheirValues(t *testing.T) {
	t.Parallel()
	o := csvOptions()
	require.NoError(t, o.Columns.AddSkipIf("unsubscribed=true"))
	o.Strict, o.Columns.Refuse = true, true
	w := read(t, "to,name,unsubscribed\na,A, True \nb,B,no\n,C,TRUE\n", o)
	require.Equal(t, []string{"excluded", "", "excluded"}, codes(w))
	require.Equal(t, 2, w.Excluded)
	require.Empty(t, w.Problems)
	require.NoError(t, w.Refusal(), "a strict request may leave out")
}

// A bluesky call is all or nothing, but for what is left out.
func TestABlueskyCallMayLeaveOut(t *testing.T) {
	t.Parallel()
	const body = `{"items":[{"convoId":"c1","message":{"text":"a"}},{"convoId":"c2","message":{"text":"b"}}]}`
	d, err := dialect.Named("bluesky")
	require.NoError(t, err)
	var e intake.Exclusion
	require.NoError(t, e.Add(strings.NewReader("c1\n")))
	q, err := intake.Open(strings.NewReader(body), intake.Caller{Router: &router}, intake.Limits{BodyBytes: 1 << 20}, intake.Options{Dialect: d, Exclude: &e})
	require.NoError(t, err)
	w := q.Buffered()
	require.NoError(t, w.Refusal())
	require.Equal(t, 1, w.Valid())
}

// Sinch may fall back to any identity of a message.
func TestAnyNumberOfAMessageMayBeExcluded(t *testing.T) {
	t.Parallel()
	const body = `{"app_id":"a","message":{"text_message":{"text":"a"}},"recipient_and_params":[
		{"recipient":{"identified_by":{"channel_identities":[{"channel":"WHATSAPP","identity":"+15550001001"},{"channel":"SMS","identity":"+1 555 000 1002"}]}}},
		{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550001003"}]}}}]}`
	d, err := dialect.Named("sinch")
	require.NoError(t, err)
	var e intake.Exclusion
	require.NoError(t, e.Add(strings.NewReader("+15550001002\n")))
	o := intake.Options{Dialect: d, Exclude: &e}
	o.Now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	q, err := intake.Open(strings.NewReader(body), intake.Caller{Router: &router}, intake.Limits{BodyBytes: 1 << 20}, o)
	require.NoError(t, err)
	w := q.Buffered()
	require.Empty(t, w.Problems)
	require.Equal(t, 1, w.Excluded)
	require.Equal(t, message.CodeExcluded, w.Batch.Messages[0].Problems[0].Code)
	require.Nil(t, w.Batch.Messages[1].Numbers, "they are not kept")
}

func TestAnAccountThatIsNotThereIsOneProblem(t *testing.T) {
	t.Parallel()
	o := csvOptions()
	o.Account = "nope"
	w := read(t, "to,name\na,A\nb,B\n", o)
	require.Equal(t, message.Problems{{Index: -1, Path: "account", Code: "unroutable", Detail: `account "nope" is not in the configuration`}}, w.Problems)
	require.Error(t, w.Refusal())
}

// A message may go to each of its recipient's addresses, so each of them excludes it.
func TestAnyAddressOfARecipientExcludesItsMessage(t *testing.T) {
	t.Parallel()
	d, err := dialect.Named("volley")
	require.NoError(t, err)
	const to = `{"to":{"phone":"+1 555 000 8001","email":"ann@example.com"}}`
	body := `{"text":"Hi","messages":[` + to + `,{"to":"+15550008002"}]}`
	for _, list := range []string{"+15550008001\n", "Ann@Example.com\n"} {
		w := read(t, body, intake.Options{Dialect: d}, list)
		require.Equal(t, []string{"excluded", ""}, codes(w), "%s", list)
	}
}
