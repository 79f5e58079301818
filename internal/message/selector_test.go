package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestHasPair(t *testing.T) {
	t.Parallel()
	const object = `{"text": "a", "empty": "", "number": 12, "float": 1.50, "big": 12345678901234567890, "yes": true, "null": null,
		"list": [1, "b"], "nested": {"x": [1, 2], "y": {"z": "a b"}}, "digits": "12", "quoted": "\"a\"", "umlaut": "\u00fc", "a=b": "c", "": "no key"}`
	for pair, want := range map[string]bool{
		"text=a":                                true,
		"text=b":                                false,
		"text=":                                 false,
		"text=A":                                false,
		"text":                                  false,
		"text= a":                               false,
		`text="a"`:                              false,
		"Text=a":                                false,
		"other=a":                               false,
		"other=":                                false,
		"empty=":                                true,
		"empty":                                 true,
		"number=12":                             true,
		"number=12.0":                           false,
		`number="12"`:                           false,
		"digits=12":                             true,
		"float=1.50":                            true,
		"float=1.5":                             false,
		"big=12345678901234567890":              true,
		"big=12345678901234567891":              false,
		"yes=true":                              true,
		"yes=false":                             false,
		"yes=1":                                 false,
		"null=null":                             true,
		"null=":                                 false,
		`list=[1,"b"]`:                          true,
		`list=[ 1, "b" ]`:                       true,
		`list=["b",1]`:                          false,
		`nested={"x":[1,2],"y":{"z":"a b"}}`:    true,
		`nested={"x": [1,2], "y": {"z":"a b"}}`: true,
		`nested={"x":[1,2],"y":{"z":"ab"}}`:     false,
		`nested={"x":[1,2]`:                     false,
		`quoted="a"`:                            true,
		"umlaut=ü":                              true,
		"a=b=c":                                 false,
		"=no key":                               true,
	} {
		require.Equal(t, want, message.HasPair(json.RawMessage(object), pair), pair)
	}
	require.True(t, message.HasPair(json.RawMessage(`{"k":"a=b"}`), "k=a=b"))
	for _, none := range []string{"", "null", `"k=v"`, `["k","v"]`, `{"k":"v"`, "1"} {
		require.False(t, message.HasPair(json.RawMessage(none), "k=v"), none)
	}
	require.False(t, message.HasPair(nil, ""))
}

func TestASelectorChoosesWhatMatchesAllOfIt(t *testing.T) {
	t.Parallel()
	batch := &message.Batch{Metadata: json.RawMessage(`{"campaign":"spring","n":7,"ok":true,"none":null}`)}
	m := message.Message{
		To: "0151 1", Phone: "+49 151 1", Reference: "c-1",
		Addresses: []message.Address{{Kind: message.KindEmail, Value: "ann@example.com"}},
	}
	own := m
	own.Metadata = json.RawMessage(`{"campaign":"summer"}`)
	key := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	row := &message.Row{Account: "one"}
	for name, tt := range map[string]struct {
		q    message.Selector
		m    message.Message
		want bool
	}{
		"nothing is asked for":              {message.Selector{}, m, true},
		"its account":                       {message.Selector{Account: "one"}, m, true},
		"another account":                   {message.Selector{Account: "two"}, m, false},
		"its reference":                     {message.Selector{Reference: "c-1"}, m, true},
		"another reference":                 {message.Selector{Reference: "c"}, m, false},
		"its recipient as it was written":   {message.Selector{To: "01511"}, m, true},
		"its number":                        {message.Selector{To: "+491511"}, m, true},
		"another of its addresses":          {message.Selector{To: "Ann@Example.com"}, m, true},
		"another recipient":                 {message.Selector{To: "+4915112"}, m, false},
		"the batch's metadata":              {message.Selector{Meta: "campaign=spring"}, m, true},
		"a number of the metadata":          {message.Selector{Meta: "n=7"}, m, true},
		"a word of the metadata":            {message.Selector{Meta: "ok=true"}, m, true},
		"another value":                     {message.Selector{Meta: "campaign=sprin"}, m, false},
		"a key that is not there":           {message.Selector{Meta: "camp="}, m, false},
		"its own metadata":                  {message.Selector{Meta: "campaign=summer"}, own, true},
		"the batch's, where it has its own": {message.Selector{Meta: "campaign=spring"}, own, false},
		"all of it":                         {message.Selector{To: "01511", Reference: "c-1", Meta: "n=7", Account: "one"}, m, true},
		"all but one":                       {message.Selector{To: "01511", Reference: "c-2", Meta: "n=7", Account: "one"}, m, false},
	} {
		require.Equal(t, tt.want, tt.q.Matches(batch, row, &tt.m, key), name)
		require.Equal(t, tt.q == message.Selector{}, tt.q.IsZero(), name)
	}
	require.False(t, message.Selector{Meta: "a=b"}.Matches(&message.Batch{}, row, &m, key), "there is no metadata")
	plain := message.Message{To: "ann"}
	require.True(t, message.Selector{}.Matches(batch, row, &plain, key))
	require.False(t, plain.IsTo("", key), "a number that is not there is none")

	for meta, ok := range map[string]bool{"": true, "a=b": true, "a=": true, "a=b=c": true, "a": false, "=b": false, "=": false} {
		require.Equal(t, ok, message.Selector{Meta: meta}.Check() == nil, meta)
	}
}

