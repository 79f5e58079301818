package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestAContentIsFilledInUpToItsBound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body   string
		syntax message.Syntax
		key    string
		more   int // bytes beside the value of the parameter
		path   string
	}{
		"the whole text":           {`{"text":"${a}"}`, message.SyntaxBraces, "a", 0, "text"},
		"with more around it":      {`{"text":"ab${a}"}`, message.SyntaxBraces, "a", 2, "text"},
		"twice":                    {`{"text":"${a}${a}"}`, message.SyntaxBraces, "a", message.MaxContent / 2, "text"},
		"keys":                     {`{"text":"$a$"}`, message.SyntaxKeys, "$a$", 0, "text"},
		"keys, with more":          {`{"text":"ab$a$"}`, message.SyntaxKeys, "$a$", 2, "text"},
		"several texts":            {`{"list":["abc","${a}"]}`, message.SyntaxBraces, "a", 7, "list[1]"},
		"several texts, and a key": {`{"list":{"k":["${b}","${a}"]}}`, message.SyntaxBraces, "a", 10, "list.k[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := message.Template{Body: json.RawMessage(tt.body), Syntax: tt.syntax}
			fits := message.MaxContent - tt.more
			_, _, err := template.Render(&message.Message{Params: map[string]string{tt.key: strings.Repeat("x", fits), "b": "x"}})
			require.NoError(t, err)
			_, _, err = template.Render(&message.Message{Params: map[string]string{tt.key: strings.Repeat("x", fits+1), "b": "x"}})
			var size *message.SizeError
			require.ErrorAs(t, err, &size)
			require.Equal(t, tt.path, size.Path)
			require.ErrorContains(t, err, tt.path+": ")
		})
	}
	unchanged := message.Template{Body: json.RawMessage(`{"text":"$` + strings.Repeat("x", message.MaxContent) + `"}`), Syntax: message.SyntaxBraces}
	_, _, err := unchanged.Render(&message.Message{})
	require.NoError(t, err, "what has no parameter is the caller's own")
}

func TestAMissingParameterIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	template := message.Template{
		Body: json.RawMessage(`{"a":{"b":[1,{"c d":"${gone}"}],"k${gone}":true},"out":"${other}"}`), Syntax: message.SyntaxBraces, Scope: []string{"a"},
	}
	_, _, err := template.Render(&message.Message{})
	var missing *message.ParameterError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, &message.ParameterError{Path: "a.b[1].c d", Name: "gone"}, missing)
	require.EqualError(t, err, `a.b[1].c d: no value for parameter "gone"`)
	names, err := template.Parameters(1000)
	require.NoError(t, err)
	require.Equal(t, []string{"gone"}, names, "keys and what is out of scope are not searched")
}

func TestNoKeyHidesInAnother(t *testing.T) {
	t.Parallel()
	template := message.Template{Body: json.RawMessage(`{"message":"$a $ab $abc $abcd $b"}`), Syntax: message.SyntaxKeys, TextPaths: [][]string{{"message"}}}
	for range 20 { // maps have no order
		_, text, err := template.Render(&message.Message{Params: map[string]string{"$": "0", "$a": "1", "$ab": "2", "$abc": "3", "$abcd": "4", "": "no"}})
		require.NoError(t, err)
		require.Equal(t, "1 2 3 4 0b", text)
	}
}

func TestAMessageWhoseParametersAreTooLargeIsRejectedAtOnce(t *testing.T) {
	t.Parallel()
	accepted := func(n, line int) message.Problems {
		b := &message.Batch{Template: message.Template{Body: json.RawMessage(`{"text":"${a} ${a} ${b}"}`), Syntax: message.SyntaxBraces}}
		b.Messages = []message.Message{{Line: line, Params: map[string]string{"a": strings.Repeat("x", message.MaxContent/4), "b": strings.Repeat("x", n), "unused": strings.Repeat("x", message.MaxContent)}}}
		router := message.Router{Accounts: map[string]message.Policy{"a": {}}, Routes: []message.Route{{Hops: []string{"a"}}}}
		router.Accept(b, func(i int) string { return fmt.Sprintf("messages[%d].to", i) })
		require.Equal(t, len(b.Messages[0].Problems) > 0, b.Messages[0].Route == -1)
		return b.Messages[0].Problems
	}
	require.Empty(t, accepted(message.MaxContent/2, 0))
	problems := accepted(message.MaxContent/2+1, 0)
	require.Len(t, problems, 1)
	require.Equal(t, message.CodeTooLong, problems[0].Code)
	require.Equal(t, "messages[0].to", problems[0].Path)
	require.Contains(t, accepted(message.MaxContent, 7)[0].Detail, "line 7: with its parameters")
}

