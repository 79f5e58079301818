package dialect

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// Bounds that keep a request from costing more than its size.
const (
	// maxDepth is how deep a request may be nested; the request itself is level 1.
	maxDepth = 100
	// maxKeys is the most keys of one object that is read.
	maxKeys = 10_000
	// maxProblems is how many problems of the whole are kept, and how many of all
	// messages of a request together. Beyond it each message keeps its first.
	maxProblems = 20_000
)

// budget is how many more problems of a request's messages may be kept; it begins with
// maxProblems.
type budget int

// each is how many problems of the next message may be kept.
func (a *budget) each() int { return max(int(*a), 1) }

// spend returns as many of a message's problems as the budget allows, and at least one,
// so that the message stays rejected.
func (a *budget) spend(problems message.Problems) message.Problems {
	n := min(len(problems), a.each())
	*a -= budget(n)
	if n == len(problems) {
		return problems
	}
	return slices.Clone(problems[:n]) // lets go of the others
}

// messagesOf reads the items of a list, one message each, with as many problems as the request
// may have. It is false where the request is given up.
func messagesOf(items []node, o Options, read func(*reader, *object) message.Message) ([]message.Message, bool) {
	all := make([]message.Message, len(items))
	room := budget(maxProblems)
	for i, item := range items {
		if o.ended() {
			return nil, false
		}
		r := &reader{index: i, most: room.each()}
		r.characters(item, "")
		if object, ok := r.object(item); ok {
			all[i] = read(r, object)
		}
		all[i].Problems = room.spend(r.problems)
	}
	return all, true
}

// node is one value of a JSON request that open has checked, and its place in it.
// raw has no space between its tokens; every other byte is the caller's.
type node struct {
	path string
	raw  json.RawMessage
}

// open reads a request that must be one JSON object in UTF-8, nested at most
// maxDepth deep. Otherwise it returns one problem of the whole, without a path.
func open(body []byte) (node, message.Problems) {
	n, problems := openAny(body)
	if problems == nil && n.kind() != "an object" {
		problems.Add(message.WholeBatch, "", message.CodeType, "expected an object, got %s", n.kind())
	}
	return n, problems
}

