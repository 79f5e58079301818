package dialect

// An internal test: what it tests has no exported name.

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	nested := func(levels int) string {
		return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
	}
	cases := map[string]struct{ body, code string }{
		"takes an object":                     {`{"a":1}`, ""},
		"takes an object with space around":   {" \n{}\t\r\n", ""},
		"takes a byte order mark":             {"\ufeff{}", ""},
		"takes brackets inside of strings":    {`{"a":"` + strings.Repeat("[", 200) + `\""}`, ""},
		"takes the deepest nesting allowed":   {nested(maxDepth), ""},
		"refuses one level more":              {nested(maxDepth + 1), message.CodeFormat},
		"refuses what the parser gives up on": {strings.Repeat("[", 100_000), message.CodeFormat},
		"refuses nothing at all":              {"", message.CodeFormat},
		"refuses only space":                  {" \n", message.CodeFormat},
		"refuses two values":                  {`{} {}`, message.CodeFormat},
		"refuses half a value":                {`{"a":`, message.CodeFormat},
		"refuses bytes that are not UTF-8":    {"{\"a\":\"\xff\"}", message.CodeFormat},
		"refuses an array":                    {`[]`, message.CodeType},
		"refuses null":                        {`null`, message.CodeType},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := open([]byte(c.body))
			if c.code == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Equal(t, c.code, problems[0].Code)
			require.Equal(t, message.WholeBatch, problems[0].Index)
			require.Empty(t, problems[0].Path)
			require.NotEmpty(t, problems[0].Detail)
		})
	}
}

func read(t *testing.T, body string) (*object, *reader) {
	t.Helper()
	n, problems := open([]byte(body))
	require.Empty(t, problems)
	r := &reader{index: 3}
	o, ok := r.object(n)
	require.True(t, ok)
	return o, r
}

func TestObject(t *testing.T) {
	t.Parallel()

	t.Run("keeps the order of keys and the bytes of values", func(t *testing.T) {
		t.Parallel()
		o, r := read(t, `{ "b" : 1.50e+3 , "a" : [ 1 , { "x" : "} ]" } ] , "\u0063" : "\u00e9\/" , "" : null }`)
		require.Empty(t, r.problems)
		var keys, values []string
		for _, f := range o.fields {
			keys, values = append(keys, f.key), append(values, string(f.raw))
		}
		require.Equal(t, []string{"b", "a", "c", ""}, keys)
		require.Equal(t, []string{"1.50e+3", `[1,{"x":"} ]"}]`, `"\u00e9\/"`, "null"}, values)
	})

	t.Run("reports a key that stands twice, however it is written, and keeps the first", func(t *testing.T) {
		t.Parallel()
		o, r := read(t, `{"a":1,"\u0061":2}`)
		require.Len(t, o.fields, 1)
		require.Equal(t, message.Problems{{Index: 3, Path: "a", Code: message.CodeConflict, Detail: "the key stands twice"}}, r.problems)
	})

	t.Run("finds the same among few keys and among many", func(t *testing.T) {
		t.Parallel()
		for _, count := range []int{1, manyKeys - 1, manyKeys, manyKeys + 1, 10 * manyKeys} {
			var b strings.Builder
			for i := range count {
				b.WriteString(`"k` + strconv.Itoa(i) + `":` + strconv.Itoa(i) + `,`)
			}
			o, r := read(t, `{`+b.String()+`"k0":7}`)
			require.Len(t, r.problems, 1)
			require.Len(t, o.fields, count)
			for i := range count {
				n, ok := o.take("k" + strconv.Itoa(i))
				require.True(t, ok)
				require.Equal(t, strconv.Itoa(i), string(n.raw))
			}
			_, ok := o.take("k" + strconv.Itoa(count))
			require.False(t, ok)
		}
	})

	t.Run("reads no more keys than allowed", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		for i := range maxKeys {
			b.WriteString(`"k` + strconv.Itoa(i) + `":0,`)
		}
		all := strings.TrimSuffix(b.String(), ",")
		o, r := read(t, `{`+all+`}`)
		require.Len(t, o.fields, maxKeys)
		require.Empty(t, r.problems)
		o, r = read(t, `{`+all+`,"more":0}`)
		require.Len(t, o.fields, maxKeys)
		require.Len(t, r.problems, 1)
		require.Equal(t, message.CodeTooMany, r.problems[0].Code)
	})

	t.Run("takes null as absent, and gets it as a value", func(t *testing.T) {
		t.Parallel()
		o, r := read(t, `{"a":null}`)
		_, ok := o.take("a")
		require.False(t, ok)
		n, ok := o.get("a")
		require.True(t, ok)
		require.True(t, n.isNull())
		r.refuseUnknown(o)
		require.Empty(t, r.problems)
	})

	t.Run("reports what nobody read, by its path", func(t *testing.T) {
		t.Parallel()
		o, r := read(t, `{"a":1,"b c":2,"d":3}`)
		o.take("a")
		r.refuseUnknown(o)
		require.Len(t, r.problems, 2)
		require.Equal(t, `["b c"]`, r.problems[0].Path)
		require.Equal(t, "d", r.problems[1].Path)
		require.Equal(t, message.CodeUnknownField, r.problems[1].Code)
	})
}

