package dialect

import (
	"strings"

	"volley/internal/message"
)

// imkitParas is the cap on paras where Options gives none; IMKIT names no limit.
const imkitParas = 1000

// imkitText is the messageType of plain text.
const imkitText = "text"

// imkit decodes one request of IMKIT's POST /messages/batch.
type imkit struct {
	reader
	options Options
	batch   *message.Batch
	// kind is the messageType.
	kind string
	// strings are those of the message that may hold a pattern, one behind the
	// other, and used what is known of patterns.
	strings string
	used    map[string]bool
	// text is that of a message of plain text.
	text  string
	notes textNotes
}

func decodeIMKIT(body []byte, o Options) (*message.Batch, message.Problems) {
	root, problems := open(body)
	if problems != nil {
		return nil, problems
	}
	k := &imkit{
		reader:  reader{index: message.WholeBatch},
		options: o,
		batch: &message.Batch{
			V: message.Version, Dialect: "imkit", CreatedAt: o.Now, Account: o.Account,
		},
	}
	k.problems = ownTimes(k.batch, o)
	request, _ := k.object(root)
	k.characters(root, "paras")
	k.message(request)
	k.template(request)
	if n, ok := k.required(request, "paras"); ok {
		k.paras(n)
	}
	if k.batch == nil {
		return nil, k.problems
	}
	k.batch.Warnings = k.notes.unusedIn("paras")
	return k.batch, k.problems
}

// message checks the fields of the message that have a meaning here. All others
// pass through unread.
func (k *imkit) message(request *object) {
	if n, ok := k.required(request, "messageType"); ok {
		k.kind, _ = k.filled(n)
	}
	if n, ok := k.required(request, "message"); ok && k.kind == imkitText {
		k.text, _ = k.filled(n)
	}
	if n, ok := request.take("sender"); ok {
		if k.options.MaySetSender {
			k.filled(n)
		} else {
			k.add(n.path, message.CodeConflict, "this caller may not name a sender")
		}
	}
	for _, key := range []string{"push", "skipTotalBadge"} {
		if n, ok := request.take(key); ok {
			k.boolean(n)
		}
	}
	if n, ok := request.get("batchID"); ok {
		k.add(n.path, message.CodeConflict, "batchID is reserved")
	}
	for _, key := range []string{"receiver", "room"} {
		if n, ok := request.get(key); ok {
			k.add(n.path, message.CodeConflict, "%s belongs into the items of paras", key)
		}
	}
}

// template keeps the message's fields in the caller's order and the caller's
// bytes, and writes out the two defaults, since a single send at IMKIT has
// another one for push.
func (k *imkit) template(request *object) {
	var (
		shared builder
		scope  []string
	)
	defaults := map[string]bool{"push": true, "skipTotalBadge": true}
	for _, f := range request.fields {
		if f.key == "paras" || f.isNull() && (f.key == "sender" || defaults[f.key]) {
			continue
		}
		delete(defaults, f.key)
		shared.add(f.key, f.raw)
		scope = append(scope, f.key)
	}
	for _, key := range []string{"push", "skipTotalBadge"} {
		if defaults[key] {
			shared.add(key, []byte("false"))
		}
	}
	k.batch.Template = message.Template{Body: shared.object(), Syntax: message.SyntaxKeys, Scope: scope}
	if k.kind == imkitText {
		// Of any other type the message is at most a part of the content.
		k.batch.Template.TextPaths = [][]string{{"message"}}
	}
	// The body was built here and is an object.
	all, _ := k.batch.Template.Strings()
	k.strings, k.used = strings.Join(all, "\x00"), map[string]bool{}
}

func (k *imkit) paras(n node) {
	limit := k.options.IMKITParas
	if limit <= 0 {
		limit = imkitParas
	}
	items, ok := k.atMost(n, limit)
	if !ok {
		return
	}
	if len(items) == 0 {
		k.add(n.path, message.CodeTooFew, "at least 1 para")
		return
	}
	if k.batch.Messages, ok = messagesOf(items, k.options, k.para); !ok {
		k.batch, k.problems = givenUp()
	}
}

// para reads one item of paras: whom it is for, and values for patterns. It keeps
// the values that the message uses.
func (k *imkit) para(r *reader, o *object) message.Message {
	var m message.Message
	key, to := k.addressee(r, o)
	if key != "" {
		var own builder
		own.add(key, to.raw)
		m.To, m.Body = unquote(to.raw), own.object()
		if key == "room" {
			m.Reach([]message.Address{{Kind: message.KindRoom, Value: m.To}})
		}
	}
	for i := range o.fields {
		f := &o.fields[i]
		if !isPattern(f.key) {
			continue
		}
		f.read = true
		v, ok := r.text(f.node)
		if ok && !k.uses(f.key) {
			k.notes.param(0, f.key, nil)
			continue
		}
		if ok {
			if m.Params == nil {
				m.Params = map[string]string{}
			}
			m.Params[f.key] = v
		}
	}
	if k.isEmpty(m.Params) {
		r.add(o.path, message.CodeTooShort, "message is empty with these patterns")
	}
	for _, f := range o.fields {
		if !f.read {
			r.add(f.path, message.CodeUnknownField, "expected receiver, room or a pattern, which has a $ at both ends")
		}
	}
	return m
}

// isEmpty reports whether nothing is left of the text once its patterns are filled
// in. Only a value that is blank can do that.
func (k *imkit) isEmpty(params map[string]string) bool {
	for _, v := range params {
		if !isBlank(v) {
			return false
		}
	}
	if len(params) == 0 || k.text == "" || len(k.text) > imkitSearched {
		return false
	}
	text := k.text
	for pattern := range params {
		text = strings.ReplaceAll(text, pattern, "")
	}
	return isBlank(text)
}

// addressee is the room, or else the receiver. An empty string counts as absent,
// and a receiver beside a room is not looked at, as IMKIT ignores it.
func (k *imkit) addressee(r *reader, o *object) (key string, to node) {
	o.get("receiver") // is read, even where a room stands beside it
	for _, name := range []string{"room", "receiver"} {
		n, ok := o.take(name)
		if !ok {
			continue
		}
		s, ok := r.text(n)
		if !ok {
			return "", node{}
		}
		if s != "" {
			return name, n
		}
	}
	r.add(o.path, message.CodeRequired, "expected a receiver or a room")
	return "", node{}
}

// Bounds of the search for patterns: beyond them every value is kept.
const (
	imkitSearched = 64 << 10
	imkitPatterns = 1000
)

// uses reports whether the message has a pattern in it. A value that is kept
// without need does no harm but to the size of the batch.
func (k *imkit) uses(pattern string) bool {
	used, known := k.used[pattern]
	if !known {
		if len(k.strings) > imkitSearched || len(k.used) == imkitPatterns {
			return true
		}
		used = strings.Contains(k.strings, pattern)
		k.used[pattern] = used
	}
	return used
}

// isPattern reports whether a key of a para is a pattern: a $ at both ends and
// something between them.
func isPattern(key string) bool {
	return len(key) > 2 && key[0] == '$' && key[len(key)-1] == '$'
}
