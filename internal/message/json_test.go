package message_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// plain are the characters that Go's encoder escapes and people do not.
const plain = "<&>\u2028\u2029"

func TestEncodeJSONLeavesCharactersAsTheyAre(t *testing.T) {
	t.Parallel()
	value := map[string]any{
		plain: plain, "raw": json.RawMessage(`{"a":"` + plain + `","b":"\u003c\\u0026"}`), "n": json.Number("1.50"), "control": "\x01\"\\\t",
	}
	raw, err := message.EncodeJSON(value)
	require.NoError(t, err)
	require.Equal(t, `{"`+plain+`":"`+plain+`","control":"\u0001\"\\\t","n":1.50,"raw":{"a":"`+plain+`","b":"<\\u0026"}}`, string(raw))

	_, err = message.EncodeJSON(json.RawMessage("{"))
	require.Error(t, err)
}

func TestPlainJSONTakesOutGosEscapesAlone(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		`"\u003c\u0026\u003e\u2028\u2029"`: `"` + plain + `"`,
		`{"\u003c":["\u0026"]}`:            `{"<":["&"]}`,
		`"\\u0026"`:                        `"\\u0026"`,
		`"\\\u0026"`:                       `"\\&"`,
		`"\\\\u0026\""`:                    `"\\\\u0026\""`,
		`"\u003C\u00e9\u0022\/\n"`:         `"\u003C\u00e9\u0022\/\n"`,
		`"\ud83d\udc4b\u0026"`:             `"\ud83d\udc4b&"`,
		`"x\\"`:                            `"x\\"`,
		`1`:                                `1`,
		``:                                 ``,
	}
	for in, want := range cases {
		require.Equal(t, want, string(message.PlainJSON([]byte(in))), in)
	}
}

// decoded reads JSON with numbers as they are written: valid ones may be too large
// for a float64.
func decoded(t *testing.T, raw []byte) (v any) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&v))
	return v
}

func FuzzPlainJSON(f *testing.F) {
	f.Add(`{"a\u003c":"\\\u0026\"\u2028"}`, plain)
	f.Fuzz(func(t *testing.T, raw, text string) {
		var quoted string
		require.NoError(t, json.Unmarshal(message.AppendJSON(nil, text), &quoted))
		require.Equal(t, []rune(text), []rune(quoted))
		if !json.Valid([]byte(raw)) {
			return
		}
		require.Equal(t, decoded(t, []byte(raw)), decoded(t, message.PlainJSON([]byte(raw))))
	})
}

// What Temporal and the store keep has Go's escapes; what leaves does not.
func TestRenderTakesOutWhatTheWayAddedToTheContent(t *testing.T) {
	t.Parallel()
	before := message.Template{Body: json.RawMessage(`{"a":"` + plain + `","t":"${p}"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"a"}}}
	m := message.Message{Body: json.RawMessage(`{"b":{"` + plain + `":["` + plain + `"]}}`), Params: map[string]string{"p": plain}}
	raw, err := json.Marshal(before)
	require.NoError(t, err)
	var after message.Template
	require.NoError(t, json.Unmarshal(raw, &after))
	raw, err = json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &m))

	content, text, err := after.Render(&m)
	require.NoError(t, err)
	require.Equal(t, `{"a":"`+plain+`","t":"`+plain+`","b":{"`+plain+`":["`+plain+`"]}}`, string(content))
	require.Equal(t, plain, text)
}

func TestATextIsQuotedAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": `""`, "a b~": `"a b~"`, `"\`: `"\"\\"`, "\b\f\n\r\t": `"\b\f\n\r\t"`, "\x00\x1f \x7f": `"\u0000\u001f ` + "\x7f\"",
		"é€😀": `"é€😀"`, plain: `"` + plain + `"`, "a\xffb\xc3": `"a�b�"`, "a\ufffdb": `"a�b"`, "\xe2\x82": `"��"`,
	} {
		require.Equal(t, want, string(message.AppendJSON(nil, text)), "%q", text)
	}
}