func TestMessagesOfOneWayShareIt(t *testing.T) {
	t.Parallel()
	router := message.Router{
		Accounts: map[string]message.Policy{"a": {Attempts: 1}, "b": {Attempts: 2}},
		Routes:   []message.Route{{Channel: "SMS", Hops: []string{"a"}}, {Channel: "MMS", Hops: []string{"b", "a"}}, {Dialect: "bird", Hops: []string{"gone"}}},
	}
	b := &message.Batch{Dialect: "sinch", Messages: make([]message.Message, 6)}
	for i, channels := range [][]string{{"SMS"}, {"MMS"}, {"SMS"}, {"LINE", "SMS"}, {"LINE"}, nil} {
		b.Messages[i].Channels = channels
	}
	b.Messages[2].Problems.Add(2, "x", message.CodeFormat, "bad")
	router.Accept(b, func(i int) string { return fmt.Sprint(i) })
	var routes []int
	for _, m := range b.Messages {
		routes = append(routes, m.Route)
	}
	require.Equal(t, []int{0, 1, -1, 0, -1, -1}, routes)
	require.Len(t, b.Hops, 2)
	require.Equal(t, map[string]message.Policy{"a": {Attempts: 1}, "b": {Attempts: 2}}, b.Policies)
	require.Contains(t, b.Messages[4].Problems[0].Detail, "channel LINE")
	require.NotContains(t, b.Messages[5].Problems[0].Detail, "channel")
	require.ErrorContains(t, router.Known("gone"), "not in the configuration")
	router.Allowed = []string{"b"}
	require.ErrorContains(t, router.Known("a"), "may use")
	require.NoError(t, router.Known("b"))
	require.Empty(t, router.First("bird", nil), "its account is not there")
}

func TestWhatMakesTwoMessagesTheSame(t *testing.T) {
	t.Parallel()
	hash := func(m message.Message) uint64 { return m.HashFor("+1") }
	body := func(s string) message.Message { return message.Message{Body: json.RawMessage(s)} }
	for _, same := range [][2]string{
		{`{"a":[" x ",{"b":" y"}]}`, `{"a":["x",{"b":"y"}]}`},
		{`{"t":"x "}`, `{"t":"x"}`},
		{`{"t":" x"}`, `{"t":"x"}`},
		{`{"t":"\t"}`, `{"t":""}`},
		{`{"t":"\u007f"}`, "{\"t\":\"\x7f\"}"},
		{`{"t":"~"}`, `{"t":"\u007e"}`},
		{`{"n":1,"t":null}`, `{"t":null,"n":1}`},
	} {
		require.Equal(t, hash(body(same[0])), hash(body(same[1])), same)
	}
	for _, other := range [][2]string{
		{`{"n":1}`, `{"n":"1"}`}, {`{"n":1}`, `{"n":1.0}`}, {`{"a"`, `{"b"`}, {`{"t":"x"}`, `{"t":"x y"}`}, {`{"t":"a b"}`, `{"t":"ab"}`}, {`{"":"x"}`, `{"t":"x"}`}, {``, `{}`},
	} {
		require.NotEqual(t, hash(body(other[0])), hash(body(other[1])), other)
	}
	params := func(pairs ...string) message.Message {
		m := message.Message{Params: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			m.Params[pairs[i]] = pairs[i+1]
		}
		return m
	}
	require.Equal(t, hash(params("a", "1", "b", "2")), hash(params("b", "2", "a", "1")))
	require.NotEqual(t, hash(params("a", "1", "b", "2")), hash(params("a", "2", "b", "1")))
	require.NotEqual(t, hash(params("a", "bc")), hash(params("ab", "c")))
	m := params()
	require.NotEqual(t, m.HashFor("+1"), m.HashFor("+2"))
}

// The content stands in the memo of batches that run and is compared with that of new
// ones, so it is the same in every version.
func TestTheContentOfStoredBatchesNeverChanges(t *testing.T) {
	t.Parallel()
	require.Equal(t, "CD_lIIagcGuHrIWv9ouSCCu4EMD7xbbnKoUjj-Ekp88", contentOf(texts("Hi ${name}!", named("+1", "Ann"), named("+2", "Bob"))).String())
	require.Equal(t, "lBYPTwwXp9bVKTgnaRWvY4xPVSb8zz7E6PJyU4WOWZc", contentOf(&message.Batch{Dialect: "bluesky", Messages: []message.Message{
		{To: "c", Body: json.RawMessage(`{"convoId":"c","message":{"text":"Hi","list":[true,false,null,1.50,"x"]}}`)},
	}}).String())
}

