package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestRenderFillsIn(t *testing.T) {
	t.Parallel()
	ann := map[string]string{"name": "Ann", "n": "1", "quote": `say "hi" \ <b>&`, "again": "${name}", "empty": "", "ünï": "x"}
	cases := map[string]struct{ body, want string }{
		"a string at the top":                 {`{"a":"Hi ${name}"}`, `{"a":"Hi Ann"}`},
		"strings in objects and arrays":       {`{"a":{"b":["${n}",{"c":["${name}"]}]}}`, `{"a":{"b":["1",{"c":["Ann"]}]}}`},
		"several placeholders in one string":  {`{"a":"${n}${name}-${n}"}`, `{"a":"1Ann-1"}`},
		"an escaped dollar sign":              {`{"a":"\u0024{name}"}`, `{"a":"Ann"}`},
		"a name written with escapes":         {`{"a":"${\u006eame}"}`, `{"a":"Ann"}`},
		"a name outside of ASCII":             {`{"a":"${ünï}"}`, `{"a":"x"}`},
		"nothing for an empty value":          {`{"a":"[${empty}]"}`, `{"a":"[]"}`},
		"quotes, and HTML as it is":           {`{"a":"${quote}"}`, `{"a":"say \"hi\" \\ <b>&"}`},
		"JSON in a string as plain text":      {`{"a":"{\"t\":\"${name}\"}"}`, `{"a":"{\"t\":\"Ann\"}"}`},
		"but not what it has put in":          {`{"a":"${again}"}`, `{"a":"${name}"}`},
		"but not what two values make":        {`{"a":"$${n}{name}"}`, `{"a":"$1{name}"}`},
		"but no keys":                         {`{"${name}":"x","a":{"${name}":"${n}"}}`, `{"${name}":"x","a":{"${name}":"1"}}`},
		"but no names that are not closed":    {`{"a":"${name","b":"$name}"}`, `{"a":"${name","b":"$name}"}`},
		"but no empty names":                  {`{"a":"${}${n}"}`, `{"a":"${}1"}`},
		"but no dollar sign alone":            {`{"a":"5 $, $$ and $"}`, `{"a":"5 $, $$ and $"}`},
		"the inner one of two":                {`{"a":"${x${n}}"}`, `{"a":"${x1}"}`},
		"with spaces and escapes beside kept": {"{\"a\" : [ \"${n}\" ,\n 1.50e+3 , \"\\u00e9\\/\" ] }", "{\"a\":[ \"1\" ,\n 1.50e+3 , \"\\u00e9\\/\" ]}"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(c.body), Syntax: message.SyntaxBraces}
			got, _, err := tpl.Render(&message.Message{Params: ann})
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestRenderKeepsWhatItDoesNotFillIn(t *testing.T) {
	t.Parallel()
	// Big numbers, a float that float64 cannot hold, odd escapes, keys out of
	// order, an unknown field, a nested double key.
	const body = `{"z":12345678901234567890,"a":0.10000000000000000001,"\u00e9":"\u00e9\/\u202e","x-unknown":{"b":1E400,"a":null,"b":2},"html":"<&>","t":true,"e":{},"l":[]}`
	for _, syntax := range []message.Syntax{message.SyntaxNone, message.SyntaxBraces, message.SyntaxKeys} {
		t.Run(fmt.Sprintf("byte for byte in syntax %q", syntax), func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(body), Syntax: syntax}
			got, _, err := tpl.Render(&message.Message{Params: map[string]string{"$p$": "v"}})
			require.NoError(t, err)
			require.Equal(t, body, string(got))
		})
	}

	t.Run("beside a string that is filled in", func(t *testing.T) {
		t.Parallel()
		tpl := message.Template{Body: json.RawMessage(`{"m":[` + body + `,"${p}"]}`), Syntax: message.SyntaxBraces}
		got, _, err := tpl.Render(&message.Message{Params: map[string]string{"p": "v"}})
		require.NoError(t, err)
		require.Equal(t, `{"m":[`+body+`,"v"]}`, string(got))
	})

	t.Run("outside of the scope", func(t *testing.T) {
		t.Parallel()
		tpl := message.Template{
			Body:   json.RawMessage(`{"message":{"t":"${p}"},"callback_url":"https://x/${p}/${q}"}`),
			Syntax: message.SyntaxBraces, Scope: []string{"message"},
		}
		got, _, err := tpl.Render(&message.Message{Params: map[string]string{"p": "v"}})
		require.NoError(t, err)
		require.Equal(t, `{"message":{"t":"v"},"callback_url":"https://x/${p}/${q}"}`, string(got))
	})

	t.Run("without a syntax", func(t *testing.T) {
		t.Parallel()
		tpl := message.Template{Body: json.RawMessage(`{"a":"${p} $p$"}`)}
		got, _, err := tpl.Render(&message.Message{Params: map[string]string{"p": "v", "$p$": "v"}})
		require.NoError(t, err)
		require.Equal(t, `{"a":"${p} $p$"}`, string(got))
	})

	t.Run("and leaves template and message alone", func(t *testing.T) {
		t.Parallel()
		const under, over = `{"a":"${p}","b":["${p}"]}`, `{"c":"${p}"}`
		tpl := message.Template{Body: json.RawMessage(under), Syntax: message.SyntaxBraces}
		m := message.Message{Body: json.RawMessage(over), Params: map[string]string{"p": "longer than the placeholder"}}
		for range 2 {
			_, _, err := tpl.Render(&m)
			require.NoError(t, err)
			require.Equal(t, under, string(tpl.Body))
			require.Equal(t, over, string(m.Body))
		}
	})
}

