package dialect

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"volley/internal/message"
)

// decodeVolley reads Volley's own format: one JSON document, JSON lines, or CSV.
// The content tells which: what begins with { or [, or is a JSON value of another
// type, is JSON, or JSON lines if the first line is a whole JSON value and another
// line follows; all else is CSV. A byte order mark is skipped.
//
// The paths of a message's problems begin with messages[i] in all three; in JSON
// lines and CSV the detail begins with the line.
func decodeVolley(body []byte, o Options) (*message.Batch, message.Problems) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	text := bytes.TrimSpace(body)
	switch {
	case len(text) == 0:
		return refused(message.CodeFormat, "the request is empty")
	case !utf8.Valid(body):
		return refused(message.CodeFormat, "the request is not in UTF-8")
	case text[0] != '{' && text[0] != '[' && !json.Valid(text):
		return readVolleyCSV(body, o)
	case isLines(text):
		return readVolleyLines(body, o)
	default:
		return readVolleyJSON(body, o)
	}
}

// refused is the answer to a document that cannot be read at all.
func refused(code, detail string) (*message.Batch, message.Problems) {
	return nil, message.Problems{{Index: message.WholeBatch, Code: code, Detail: detail}}
}

// isLines reports whether the first line of a document is complete by itself,
// with more behind it. No single JSON document is like that.
func isLines(text []byte) bool {
	line, rest, found := bytes.Cut(text, []byte("\n"))
	return found && json.Valid(line) && len(bytes.TrimSpace(rest)) > 0
}

func readVolleyJSON(body []byte, o Options) (*message.Batch, message.Problems) {
	root, problems := open(body)
	if len(problems) > 0 {
		return nil, problems
	}
	b := newVolleyBatch(o)
	doc, _ := b.whole.object(root)
	b.readHeader(doc, o)
	var items []node
	if n, ok := b.whole.required(doc, "messages"); ok {
		if items, ok = b.whole.array(n); ok && len(items) == 0 {
			b.tooFew()
		}
	}
	b.whole.refuseUnknown(doc)
	if b.full(len(items), o) {
		return nil, b.whole.problems
	}
	b.Messages = make([]message.Message, 0, len(items))
	for _, item := range items {
		b.append(volleyItem(item, len(b.Messages)))
	}
	return b.Batch, b.whole.problems
}

// readVolleyLines reads a header object and then one message on each line. Empty
// lines are skipped. A line that is no JSON object is a message that is rejected.
func readVolleyLines(body []byte, o Options) (*message.Batch, message.Problems) {
	b := newVolleyBatch(o)
	header := false
	for number := 1; len(body) > 0; number++ {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !header {
			header = true
			if problems := b.readHeaderLine(line, o); len(problems) > 0 {
				return nil, problems
			}
			continue
		}
		if b.full(len(b.Messages)+1, o) {
			return nil, b.whole.problems
		}
		b.append(volleyLine(line, len(b.Messages), number))
	}
	if len(b.Messages) == 0 {
		b.tooFew()
	}
	return b.Batch, b.whole.problems
}

func (b *volleyBatch) readHeaderLine(line []byte, o Options) message.Problems {
	root, problems := open(line)
	if len(problems) > 0 {
		return problems
	}
	doc, _ := b.whole.object(root)
	b.readHeader(doc, o)
	if n, ok := doc.get("messages"); ok {
		b.whole.add(n.path, message.CodeConflict, "in JSON lines the messages stand on the lines after the header")
	}
	b.whole.refuseUnknown(doc)
	return nil
}

// readHeader reads what concerns the whole batch. The options beat the account
// and the times of the header, and stand in for its text and channel.
func (b *volleyBatch) readHeader(doc *object, o Options) {
	r := &b.whole
	account, channel, text := give(doc, "account", r.filled), give(doc, "channel", r.filled), give(doc, "text", r.filled)
	b.Account = first(o.Account, account.value)
	b.channel = first(channel.value, o.Channel)
	b.setText(first(text.value, o.Text))
	b.badText = text.path != "" && !text.ok
	b.SendAfter = r.moment(give(doc, "sendAfter", r.text), o.Now)
	b.TTL = r.span(give(doc, "ttl", r.text))
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
	if n, ok := doc.take("dispatch"); ok {
		if s, ok := r.text(n); ok && s != "message" {
			r.add(n.path, message.CodeEnum, "only message is possible, got %.40q", s)
		}
		b.Dispatch = "message"
	}
	b.readAwaitReports(doc)
	r.problems = append(r.problems, ownTimes(b.Batch, o)...)
}

// readAwaitReports refuses every wait: delivery reports reach nobody yet, and a
// wait that is silently left out would change which hops are tried.
func (b *volleyBatch) readAwaitReports(doc *object) {
	wait := give(doc, "awaitReports", b.whole.text)
	if !wait.ok {
		return
	}
	d, err := time.ParseDuration(wait.value)
	switch {
	case err != nil:
		b.whole.add(wait.path, message.CodeFormat, "%q is no duration, as 0s", wait.value)
	case d != 0:
		b.whole.add(wait.path, message.CodeRange, "no message waits for its delivery report; only 0s is possible, got %s", wait.value)
	}
}

func newVolleyBatch(o Options) *volleyBatch {
	return &volleyBatch{
		Batch: &message.Batch{
			V: message.Version, CreatedAt: o.Now, Dialect: "volley",
			Account: o.Account, Horizon: yearAhead.Milliseconds(),
			Template: message.Template{
				Syntax: message.SyntaxBraces, Scope: []string{"text"}, TextPaths: [][]string{{"text"}},
			},
		},
		whole: reader{index: message.WholeBatch},
	}
}

func (b *volleyBatch) setText(text string) {
	b.text = text
	if text != "" {
		b.Template.Body = textBody(text)
		b.needs = placeholders(text)
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
