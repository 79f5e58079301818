package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"volley/internal/message"
)

// volleyBatch is a batch that is being read, with what its messages need of it.
type volleyBatch struct {
	*message.Batch
	whole   reader
	text    string
	channel string
	// badText means that the header's text is a problem already.
	badText bool
	// needs are the parameters of the batch's own text.
	needs    []string
	metadata *object
}

// volleyRow is one message as a document, a line or a row gave it, before its
// times are read and its text is checked.
type volleyRow struct {
	reader
	to, reference, channel, text, sendAfter, ttl given

	params   map[string]string
	metadata *object
	// badParams means that params were given, but as no object.
	badParams bool
	// unreadable means that nothing but To is known.
	unreadable bool
	// place says where the message stands in the file, as "line 3: ", in formats
	// in which the path alone does not.
	place string
}

// given is the text of one optional field. The zero value is an absent one.
type given struct {
	// path is empty when the field is absent.
	path string
	// value counts only when ok; otherwise a problem has been reported.
	value string
	ok    bool
}

// give takes a text out of an object with one of a reader's methods.
func give(o *object, key string, read func(node) (string, bool)) given {
	n, ok := o.take(key)
	if !ok {
		return given{}
	}
	s, ok := read(n)
	return given{path: n.path, value: s, ok: ok}
}

// volleyLine reads one line of JSON lines as the message at index.
func volleyLine(line []byte, index, number int) volleyRow {
	place := fmt.Sprintf("line %d: ", number)
	n, problems := openAny(line)
	if len(problems) > 0 {
		r := volleyRow{reader: reader{index: index}, place: place, unreadable: true}
		r.add(volleyPath(index), problems[0].Code, "%s", problems[0].Detail)
		return r
	}
	n.path = volleyPath(index)
	r := volleyItem(n, index)
	r.place = place
	return r
}

// volleyItem reads one JSON message.
func volleyItem(n node, index int) volleyRow {
	r := volleyRow{reader: reader{index: index}}
	o, ok := r.object(n)
	if !ok {
		r.unreadable = true
		return r
	}
	r.to = give(o, "to", r.reader.text)
	r.reference = give(o, "reference", r.reader.text)
	r.channel = give(o, "channel", r.filled)
	r.text = give(o, "text", r.filled)
	r.sendAfter = give(o, "sendAfter", r.reader.text)
	r.ttl = give(o, "ttl", r.reader.text)
	if n, ok := o.take("params"); ok {
		r.readParams(n)
	}
	if n, ok := o.take("metadata"); ok {
		r.metadata, _ = r.object(n)
	}
	r.refuseUnknown(o)
	return r
}

// readParams reads the parameters. One that is no string still counts as given.
func (r *volleyRow) readParams(n node) {
	o, ok := r.object(n)
	if !ok {
		r.badParams = true
		return
	}
	r.params = make(map[string]string, len(o.fields))
	for _, f := range o.fields {
		r.params[f.key], _ = r.reader.text(f.node)
	}
}

// append checks a row and adds it as the next message.
func (b *volleyBatch) append(r volleyRow) {
	m := message.Message{To: r.to.value, Reference: r.reference.value}
	if !r.unreadable {
		b.fill(&m, &r)
	}
	for i := range r.problems {
		r.problems[i].Detail = r.place + r.problems[i].Detail
	}
	m.Problems = r.problems
	b.Messages = append(b.Messages, m)
}

func (b *volleyBatch) fill(m *message.Message, r *volleyRow) {
	path := volleyPath(r.index)
	if r.to.path == "" || r.to.ok && strings.TrimSpace(r.to.value) == "" {
		r.add(path+".to", message.CodeRequired, "a message needs a recipient")
	}
	if ch := first(r.channel.value, b.channel); ch != "" {
		m.Channels = []string{ch}
	}
	m.Due = r.moment(r.sendAfter, b.CreatedAt)
	m.TTL = r.span(r.ttl)
	needs := b.needs
	switch {
	case r.text.ok:
		m.Body = textBody(r.text.value)
		needs = placeholders(r.text.value)
	case r.text.path == "" && b.text == "" && !b.badText:
		r.add(path+".text", message.CodeRequired, "neither the message nor the batch has a text")
	}
	m.Params = r.used(path, needs)
	if r.metadata != nil {
		m.Metadata = overlaid(b.metadata, r.metadata)
	}
}

// used keeps the parameters that a text needs and reports those without a value.
// The others are dropped: they would make two messages with the same text look
// different.
func (r *volleyRow) used(path string, needs []string) map[string]string {
	var used map[string]string
	for _, name := range needs {
		v, ok := r.params[name]
		switch {
		case ok && used == nil:
			used = map[string]string{name: v}
		case ok:
			used[name] = v
		case !r.badParams:
			r.add(child(path+".params", name), message.CodeParameter, "the text has ${%s}, for which the message gives no value", name)
		}
	}
	return used
}

func volleyPath(index int) string { return fmt.Sprintf("messages[%d]", index) }

// placeholder is ${name} as message.Template fills it in.
var placeholder = regexp.MustCompile(`\$\{([^{}$]+)\}`)

// placeholders lists the names in a text, each once, in the order of their first
// use.
func placeholders(text string) []string {
	var names []string
	seen := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			names = append(names, m[1])
		}
	}
	return names
}

func textBody(text string) json.RawMessage {
	return append(append([]byte(`{"text":`), quoted(text)...), '}')
}

// quoted writes a JSON string without escaping <, > and &.
func quoted(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimRight(b.Bytes(), "\n")
}

// overlaid is an object with the keys of over laid over those of under, which may
// be nil.
func overlaid(under, over *object) json.RawMessage {
	var b bytes.Buffer
	write := func(f field) {
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.Write(quoted(f.key))
		b.WriteByte(':')
		b.Write(f.raw)
	}
	if under != nil {
		for _, f := range under.fields {
			if n, ok := over.get(f.key); ok {
				f.node = n
			}
			write(f)
		}
	}
	for _, f := range over.fields {
		if under != nil {
			if _, ok := under.find(f.key); ok {
				continue
			}
		}
		write(f)
	}
	if b.Len() == 0 {
		return json.RawMessage("{}")
	}
	b.WriteByte('}')
	return b.Bytes()
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
