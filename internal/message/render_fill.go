package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A fill returns a string with its placeholders filled in, and the name of the
// first one that has no value. It stops, and returns tooLarge, beyond MaxContent.
type fill func(s string) (out, missing string)

// tooLarge is no name of a parameter.
const tooLarge = "\x00"

// filler returns what fills in the strings of one message, or nil when nothing
// can change.
func (t *Template) filler(params map[string]string) fill {
	switch {
	case t.Syntax == SyntaxBraces:
		return func(s string) (string, string) {
			return fillBraces(s, func(name string) (string, bool) {
				v, ok := params[name]
				return v, ok
			})
		}
	case t.Syntax == SyntaxKeys && len(params) > 0:
		r := keyReplacer(params)
		return func(s string) (string, string) {
			b := bounded{room: MaxContent}
			if _, err := r.WriteString(&b, s); err != nil {
				return "", tooLarge
			}
			return b.String(), ""
		}
	default:
		return nil
	}
}

// fillBraces replaces every ${name}, from left to right.
func fillBraces(s string, value func(name string) (string, bool)) (out, missing string) {
	before, name, rest, found := cutPlaceholder(s)
	if !found {
		return s, ""
	}
	var b strings.Builder
	for ; found; before, name, rest, found = cutPlaceholder(rest) {
		b.WriteString(before)
		v, ok := value(name)
		if !ok {
			return "", name
		}
		if b.Len()+len(v) > MaxContent {
			return "", tooLarge
		}
		b.WriteString(v)
	}
	b.WriteString(before)
	return b.String(), ""
}

// cutPlaceholder cuts a text around its first ${name}; without one, before is all of
// it. A name is one or more characters other than $, { and }; anything else that looks
// like a placeholder is text.
func cutPlaceholder(s string) (before, name, rest string, found bool) {
	for from := 0; ; {
		start := strings.Index(s[from:], "${")
		if start < 0 {
			return s, "", "", false
		}
		from += start + len("${")
		end := strings.IndexAny(s[from:], "${}")
		if end > 0 && s[from+end] == '}' {
			return s[:from-len("${")], s[from : from+end], s[from+end+1:], true
		}
	}
}

// bounded is a text that takes no more than there is room for.
type bounded struct {
	strings.Builder
	room int
}

var errTooLarge = errors.New("too large")

// Write adds to the text.
func (b *bounded) Write(p []byte) (int, error) { return b.WriteString(string(p)) }

// WriteString adds to the text.
func (b *bounded) WriteString(s string) (int, error) {
	if b.room -= len(s); b.room < 0 {
		return 0, errTooLarge
	}
	return b.Builder.WriteString(s)
}

// keyReplacer replaces each parameter's whole key. Longer keys come first, so
// that no key hides in another.
func keyReplacer(params map[string]string) *strings.Replacer {
	keys := make([]string, 0, len(params))
	for k := range params {
		if k != "" {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		pairs = append(pairs, k, params[k])
	}
	return strings.NewReplacer(pairs...)
}

// substitute rewrites the strings inside a valid JSON value and leaves every
// other byte as it is.
func substitute(raw json.RawMessage, path string, f fill) (json.RawMessage, error) {
	if bytes.IndexByte(raw, '$') < 0 && !bytes.Contains(raw, []byte(`\u0024`)) {
		return raw, nil
	}
	w := rewriter{raw: raw, fill: f}
	w.out.Grow(len(raw) + len(raw)/4)
	if err := w.value(&jsonPath{key: path}); err != nil {
		return nil, err
	}
	w.out.Write(raw[w.i:])
	return w.out.Bytes(), nil
}

// jsonPath is where in the content a value stands; it becomes text only when
// something is wrong there.
type jsonPath struct {
	in    *jsonPath
	key   string
	index int // in an array; then key is empty
	item  bool
}

func (p *jsonPath) String() string {
	switch {
	case p.in == nil:
		return p.key
	case p.item:
		return p.in.String() + "[" + strconv.Itoa(p.index) + "]"
	default:
		return p.in.String() + "." + p.key
	}
}

// rewriter copies valid JSON to out and fills in its strings on the way.
type rewriter struct {
	raw  []byte
	i    int
	fill fill
	out  bytes.Buffer
}

// copyTo copies everything up to an index.
func (w *rewriter) copyTo(i int) {
	w.out.Write(w.raw[w.i:i])
	w.i = i
}

func (w *rewriter) space() { w.copyTo(skipSpace(w.raw, w.i)) }

func (w *rewriter) value(at *jsonPath) error {
	w.space()
	switch w.raw[w.i] {
	case '"':
		return w.text(at)
	case '{':
		return w.elements('}', func(int) error {
			end := EndOfString(w.raw, w.i)
			key := unquote(w.raw[w.i:end])
			w.copyTo(end)
			w.space()
			w.copyTo(w.i + 1) // the colon
			return w.value(&jsonPath{in: at, key: key})
		})
	case '[':
		return w.elements(']', func(n int) error { return w.value(&jsonPath{in: at, index: n, item: true}) })
	default:
		w.copyTo(EndOfValue(w.raw, w.i))
		return nil
	}
}

// elements copies what stands between brackets; each copies one element.
func (w *rewriter) elements(closing byte, each func(n int) error) error {
	w.copyTo(w.i + 1)
	for n := 0; ; n++ {
		if w.space(); w.raw[w.i] == closing {
			break
		}
		if err := each(n); err != nil {
			return err
		}
		if w.space(); w.raw[w.i] == ',' {
			w.copyTo(w.i + 1)
		}
	}
	w.copyTo(w.i + 1)
	return nil
}

func (w *rewriter) text(at *jsonPath) error {
	end := EndOfString(w.raw, w.i)
	s := unquote(w.raw[w.i:end])
	out, missing := w.fill(s)
	switch {
	case missing == tooLarge, w.out.Len()+len(out) > MaxContent && out != s:
		return &SizeError{Path: at.String()}
	case missing != "":
		return &ParameterError{Path: at.String(), Name: missing}
	case out == s:
		w.copyTo(end)
		return nil
	}
	w.i = end
	w.out.Write(AppendJSON(w.out.AvailableBuffer(), out))
	return nil
}