func TestARedriveTakesOnlyStatesThatCanBeSentAgain(t *testing.T) {
	t.Parallel()
	for names, want := range map[string][]message.State{
		"":                        {message.Failed, message.Expired},
		"failed":                  {message.Failed},
		"unknown,failed,unknown":  {message.Failed, message.Unknown},
		" expired , undelivered ": {message.Undelivered, message.Expired},
		"not-sent":                {message.Failed, message.Expired, message.Canceled},
		"not-delivered":           {message.Undelivered, message.Failed, message.Expired, message.Canceled},
		"not-delivered,unknown":   {message.Undelivered, message.Failed, message.Expired, message.Canceled, message.Unknown},
	} {
		var list []string
		if names != "" {
			list = []string{names}
		}
		got, err := message.ParseRedrive(list)
		require.NoError(t, err, names)
		require.Equal(t, want, got, names)
	}
	got, err := message.ParseRedrive([]string{"expired", "failed"})
	require.NoError(t, err)
	require.Equal(t, []message.State{message.Failed, message.Expired}, got)
	for names, why := range map[string]string{
		"sent": "cannot be sent again", "failed,rejected": "rejected cannot", "waiting": "cannot be sent again",
		"failed,": "a state is missing", ",": "a state is missing", "gone": "unknown state",
	} {
		_, err := message.ParseRedrive([]string{names})
		require.ErrorContains(t, err, why, names)
	}
}

func TestStatesHaveNamesForPeopleAndForPrograms(t *testing.T) {
	t.Parallel()
	require.Equal(t, "waiting", message.Accepted.Text())
	require.Equal(t, "sent", message.Sent.Text())
	require.Equal(t, "state(12)", message.State(12).String())
	require.False(t, message.State(12).Final())
	var s message.State
	require.Error(t, json.Unmarshal([]byte(`"waiting"`), &s))
	require.NoError(t, json.Unmarshal([]byte(`"expired"`), &s))
	require.Equal(t, message.Expired, s)
	var c message.Counts
	require.Error(t, json.Unmarshal([]byte(`{"gone":1}`), &c))
	c.Add(message.Counts{message.Sent: 2, message.Unknown: 1})
	c.Add(message.Counts{message.Sent: 1, message.Scheduled: 4, message.Retrying: 8, message.Sending: 16, message.Accepted: 32})
	require.Equal(t, message.Counts{message.Sent: 3, message.Unknown: 1, message.Scheduled: 4, message.Retrying: 8, message.Sending: 16, message.Accepted: 32}, c)
	require.Equal(t, 60, c.Open())
	for _, s := range message.States() {
		require.Equal(t, s == message.Sent || s == message.Delivered || s == message.Undelivered, s.Taken(), "%s", s)
		require.Equal(t, s == message.Scheduled || s == message.Accepted || s == message.Retrying, s.Waiting(), "%s", s)
	}
}

func TestAPageHasBounds(t *testing.T) {
	t.Parallel()
	page := func(q message.PageQuery, total int) (message.Page, error) {
		return message.Pages(q, total, func(i int) (message.State, int64) { return message.Sent, int64(i) },
			func(i int) message.Row { return message.Row{Index: i} })
	}
	for name, tt := range map[string]struct {
		q     message.PageQuery
		total int
		rows  int
		next  string
	}{
		"a hundred by themselves":   {message.PageQuery{}, 1000, 100, "101"},
		"below none is the same":    {message.PageQuery{Limit: -1}, 1000, 100, "101"},
		"as many as asked for":      {message.PageQuery{Limit: 1}, 1000, 1, "2"},
		"at most 500":               {message.PageQuery{Limit: 501}, 1000, 500, "501"},
		"exactly the rest":          {message.PageQuery{Limit: 99}, 100, 99, ""},
		"from a cursor on":          {message.PageQuery{Cursor: "990"}, 1000, 10, ""},
		"a cursor at the end":       {message.PageQuery{Cursor: "1000"}, 1000, 0, ""},
		"a cursor at the beginning": {message.PageQuery{Cursor: "0", Limit: 1}, 10, 1, "2"},
		"what changed since":        {message.PageQuery{Since: 997}, 1000, 2, ""},
	} {
		got, err := page(tt.q, tt.total)
		require.NoError(t, err, name)
		require.Len(t, got.Messages, tt.rows, name)
		require.Equal(t, tt.next, got.Next, name)
	}
	for _, q := range []message.PageQuery{{Cursor: "x"}, {Cursor: "-1"}, {Cursor: "1001"}, {State: "gone"}} {
		_, err := page(q, 1000)
		require.Error(t, err, "%+v", q)
	}
}