func TestReader(t *testing.T) {
	t.Parallel()
	object := func(r *reader, n node) bool { _, ok := r.object(n); return ok }
	array := func(r *reader, n node) bool { _, ok := r.array(n); return ok }
	text := func(r *reader, n node) bool { _, ok := r.text(n); return ok }
	filled := func(r *reader, n node) bool { _, ok := r.filled(n); return ok }
	upTo := func(r *reader, n node) bool { _, ok := r.upTo(n, 3); return ok }
	oneOf := func(r *reader, n node) bool { _, ok := r.oneOf(n, "x", "y"); return ok }
	boolean := func(r *reader, n node) bool { _, ok := r.boolean(n); return ok }
	integer := func(r *reader, n node) bool { _, ok := r.integer(n); return ok }
	cases := map[string]struct {
		read func(*reader, node) bool
		raw  string
		code string
		path string
	}{
		"an object is one":                      {object, `{}`, "", ""},
		"an array is no object":                 {object, `[]`, message.CodeType, "v"},
		"an array is one":                       {array, `[]`, "", ""},
		"a string is no array":                  {array, `"[]"`, message.CodeType, "v"},
		"a string is one":                       {text, `""`, "", ""},
		"a number is no string":                 {text, `1`, message.CodeType, "v"},
		"an empty string is not filled":         {filled, `""`, message.CodeTooShort, "v"},
		"three characters are three, not bytes": {upTo, `"äöü"`, "", ""},
		"four characters are more than three":   {upTo, `"abcd"`, message.CodeTooLong, "v"},
		"one of the words is one of them":       {oneOf, `"y"`, "", ""},
		"another word is none of them":          {oneOf, `"X"`, message.CodeEnum, "v"},
		"true is a boolean":                     {boolean, `true`, "", ""},
		"a quoted boolean is none":              {boolean, `"true"`, message.CodeType, "v"},
		"an integer is one":                     {integer, `-12`, "", ""},
		"a fraction is no integer":              {integer, `1.5`, message.CodeType, "v"},
		"an integer beyond 64 bits is none":     {integer, `9223372036854775808`, message.CodeType, "v"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reader{index: 2}
			ok := c.read(r, node{path: "v", raw: []byte(c.raw)})
			require.Equal(t, c.code == "", ok)
			if c.code == "" {
				require.Empty(t, r.problems)
				return
			}
			require.Len(t, r.problems, 1)
			require.Equal(t, c.code, r.problems[0].Code)
			require.Equal(t, c.path, r.problems[0].Path)
			require.Equal(t, 2, r.problems[0].Index)
		})
	}

	t.Run("no more problems are kept than anybody reads", func(t *testing.T) {
		t.Parallel()
		for given, most := range map[int]int{0: maxProblems, 3: 3} {
			r := &reader{most: given}
			for range most + 1 {
				r.wrong(node{path: "v", raw: []byte("1")}, "a string")
			}
			require.Len(t, r.problems, most)
		}
	})

	t.Run("an array is not read when it has more items than allowed", func(t *testing.T) {
		t.Parallel()
		n := node{path: "v", raw: []byte(`["a,]",[1,2],{"b":[]},4]`)}
		r := &reader{}
		items, ok := r.atMost(n, 4)
		require.True(t, ok)
		require.Len(t, items, 4)
		_, ok = r.atMost(n, 3)
		require.False(t, ok)
		require.Len(t, r.problems, 1)
		require.Equal(t, message.CodeTooMany, r.problems[0].Code)
		_, ok = r.atMost(node{path: "v", raw: []byte(`{}`)}, 3)
		require.False(t, ok)
		require.Equal(t, message.CodeType, r.problems[1].Code)
	})

	t.Run("an array's items have their place in their path", func(t *testing.T) {
		t.Parallel()
		items, ok := (&reader{}).array(node{path: "v", raw: []byte(`[1,"a,]",[2],{}]`)})
		require.True(t, ok)
		require.Len(t, items, 4)
		require.Equal(t, node{path: "v[1]", raw: []byte(`"a,]"`)}, items[1])
	})
}

func TestChild(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a", child("", "a"))
	require.Equal(t, "a.$b$", child("a", "$b$"))
	require.Equal(t, `a["b.c"]`, child("a", "b.c"))
	require.Equal(t, `a[""]`, child("a", ""))
	require.Len(t, child("", strings.Repeat("ä", 5_000)), len(`[""]`)+100+len("…"))
}
