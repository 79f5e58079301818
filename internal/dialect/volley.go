package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"volley/internal/message"
	"volley/internal/phone"
)

// decodeVolley reads Volley's own format: one JSON document, JSON lines, or CSV.
// The content tells which: what begins with { or [, or is a JSON value of another
// type, is JSON, or JSON lines if the first line is a whole JSON value and another
// line follows; all else is CSV. In which encodings and with which line ends, OpenText
// says.
//
// The paths of a message's problems begin with messages[i] in all three; in JSON
// lines and CSV the detail begins with the line.
func decodeVolley(body []byte, o Options) (*message.Batch, message.Problems) {
	text, encoding := wholeText(body)
	return decodeText(text, encoding, o)
}

// decodeText decodes what wholeText or OpenText gave.
func decodeText(text []byte, encoding string, o Options) (*message.Batch, message.Problems) {
	return streamText(text, encoding, o).all()
}

// HasMore reports whether a request in Volley's own format has more messages than so
// many. A line end counts for one in JSON lines and CSV.
func HasMore(body []byte, messages int) bool {
	if bytes.Count(body, newline)+bytes.Count(body, []byte("\r"))+bytes.Count(body, []byte(",")) <= messages {
		return false
	}
	text, encoding := wholeText(body)
	f, problems := beginVolley(text, encoding, true, Options{})
	if f != nil || len(problems) > 0 {
		return f != nil && bytes.Count(text[f.used:], newline) > messages
	}
	root, problems := open(text)
	if len(problems) > 0 {
		return false
	}
	var r reader
	doc, _ := r.object(root)
	n, ok := doc.get("messages")
	return ok && n.raw[0] == '[' && countItems(n.raw) > messages
}

// streamText reads message by message what wholeText or OpenText gave.
func streamText(text []byte, encoding string, o Options) *Stream {
	f, problems := beginVolley(text, encoding, true, o)
	switch {
	case len(problems) > 0:
		return refusedStream(problems)
	case f != nil:
		rest := text[f.used:]
		c := f.splitter(bytes.NewReader(rest))
		c.size = min(c.size, len(rest)+1)
		return f.stream(&sequentialReader{splitter: c, read: f.read}, o)
	case !utf8.Valid(text):
		return refusedStream(unreadable("the request is not in " + encoding))
	}
	return streamVolleyJSON(text, o)
}

// beginVolley reads the header of a request in JSON lines or CSV. The answer is
// neither a file nor a problem where the request is a JSON document, or where it
// is not in body as a whole and the part there is does not tell.
func beginVolley(body []byte, encoding string, whole bool, o Options) (*volleyFile, message.Problems) {
	if what := NotText(body); what != "" {
		return nil, unreadable(what)
	}
	text := bytes.TrimSpace(body)
	if len(text) == 0 {
		if whole {
			return nil, unreadable("the request is empty")
		}
		return nil, nil
	}
	line, rest, found := bytes.Cut(text, newline)
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, unreadable(fmt.Sprintf("line %d: the character U+0000 stands there, as in UTF-16 without a byte order mark; save the file as UTF-8",
			1+bytes.Count(body[:bytes.Index(body, text)], newline)))
	}
	more := len(bytes.TrimSpace(rest)) > 0
	switch {
	case text[0] == '{' || text[0] == '[':
		// No single JSON document has a first line that is complete by itself.
		if found && more && json.Valid(line) {
			return beginVolleyLines(body, encoding, o)
		}
	case found && (more || !json.Valid(line)), whole && !json.Valid(text):
		return beginVolleyCSV(body, encoding, whole, o)
	}
	return nil, nil
}

// refused is the answer to a document that cannot be read at all.
func refused(code, detail string) (*message.Batch, message.Problems) {
	return nil, message.Problems{{Index: message.WholeBatch, Code: code, Detail: detail}}
}

func unreadable(detail string) message.Problems {
	_, problems := refused(message.CodeFormat, detail)
	return problems
}

