package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"volley/internal/message"
)

// maxRowProblems is how many problems of one message are kept.
const maxRowProblems = 100

// volleyBatch is a batch that is being read, with what its messages need of it.
// Once the header is read, any number of goroutines may use it to read messages.
type volleyBatch struct {
	*message.Batch
	whole reader
	text  string
	// channels is the order of channels of messages without their own.
	channels []string
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

	params   params
	metadata *object
	// badParams means that params were given, but as no object.
	badParams bool
	// unreadable means that nothing but To is known.
	unreadable bool
	// line is where the message stands in the file, in formats in which the path
	// alone does not say it; otherwise 0.
	line int
}

// reset makes the row ready for the message at index.
func (r *volleyRow) reset(index, line int) {
	*r = volleyRow{reader: reader{index: index, most: maxRowProblems}, line: line, params: params{pairs: r.params.pairs[:0]}}
}

// given is the text of one optional field. The zero value is an absent one.
type given struct {
	// key is the field's name, and empty when the field is absent.
	key string
	// value counts only when ok; otherwise a problem has been reported.
	value string
	ok    bool
}

// place is the path of a field of the message, or of the header.
func (r *reader) place(key string) string {
	if r.index == message.WholeBatch {
		return key
	}
	return child(volleyPath(r.index), key)
}

// give takes a text out of an object with one of a reader's methods.
func give(o *object, key string, read func(node) (string, bool)) given {
	n, ok := o.take(key)
	if !ok {
		return given{}
	}
	s, ok := read(n)
	return given{key: key, value: s, ok: ok}
}

// readLine reads one line of JSON lines.
func (r *volleyRow) readLine(line []byte) {
	if r.readPlain(line) {
		return
	}
	r.reset(r.index, r.line)
	n, problems := openAny(line)
	if len(problems) > 0 {
		r.refuse(problems[0].Code, "%s", problems[0].Detail)
		return
	}
	r.readAny(n)
}

// refuse adds a problem of the message as such, of which then nothing is checked.
func (r *volleyRow) refuse(code, detail string, args ...any) {
	r.unreadable = true
	r.add(volleyPath(r.index), code, detail, args...)
}

// readItem reads one JSON message.
func (r *volleyRow) readItem(n node) {
	if r.readPlain(n.raw) {
		return
	}
	r.reset(r.index, r.line)
	r.readAny(n)
}

// readAny reads one JSON message that may hold anything, right or wrong.
func (r *volleyRow) readAny(n node) {
	n.path = volleyPath(r.index)
	o, ok := r.object(n)
	if !ok {
		r.unreadable = true
		return
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
}

// readParams reads the parameters. One that is no string still counts as given.
func (r *volleyRow) readParams(n node) {
	o, ok := r.object(n)
	if !ok {
		r.badParams = true
		return
	}
	r.params.named = make(map[string]string, len(o.fields))
	for _, f := range o.fields {
		r.params.named[f.key], _ = r.reader.text(f.node)
	}
}

// message checks a row and returns it as a message.
func (b *volleyBatch) message(r *volleyRow) message.Message {
	m := message.Message{To: r.to.value, Reference: r.reference.value}
	if !r.unreadable {
		b.fill(&m, r)
	}
	m.Problems = r.settled()
	return m
}

// settled are the problems of the row, each with its line.
func (r *volleyRow) settled() message.Problems {
	if len(r.problems) > 0 && r.line > 0 {
		place := fmt.Sprintf("line %d: ", r.line)
		for i := range r.problems {
			r.problems[i].Detail = place + r.problems[i].Detail
		}
	}
	return r.problems
}

func (b *volleyBatch) fill(m *message.Message, r *volleyRow) {
	if r.to.key == "" || r.to.ok && strings.TrimSpace(r.to.value) == "" {
		r.add(r.place("to"), message.CodeRequired, "a message needs a recipient")
	}
	if m.Channels = b.channels; r.channel.value != "" {
		m.Channels = []string{r.channel.value}
	}
	m.Due = r.moment(r.sendAfter, b.CreatedAt)
	m.TTL = r.span(r.ttl)
	needs := b.needs
	switch {
	case r.text.ok:
		m.Body = textBody(r.text.value)
		needs = placeholders(r.text.value)
	case r.text.key == "" && b.text == "" && !b.badText:
		r.add(r.place("text"), message.CodeRequired, "neither the message nor the batch has a text")
	}
	m.Params = r.used(needs)
	if r.metadata != nil {
		m.Metadata = overlaid(b.metadata, r.metadata)
	}
}

// used keeps the parameters that a text needs and reports those without a value.
// The others are dropped: they would make two messages with the same text look
// different.
func (r *volleyRow) used(needs []string) map[string]string {
	var used map[string]string
	for _, name := range needs {
		v, ok := r.params.get(name)
		switch {
		case ok && used == nil:
			used = make(map[string]string, len(needs))
			used[name] = v
		case ok:
			used[name] = v
		case !r.badParams:
			r.add(child(r.place("params"), name), message.CodeParameter, "the text has ${%s}, for which the message gives no value", name)
		}
	}
	return used
}

func volleyPath(index int) string { return "messages[" + strconv.Itoa(index) + "]" }

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
