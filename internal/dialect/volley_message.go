package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

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
	// needs are the parameters of the batch's own text, and bare means that nothing
	// else of it is seen.
	needs    []string
	bare     bool
	metadata *object
	// encoding is the file's, for problems of rows that are not in it.
	encoding string
	// isCSV means that the columns told all there is to warn of, in warnings.
	isCSV    bool
	warnings message.Problems
	columns  *csvLayout // nil for JSON
}

// volleyRow is one message as a document, a line or a row gave it, before its
// times are read and its text is checked.
type volleyRow struct {
	reader
	to, reference, channel, text, sendAfter, ttl optionalField
	// addresses are the ways to reach the recipient where to is an object; the first is
	// in to as well.
	addresses []message.Address

	params   params
	metadata *object
	// badParams means that params were given, but as no object, and badValue that one
	// of them is no string.
	badParams, badValue bool
	// unreadable means that nothing but To is known, or is to be known.
	unreadable bool
	// noTo says why no row of the file has a recipient; empty is that it may have one.
	noTo string
	// notes is where parameters and texts are noted; nil is nowhere.
	notes *textNotes
	// skips is where values of columns that leave rows out are noted; nil is nowhere.
	skips *skipNotes
	// line is where the message stands in the file, in formats in which the path
	// alone does not say it; otherwise 0.
	line int
	// size is how many bytes of the request the message is.
	size int
}

// reset makes the row ready for the message at index.
func (r *volleyRow) reset(index, line int) {
	*r = volleyRow{
		reader: reader{index: index, most: maxRowProblems}, line: line, notes: r.notes, skips: r.skips, params: params{pairs: r.params.pairs[:0]},
	}
}

// optionalField is the text of one optional field. The zero value is an absent one.
type optionalField struct {
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

// readOptional takes a text out of an object with one of a reader's methods.
func readOptional(o *object, key string, read func(node) (string, bool)) optionalField {
	n, ok := o.take(key)
	if !ok {
		return optionalField{}
	}
	s, ok := read(n)
	return optionalField{key: key, value: s, ok: ok}
}

// readLine reads one line of JSON lines in a file of that encoding.
func (r *volleyRow) readLine(line []byte, encoding string) {
	if r.readPlain(line) {
		return
	}
	r.reset(r.index, r.line)
	r.size = len(line)
	if !utf8.Valid(line) {
		r.refuse(message.CodeFormat, "the line is not in %s", encoding)
		return
	}
	n, problems := openAny(line)
	if len(problems) > 0 {
		r.refuse(problems[0].Code, "%s", problems[0].Detail)
		return
	}
	r.readAny(n)
}

// refuse adds a problem of the whole message; nothing else of it is then checked.
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
	r.size = len(n.raw)
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
	r.characters(n, "")
	r.readTo(o)
	r.reference = readOptional(o, "reference", r.reader.text)
	r.channel = readOptional(o, "channel", r.filled)
	r.text = readOptional(o, "text", r.filled)
	r.sendAfter = readOptional(o, "sendAfter", r.reader.text)
	r.ttl = readOptional(o, "ttl", r.reader.text)
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
		v, ok := r.reader.text(f.node)
		r.params.named[f.key] = v
		r.badValue = r.badValue || !ok
	}
}

// message checks a row and returns it as a message.
func (b *volleyBatch) message(r *volleyRow) message.Message {
	m := message.Message{To: r.to.value, Reference: r.reference.value, Line: r.line}
	if !r.unreadable {
		b.fill(&m, r)
	}
	m.Problems = r.settled()
	return m
}

// settled returns the problems of the row, each with its line.
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
	switch m.Channels = b.channels; {
	case len(r.channel.value) > maxChannel:
		r.add(r.place("channel"), message.CodeTooLong, tooLongChannel, maxChannel, len(r.channel.value))
	case r.channel.value != "":
		m.Channels = []string{r.channel.value}
	}
	if len(r.addresses) > 0 {
		b.fillAddresses(m, r)
	} else {
		b.fillTo(m, r)
	}
	m.Due = r.readTime(r.sendAfter, b.CreatedAt)
	m.TTL = r.span(r.ttl)
	needs, bare := b.needs, b.bare
	switch {
	case r.text.ok:
		m.Body = textBody(r.text.value)
		needs, bare = placeholders(r.text.value), bareText(r.text.value)
		if len(needs) > maxNames {
			r.add(r.place("text"), message.CodeTooMany, tooManyNames, maxNames)
			needs, bare = nil, false
		}
		if r.notes != nil {
			r.notes.ownText(r.index, r.text.value)
		}
	case r.text.key == "" && b.text == "" && !b.badText:
		r.add(r.place("text"), message.CodeRequired, "neither the message nor the batch has a text")
	}
	m.Params = r.used(needs)
	if bare && len(m.Params) == len(needs) && !r.badValue {
		r.refuseEmpty(needs, m.Params)
	}
	if r.notes != nil {
		r.notes.add(&r.params, needs)
	}
	if r.metadata != nil && r.mayRepeat(len(b.Metadata)) {
		m.Metadata = merge(b.metadata, r.metadata)
	}
}

// maxMissing is how many parameters are reported that a message lacks: each costs more
// than a whole message may have bytes.
const maxMissing = 10

const (
	// A message with metadata of its own repeats the batch's. That costs nothing up to
	// repeatFactor times the bytes of the message; beyond it all messages together may
	// repeat maxRepeated bytes.
	repeatFactor = 8
	maxRepeated  = 8 << 20
)

// mayRepeat reports whether the message may repeat bytes of the batch's metadata. Where
// it may not, the whole request is refused.
func (r *volleyRow) mayRepeat(bytes int) bool {
	if r.notes == nil {
		return true
	}
	r.notes.repeated += max(bytes-repeatFactor*r.size, 0)
	return r.notes.repeated <= maxRepeated
}

// used keeps the parameters that a text needs and reports those without a value.
// The others are dropped: they would make two messages with the same text look
// different. It ends where enough are missing, since the message is rejected then.
func (r *volleyRow) used(needs []string) map[string]string {
	var used map[string]string
	missing := 0
	for _, name := range needs {
		if missing == maxMissing {
			break
		}
		v, ok := r.params.get(name)
		switch {
		case ok && used == nil:
			used = make(map[string]string, min(len(needs), r.params.count()))
			used[name] = v
		case ok:
			used[name] = v
		case !r.badParams && !slices.Contains(r.params.requested, name):
			why := r.params.lacking[name]
			if why == "" {
				why = "the text has ${" + message.Excerpt(name) + "}, for which the message gives no value"
			}
			missing++
			r.add(child(r.place("params"), name), message.CodeParameter, "%s", why)
		}
	}
	return used
}

// refuseEmpty refuses a message whose text is nothing but blank parameters.
func (r *volleyRow) refuseEmpty(needs []string, values map[string]string) {
	for _, v := range values {
		if !isBlank(v) {
			return
		}
	}
	path := r.place("params")
	switch len(needs) {
	case 0:
		r.add(r.place("text"), message.CodeTooShort, blankText)
		return
	case 1:
		path = child(path, needs[0])
	}
	r.add(path, message.CodeTooShort, "the text is empty with its parameters")
}

const blankText = "a text must not be empty, or nothing but spaces"

func volleyPath(index int) string { return "messages[" + strconv.Itoa(index) + "]" }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