// streamVolleyJSON reads the header of a JSON document, and its messages one by one.
func streamVolleyJSON(body []byte, o Options) *Stream {
	root, problems := open(body)
	if len(problems) > 0 {
		return refusedStream(problems)
	}
	b := newVolleyBatch(utf8Encoding, o)
	doc, _ := b.whole.object(root)
	b.whole.characters(root, "messages")
	b.readHeader(doc, o)
	items := &jsonItems{batch: b, raw: []byte("[]"), at: 1}
	n, ok := b.whole.required(doc, "messages")
	if ok && b.whole.isArray(n) {
		items.raw = n.raw
		if n.raw[1] == ']' {
			b.tooFew()
		}
	}
	if n, ok := doc.get("to"); ok {
		b.whole.add(n.path, message.CodeUnknownField,
			`this looks like a message: it stands in "messages", or in JSON lines below the first line, which is the batch's header ({} will do)`)
	}
	b.whole.refuseUnknown(doc)
	if o.MaxMessages > 0 && b.full(countItems(items.raw), o) {
		return refusedStream(b.whole.problems)
	}
	s := (&volleyFile{batch: b}).stream(items, o)
	s.isDocument = true
	return s
}

// jsonItems decodes the messages of a JSON document, some at a time.
type jsonItems struct {
	batch *volleyBatch
	raw   []byte // the array
	at    int    // where in it the next message begins
	chunk chunk
}

// itemsAtOnce is how many messages are decoded at a time.
const itemsAtOnce = 100

func (j *jsonItems) next() (*chunk, error) {
	if j.raw[j.at] == ']' {
		return nil, nil //nolint:nilnil // the end, as chunks has it
	}
	k := &j.chunk
	k.messages = k.messages[:0]
	k.notes.reset()
	k.row.notes = &k.notes
	for len(k.messages) < itemsAtOnce && j.raw[j.at] != ']' {
		end := message.EndOfValue(j.raw, j.at)
		k.row.reset(len(k.messages), 0)
		k.row.readItem(node{raw: j.raw[j.at:end:end]})
		k.messages = append(k.messages, j.batch.message(&k.row))
		j.at = nextElement(j.raw, end)
	}
	return k, nil
}

func (j *jsonItems) close() {}

// readHeader reads what concerns the whole batch. The options beat the account
// and the times of the header, and stand in for its text and channel.
func (b *volleyBatch) readHeader(doc *object, o Options) {
	r := &b.whole
	account, channel, text := readOptional(doc, "account", r.filled), readOptional(doc, "channel", r.filled), readOptional(doc, "text", r.filled)
	b.Account = first(o.Account, account.value)
	b.setChannel(first(channel.value, o.Channel))
	b.setText(first(text.value, o.Text))
	b.badText = text.key != "" && (!text.ok || isBlank(text.value))
	b.SendAfter = r.readTime(readOptional(doc, "sendAfter", r.text), o.Now)
	b.TTL = r.span(readOptional(doc, "ttl", r.text))
	if n, ok := doc.take("metadata"); ok {
		if b.metadata, ok = r.object(n); ok {
			b.Metadata = n.raw
		}
	}
	if n, ok := doc.take("priority"); ok {
		if p, ok := r.integer(n); ok && (p < 1 || p > 5) {
			r.add(n.path, message.CodeRange, "expected 1 (first) to 5, got %d", p)
		} else {
			b.Priority = int(p)
		}
	}
	if n, ok := doc.take("sensitive"); ok {
		b.Sensitive, _ = r.boolean(n)
	}
	if n, ok := doc.take("dispatch"); ok {
		b.Dispatch, _ = r.oneOf(n, message.DispatchAuto, message.DispatchMessage, message.DispatchGroup)
	}
	if region := readOptional(doc, "defaultRegion", r.filled); region.ok {
		b.setRegion(region.value)
	}
	b.readAwaitReports(doc)
	b.readCallbacks(doc)
	r.problems = append(r.problems, ownTimes(b.Batch, o)...)
}

// setRegion takes the region of numbers without a country code; empty is none.
func (b *volleyBatch) setRegion(code string) {
	if code == "" {
		return
	}
	region, err := phone.Region(code)
	if err != nil {
		b.whole.add("defaultRegion", message.CodeEnum, "%s, got %q", err, message.Excerpt(code))
		return
	}
	b.Region = region
}