func TestTextsUpToABoundCountAsTheyAreFilledIn(t *testing.T) {
	t.Parallel()
	const bound = 16 << 10
	long := strings.Repeat("x", bound)
	same := func(n int) bool {
		text := long[:n-1]
		return contentOf(texts("${name}!", named("+1", text))) == contentOf(texts("", textMessage("+1", text+"!")))
	}
	require.True(t, same(bound))
	require.False(t, same(bound+1), "its parts count")
	require.Equal(t, contentOf(texts("", textMessage("+1", "\r\nHi\rAnn\r"))), contentOf(texts("", textMessage("+1", "Hi\nAnn"))))
	require.Equal(t, contentOf(texts("", textMessage("+1", "Hi\r\rAnn"))), contentOf(texts("", textMessage("+1", "Hi\n\nAnn"))))
	require.NotEqual(t, contentOf(texts("", textMessage("+1", "Hi\r\rAnn"))), contentOf(texts("", textMessage("+1", "Hi\nAnn"))))
	require.NotEqual(t, contentOf(texts("Hi ${name}", message.Message{To: "+1"})), contentOf(texts("Hi ", message.Message{To: "+1"})), "a value is missing")
	for _, other := range []string{`{"text":"Hi","more":1}`, `{"text":["Hi"]}`, `["Hi"]`, `{"text":`, `7`} {
		require.NotEqual(t, contentOf(texts("", textMessage("+1", "Hi"))), contentOf(texts("", message.Message{To: "+1", Body: json.RawMessage(other)})), other)
	}
}

func TestTrailsAreReadOnlyWhole(t *testing.T) {
	t.Parallel()
	var all message.Record
	for _, e := range []message.Event{
		message.EventSent, message.EventThrottled, message.EventUnavailable, message.EventRejected, message.EventUnauthorized, message.EventInvalid,
		message.EventAmbiguous, message.EventFound, message.EventAbsent, message.EventExpired, message.EventCanceled, message.EventDelivered, message.EventUndelivered,
	} {
		all.Note(message.Entry{At: int64(len(all.Trail)) * 7, Hop: 1, Attempt: 2, Event: e, Code: string(e), Detail: "d"})
	}
	var back message.Trails
	again(t, message.Trails{all.Trail, nil}, &back)
	require.Equal(t, all.Trail, back[0])
	for _, bad := range []string{
		`{"texts":[""],"entries":[[[1,0,0,0,0]]]}`, `{"texts":[""],"entries":[[[1,0,0,13,0,0]]]}`, `{"texts":[""],"entries":[[[1,0,0,-1,0,0]]]}`,
		`{"texts":[""],"entries":[[[1,0,0,0,1,0]]]}`, `{"texts":[""],"entries":[[[1,0,0,0,0,1]]]}`, `{"texts":[],"entries":[[[1,0,0,0,0,0]]]}`, `[]`,
	} {
		require.Error(t, json.Unmarshal([]byte(bad), &back), bad)
	}
	// All distinct texts together may have 192 KiB, with their quotation marks and commas.
	text := strings.Repeat("x", 192<<10-3)
	again(t, message.Trails{{{Detail: text}, {Detail: text}, {Detail: "more", Event: message.EventFound}}}, &back)
	require.Equal(t, []string{text, text, ""}, []string{back[0][0].Detail, back[0][1].Detail, back[0][2].Detail})
	require.Equal(t, message.EventFound, back[0][2].Event)
	again(t, message.Trails{{{Detail: text + "x"}}}, &back)
	require.Empty(t, back[0][0].Detail)

	require.Equal(t, "a_b_c", message.CleanCode("a b\x7fc"))
	require.Equal(t, "!~", message.CleanCode("!~"))
	require.Equal(t, "_____", message.CleanCode(`"\<>&`))
	require.Equal(t, "é", message.Clip("éé", 3))
	require.Equal(t, "éé", message.Clip("éé", 4))
	require.Empty(t, message.Clip("é", 1))
}

func TestValidityWithoutAWayIsTheDefault(t *testing.T) {
	t.Parallel()
	b := &message.Batch{Hops: [][]message.Hop{{}}, Policies: map[string]message.Policy{"": {TwoFactor: true}}}
	for _, route := range []int{-1, 0, 1} {
		require.Equal(t, message.DefaultTTL.Milliseconds(), b.Validity(&message.Message{Route: route}))
		require.Empty(t, b.HopsOf(&message.Message{Route: route}))
	}
	require.Equal(t, 36*time.Hour, message.DefaultTTL)
	require.Equal(t, 10*time.Minute, message.TwoFactorTTL)
	require.Equal(t, 10*365*24*time.Hour, message.MaxTTL)
	require.Equal(t, 1<<20, message.MaxContent)
}