func TestRenderKeysSyntax(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body, want string
		params     map[string]string
	}{
		"replaces the whole key":               {`{"message":"Hi $n$","extra":{"k":["$n$"]}}`, `{"message":"Hi Ann","extra":{"k":["Ann"]}}`, map[string]string{"$n$": "Ann"}},
		"leaves a pattern without value":       {`{"message":"Hi $n$ $m$"}`, `{"message":"Hi Ann $m$"}`, map[string]string{"$n$": "Ann"}},
		"lets the longer key win":              {`{"message":"$a$b$"}`, `{"message":"long"}`, map[string]string{"$a$": "short", "$a$b$": "long"}},
		"does not search what it has put in":   {`{"message":"$a$ $b$"}`, `{"message":"$b$ $a$"}`, map[string]string{"$a$": "$b$", "$b$": "$a$"}},
		"sees an escaped dollar sign":          {`{"message":"\u0024a\u0024"}`, `{"message":"x"}`, map[string]string{"$a$": "x"}},
		"leaves keys":                          {`{"$a$":"$a$"}`, `{"$a$":"x"}`, map[string]string{"$a$": "x"}},
		"leaves everything without parameters": {`{"message":"$a$"}`, `{"message":"$a$"}`, nil},
		"ignores a key without characters":     {`{"message":"$a$"}`, `{"message":"x"}`, map[string]string{"": "!", "$a$": "x"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(c.body), Syntax: message.SyntaxKeys}
			got, _, err := tpl.Render(&message.Message{Params: c.params})
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestRenderOverlay(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ under, over, want string }{
		"adds the message's keys behind":           {`{"a":1}`, `{"b":2}`, `{"a":1,"b":2}`},
		"puts the message's value in its place":    {`{"a":{"x":1},"b":2}`, `{"a":{"y":3}}`, `{"a":{"y":3},"b":2}`},
		"sees through the spelling of a key":       {`{"\u0061":1}`, `{"a":2}`, `{"\u0061":2}`},
		"takes the last of two values":             {`{"a":1,"a":2}`, ``, `{"a":2}`},
		"takes the message's alone":                {``, `{"a":"${p}"}`, `{"a":"v"}`},
		"fills in the message's own strings":       {`{"a":"${p}"}`, `{"b":"${p}"}`, `{"a":"v","b":"v"}`},
		"does not miss what the message overrides": {`{"a":"${missing}"}`, `{"a":"${p}"}`, `{"a":"v"}`},
		"makes an object of nothing":               {``, ``, `{}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(c.under), Syntax: message.SyntaxBraces}
			got, _, err := tpl.Render(&message.Message{Body: json.RawMessage(c.over), Params: map[string]string{"p": "v"}})
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	missing := map[string]struct{ body, path, name string }{
		"in a field":   {`{"message":{"text_message":{"text":"Hi ${who}"}}}`, "message.text_message.text", "who"},
		"in an array":  {`{"message":{"list":[{},{"rows":["a","${b c}"]}]}}`, "message.list[1].rows[1]", "b c"},
		"at the top":   {`{"message":"${x} ${y}"}`, "message", "x"},
		"beside a set": {`{"message":"${ok}","z":"${no}"}`, "z", "no"},
	}
	for name, c := range missing {
		t.Run("a parameter without value names its place "+name, func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(c.body), Syntax: message.SyntaxBraces}
			_, _, err := tpl.Render(&message.Message{Params: map[string]string{"ok": ""}})
			var pe *message.ParameterError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, c.path, pe.Path)
			require.Equal(t, c.name, pe.Name)
			require.EqualError(t, err, fmt.Sprintf("%s: no value for parameter %q", c.path, c.name))
		})
	}

	for _, body := range []string{`[]`, `"x"`, `{"a":`, `{} {}`, ` `, `{"a":"${x}"`} {
		t.Run("a body that is no object is none: "+body, func(t *testing.T) {
			t.Parallel()
			for _, syntax := range []message.Syntax{message.SyntaxNone, message.SyntaxBraces} {
				tpl := message.Template{Body: json.RawMessage(body), Syntax: syntax}
				_, _, err := tpl.Render(&message.Message{})
				require.Error(t, err)
				tpl.Body = nil
				_, _, err = tpl.Render(&message.Message{Body: json.RawMessage(body)})
				require.Error(t, err)
			}
		})
	}
}

func TestRenderText(t *testing.T) {
	t.Parallel()
	paths := [][]string{{"message", "text_message", "text"}, {"fallback"}}
	cases := map[string]struct{ body, want string }{
		"is the string at the first path":     {`{"message":{"text_message":{"text":"Hi ${p}"}},"fallback":"no"}`, "Hi v"},
		"is unescaped":                        {`{"message" : {"text_message": {"text":"a\n\"b\""}}}`, "a\n\"b\""},
		"is at the next path when none there": {`{"message":{},"fallback":"yes"}`, "yes"},
		"is at the next path when empty":      {`{"message":{"text_message":{"text":""}},"fallback":"yes"}`, "yes"},
		"is no number":                        {`{"message":{"text_message":{"text":1}}}`, ""},
		"is not inside of a string":           {`{"message":"text_message"}`, ""},
		"is nothing where nothing is":         {`{}`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl := message.Template{Body: json.RawMessage(c.body), Syntax: message.SyntaxBraces, TextPaths: paths}
			_, text, err := tpl.Render(&message.Message{Params: map[string]string{"p": "v"}})
			require.NoError(t, err)
			require.Equal(t, c.want, text)
		})
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()

	t.Run("lists each name once, in order, from the scope alone", func(t *testing.T) {
		t.Parallel()
		tpl := message.Template{
			Body:   json.RawMessage(`{"out":"${o}","message":{"z":"${b} ${a}","k":["${b}","\u0024{c}"],"${no}":1}}`),
			Syntax: message.SyntaxBraces, Scope: []string{"message"},
		}
		names, err := tpl.Parameters(1000)
		require.NoError(t, err)
		require.Equal(t, []string{"b", "a", "c"}, names)
	})

	t.Run("lists none in the other syntaxes", func(t *testing.T) {
		t.Parallel()
		for _, syntax := range []message.Syntax{message.SyntaxNone, message.SyntaxKeys} {
			tpl := message.Template{Body: json.RawMessage(`{"a":"${b} $c$"}`), Syntax: syntax}
			names, err := tpl.Parameters(1000)
			require.NoError(t, err)
			require.Empty(t, names)
		}
	})

	t.Run("fails on what is no object", func(t *testing.T) {
		t.Parallel()
		tpl := message.Template{Body: json.RawMessage(`[]`), Syntax: message.SyntaxBraces}
		_, err := tpl.Parameters(1000)
		require.Error(t, err)
	})
}

func TestStrings(t *testing.T) {
	t.Parallel()
	tpl := message.Template{Body: json.RawMessage(`{"a":["\u0024x","y",{"$k":"$z"}],"b":"$n"}`), Scope: []string{"a"}}
	all, err := tpl.Strings()
	require.NoError(t, err)
	require.Equal(t, []string{"$x", "$z"}, all)
	tpl.Body = json.RawMessage(`1`)
	_, err = tpl.Strings()
	require.Error(t, err)
}

// FuzzRender holds Render to what its callers rely on, for any body and value:
// no panic, JSON out of JSON, and Parameters naming exactly what is needed.
func FuzzRender(f *testing.F) {
	f.Add(`{"message":{"text":"Hi ${name}"}}`, "Ann")
	f.Add(`{"a":"\u0024{b}", "c" : [1.0,"${d}",null,{"${e}":"$"}]}`, `"\<&`)
	f.Add(`{"a":"${${x}}","a":"${}"}`, "${x}")
	f.Add("{\"a\":\"\xff${x}\\ud800\"}", "\xff")
	f.Fuzz(func(t *testing.T, body, value string) {
		tpl := message.Template{Body: json.RawMessage(body), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"a", "b"}, {"a"}}}
		names, err := tpl.Parameters(1000)
		if err != nil {
			require.False(t, json.Valid([]byte(body)) && strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{"))
			return
		}
		params := map[string]string{}
		for i, name := range names {
			_, _, err := tpl.Render(&message.Message{Params: params})
			var pe *message.ParameterError
			require.ErrorAs(t, err, &pe, "parameter %d is not needed", i)
			params[name] = value
		}
		content, _, err := tpl.Render(&message.Message{Params: params})
		require.NoError(t, err)
		require.True(t, json.Valid(content))
	})
}

func BenchmarkRender(b *testing.B) {
	text := strings.Repeat("Hello ${first}, your order ${order} leaves today. ", 3)
	bench := func(name string, tpl message.Template, m message.Message) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := tpl.Render(&m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	braces := message.Template{
		Body:   json.RawMessage(`{"app_id":"01EB37HMH1M6SV18ASNS3G135H","message":{"text_message":{"text":"` + text + `"}},"ttl":"86400s"}`),
		Syntax: message.SyntaxBraces, Scope: []string{"message"}, TextPaths: [][]string{{"message", "text_message", "text"}},
	}
	bench("braces", braces, message.Message{
		Body:   json.RawMessage(`{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550001111"}]}}}`),
		Params: map[string]string{"first": "Ann", "order": "A-1"},
	})
	keys := message.Template{
		Body:   json.RawMessage(`{"message":"` + strings.NewReplacer("${", "$", "}", "$").Replace(text) + `","messageType":"text","push":false}`),
		Syntax: message.SyntaxKeys, TextPaths: [][]string{{"message"}},
	}
	bench("keys", keys, message.Message{
		Body:   json.RawMessage(`{"receiver":"ann"}`),
		Params: map[string]string{"$first$": "Ann", "$order$": "A-1"},
	})
}

func TestParametersCannotMakeAContentOfAnySize(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20_000)
	for syntax, name := range map[message.Syntax]string{message.SyntaxBraces: "a", message.SyntaxKeys: "${a}"} {
		tpl := message.Template{Body: []byte(`{"text":"` + strings.Repeat("${a}", 1_000) + `"}`), Syntax: syntax, TextPaths: [][]string{{"text"}}}
		_, _, err := tpl.Render(&message.Message{Params: map[string]string{name: long}})
		var large *message.SizeError
		require.ErrorAs(t, err, &large, "%s", syntax)
		require.Equal(t, "text", large.Path)
		_, text, err := tpl.Render(&message.Message{Params: map[string]string{name: "xyz"}})
		require.NoError(t, err)
		require.Len(t, text, 3_000)
	}
	many := message.Template{Body: []byte(`{"a":["` + strings.Repeat(`${a}","`, 100) + `"]}`), Syntax: message.SyntaxBraces}
	_, _, err := many.Render(&message.Message{Params: map[string]string{"a": long}})
	require.ErrorContains(t, err, "a[52]: with its parameters the content has more than 1048576 bytes")
}

func TestAMessageThatWouldBeTooLargeIsRejectedAtAcceptance(t *testing.T) {
	t.Parallel()
	b := message.Batch{
		Template: message.Template{Body: []byte(`{"text":"` + strings.Repeat("${a}", 1_000) + `"}`), Syntax: message.SyntaxBraces},
		Messages: []message.Message{{Params: map[string]string{"a": strings.Repeat("x", 2_000)}}, {Params: map[string]string{"a": "x"}}},
	}
	r := message.Router{Routes: []message.Route{{Hops: []string{"one"}}}, Accounts: map[string]message.Policy{"one": {}}}
	r.Accept(&b, func(i int) string { return fmt.Sprintf("messages[%d].to", i) })
	require.Equal(t, message.Problems{{
		Index: 0, Path: "messages[0].to", Code: message.CodeTooLong, Detail: "with its parameters the content has more than 1048576 bytes",
	}}, b.Problems())
	require.Equal(t, -1, b.Messages[0].Route)
}