// maxAwait is the longest that a message waits for its delivery report.
const maxAwait = 72 * time.Hour

func (b *volleyBatch) readAwaitReports(doc *object) {
	wait := readOptional(doc, "awaitReports", b.whole.text)
	if !wait.ok {
		return
	}
	d, err := message.ParseDuration(wait.value)
	if err != nil {
		b.whole.add(b.whole.place(wait.key), message.CodeFormat, "%q is no duration, as 0s or 10m", message.Excerpt(wait.value))
		return
	}
	b.setAwaitReports(b.whole.place(wait.key), d, wait.value)
}

// setAwaitReports takes a duration, which was given as a text.
func (b *volleyBatch) setAwaitReports(path string, d time.Duration, given string) {
	if d < 0 || d > maxAwait {
		b.whole.add(path, message.CodeRange, "expected 0s (no wait) to %s, got %s", maxAwait, given)
		return
	}
	b.AwaitReports = spanMillis(d)
}

// readCallbacks reads where the batch's events are to go: {"url","messages"}.
func (b *volleyBatch) readCallbacks(doc *object) {
	n, ok := doc.take("callbacks")
	if !ok {
		return
	}
	o, ok := b.whole.object(n)
	if !ok {
		return
	}
	c := &message.Callbacks{Path: n.path}
	if n, ok := o.take("url"); ok {
		c.URL, c.Path = b.whole.callback(n), n.path
	}
	if n, ok := o.take("messages"); ok {
		c.Messages, _ = b.whole.boolean(n)
	}
	b.whole.refuseUnknown(o)
	b.Callbacks = c
}

func newVolleyBatch(encoding string, o Options) *volleyBatch {
	b := &volleyBatch{
		Batch: &message.Batch{
			V: message.Version, CreatedAt: o.Now, Dialect: "volley",
			Account: o.Account, Horizon: yearAhead.Milliseconds(),
			Template: message.Template{
				Syntax: message.SyntaxBraces, Scope: []string{"text"}, TextPaths: [][]string{{"text"}},
			},
		},
		whole: reader{index: message.WholeBatch}, encoding: encoding,
	}
	b.checkOption("text", o.Text)
	b.checkOption("channel", o.Channel)
	return b
}

// checkOption refuses a text that was given beside the request and is none.
func (b *volleyBatch) checkOption(path, value string) {
	switch {
	case !utf8.ValidString(value):
		b.whole.add(path, message.CodeFormat, "is not in UTF-8")
	case hasNUL(value):
		b.whole.add(path, message.CodeFormat, "has the character U+0000")
	}
}

func (b *volleyBatch) setChannel(channel string) {
	switch {
	case len(channel) > maxChannel:
		b.whole.add("channel", message.CodeTooLong, tooLongChannel, maxChannel, len(channel))
	case channel != "":
		b.channels = []string{channel}
	}
}

// maxChannel is the longest name of a channel, which every message has.
const maxChannel = 100

const tooLongChannel = "a channel has at most %d bytes, got %d"

func (b *volleyBatch) setText(text string) {
	b.text = text
	if text != "" {
		b.Template.Body = textBody(text)
		b.needs, b.bare = placeholders(text), bareText(text)
	}
	if len(b.needs) > maxNames {
		b.whole.add("text", message.CodeTooMany, tooManyNames, maxNames)
		b.needs, b.bare = nil, false
	}
	if b.bare && len(b.needs) == 0 {
		b.whole.add("text", message.CodeTooShort, blankText)
		b.bare = false
	}
}

func (b *volleyBatch) tooFew() {
	b.whole.add("messages", message.CodeTooFew, "a batch has at least one message")
}

// full adds the problem of a batch with more messages than the options allow.
func (b *volleyBatch) full(n int, o Options) bool {
	if o.MaxMessages == 0 || n <= o.MaxMessages {
		return false
	}
	b.whole.add("messages", message.CodeTooMany, "the limit of messages is %d", o.MaxMessages)
	return true
}