// openAny is open for a request that may be any JSON value.
func openAny(body []byte) (node, message.Problems) {
	var problems message.Problems
	unreadable := func(detail string, args ...any) (node, message.Problems) {
		problems.Add(message.WholeBatch, "", message.CodeFormat, detail, args...)
		return node{}, problems
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if len(bytes.TrimSpace(body)) == 0 {
		return unreadable("expected JSON, the request is empty")
	}
	if !utf8.Valid(body) {
		return unreadable("expected JSON in UTF-8")
	}
	var compact bytes.Buffer
	compact.Grow(len(body))
	if err := json.Compact(&compact, body); err != nil {
		return unreadable("expected one JSON value: %v", err)
	}
	if depth(compact.Bytes()) > maxDepth {
		return unreadable("nested deeper than %d levels", maxDepth)
	}
	return node{raw: compact.Bytes()}, nil
}

// kind names the value's type for a person.
func (n node) kind() string {
	switch n.raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func (n node) isNull() bool { return n.raw[0] == 'n' }

// maxPath is from how many bytes on a path does not grow: what is deeper has the place
// of what it is in.
const maxPath = 500

// child is the path of a key. A key that would not read well after a dot stands
// in brackets and quotes.
func child(path, key string) string {
	if len(path) > maxPath {
		return path
	}
	if key == "" || len(key) > 100 || strings.ContainsFunc(key, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`.[]"\`, r)
	}) {
		if len(key) > 100 {
			key = strings.ToValidUTF8(key[:100], "") + "…"
		}
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// element is the path of an item of an array.
func element(path string, i int) string {
	if len(path) > maxPath {
		return path
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

// reader reads values and collects what is wrong with them: the problems of one
// message, or of the whole batch.
type reader struct {
	// index is the message's position, or message.WholeBatch.
	index    int
	problems message.Problems
	// most is how many problems are kept; 0 is maxProblems.
	most int
	// bare collects the strings that parameters may leave empty; nil collects nothing.
	bare *[]bareString
}

func (r *reader) add(path, code, detail string, args ...any) {
	if !r.full(maxProblems) {
		r.problems.Add(r.index, path, code, detail, args...)
	}
}

// full reports whether there are so many problems already, or as many as are kept.
func (r *reader) full(most int) bool {
	return len(r.problems) >= most || r.most > 0 && len(r.problems) >= r.most
}

func (r *reader) wrong(n node, expected string) {
	r.add(n.path, message.CodeType, "expected %s, got %s", expected, n.kind())
}

// object reads an object. A key that stands twice is a conflict, since nobody
// can say which value was meant. More than maxKeys are a problem, and the rest is
// left unread.
func (r *reader) object(n node) (*object, bool) {
	if n.raw[0] != '{' {
		r.wrong(n, "an object")
		return nil, false
	}
	o := &object{path: n.path}
	for i := 1; n.raw[i] != '}'; {
		if len(o.fields) == maxKeys {
			r.add(n.path, message.CodeTooMany, "at most %d keys", maxKeys)
			break
		}
		end := message.EndOfString(n.raw, i)
		key := unquote(n.raw[i:end])
		i = end + 1 // past the colon
		end = message.EndOfValue(n.raw, i)
		f := field{key: key, node: node{path: child(n.path, key), raw: n.raw[i:end:end]}}
		if o.add(f) {
			r.add(f.path, message.CodeConflict, "the key stands twice")
		}
		i = nextElement(n.raw, end)
	}
	return o, true
}

// isArray reports whether a value is an array, and the problem where it is none.
func (r *reader) isArray(n node) bool {
	if n.raw[0] != '[' {
		r.wrong(n, "an array")
		return false
	}
	return true
}

// each reads the items of an array one by one.
func (r *reader) each(n node, read func(item node)) bool {
	if !r.isArray(n) {
		return false
	}
	at := 0
	for i := 1; n.raw[i] != ']'; at++ {
		end := message.EndOfValue(n.raw, i)
		read(node{path: element(n.path, at), raw: n.raw[i:end:end]})
		i = nextElement(n.raw, end)
	}
	return true
}

// array reads the items of an array, which costs many times what they have as bytes:
// where there may be any number of them, each does.
func (r *reader) array(n node) ([]node, bool) {
	items := []node{}
	if !r.each(n, func(item node) { items = append(items, item) }) {
		return nil, false
	}
	return items, true
}

// atMost is array for one of at most limit items; of a longer one it reads none.
func (r *reader) atMost(n node, limit int) ([]node, bool) {
	if n.raw[0] == '[' {
		if count := countItems(n.raw); count > limit {
			r.add(n.path, message.CodeTooMany, "at most %d, got %d", limit, count)
			return nil, false
		}
	}
	return r.array(n)
}

// text reads a string.
func (r *reader) text(n node) (string, bool) {
	if n.raw[0] != '"' {
		r.wrong(n, "a string")
		return "", false
	}
	return unquote(n.raw), true
}

// filled reads a string that must not be empty.
func (r *reader) filled(n node) (string, bool) {
	s, ok := r.text(n)
	if ok && s == "" {
		r.add(n.path, message.CodeTooShort, "must not be empty")
		ok = false
	}
	if ok && r.bare != nil && bareText(s) {
		*r.bare = append(*r.bare, bareString{path: n.path, needs: placeholders(s)})
	}
	return s, ok
}

// upTo reads a string of at most limit characters (Unicode code points).
func (r *reader) upTo(n node, limit int) (string, bool) {
	s, ok := r.text(n)
	if c := utf8.RuneCountInString(s); c > limit {
		r.add(n.path, message.CodeTooLong, "at most %d characters, got %d", limit, c)
		ok = false
	}
	return s, ok
}

// oneOf reads a string that must be one of a few.
func (r *reader) oneOf(n node, allowed ...string) (string, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	for _, a := range allowed {
		if s == a {
			return s, true
		}
	}
	r.add(n.path, message.CodeEnum, "expected one of %s", strings.Join(allowed, ", "))
	return "", false
}

// boolean reads true or false.
func (r *reader) boolean(n node) (value, ok bool) {
	if n.kind() != "a boolean" {
		r.wrong(n, "a boolean")
		return false, false
	}
	return n.raw[0] == 't', true
}

// integer reads a whole number that fits an int64.
func (r *reader) integer(n node) (int64, bool) {
	if n.kind() != "a number" {
		r.wrong(n, "an integer")
		return 0, false
	}
	v, err := strconv.ParseInt(string(n.raw), 10, 64)
	if err != nil {
		r.add(n.path, message.CodeType, "expected an integer, got %.40s", n.raw)
		return 0, false
	}
	return v, true
}

// callback reads an address to which events are posted.
func (r *reader) callback(n node) string {
	s, ok := r.filled(n)
	if !ok {
		return ""
	}
	return r.address(n.path, s)
}

// address checks an address for events; a bad one is a problem, and empty.
func (r *reader) address(path, s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		r.add(path, message.CodeFormat, "expected an address such as https://example.com/events, without a password or a fragment")
	case len(s) > maxCallback:
		r.add(path, message.CodeTooLong, "an address has at most %d bytes, got %d", maxCallback, len(s))
	default:
		return s
	}
	return ""
}

// maxCallback is the longest address for events.
const maxCallback = 2000

// required is take with a problem where the key is absent or null.
func (r *reader) required(o *object, key string) (node, bool) {
	n, ok := o.take(key)
	if !ok {
		r.add(child(o.path, key), message.CodeRequired, "is required")
	}
	return n, ok
}

// refuseUnknown reports every key that nobody has read.
func (r *reader) refuseUnknown(o *object) {
	for _, f := range o.fields {
		if !f.read {
			r.add(f.path, message.CodeUnknownField, "no field of this name is known here")
		}
	}
}
