package dialect

import (
	"bytes"
	"encoding/json"
	"math/big"
	"time"

	"volley/internal/message"
)

// birdHorizon is how far ahead Bird lets a message be scheduled (Bird, send batch
// messages: scheduledFor).
const birdHorizon = 35 * 24 * time.Hour

// birdMessages is the one field of a batch request.
const birdMessages = "messageRequests"

// decodeBird reads the body of POST
// /workspaces/{workspaceId}/channels/{channelId}/batch/messages. The envelope is
// right or the whole is refused; a message that is wrong is rejected alone. Each
// message's Body is its CreateMessage without scheduledFor, which became the due
// time. validity stays in Body where the caller gave one above 0, so that a sender
// knows to put what is left of it in its place. The batch's metadata is that of the
// options, since Bird's requests have none.
func decodeBird(body []byte, o Options) (*message.Batch, message.Problems) {
	whole := &reader{index: message.WholeBatch}
	schema, err := birdSchemas()
	if err != nil {
		whole.add("", message.CodeFormat, "the schema of the bird dialect cannot be used: %v", err)
		return nil, whole.problems
	}
	root, problems := open(body)
	if len(problems) > 0 {
		return nil, problems
	}
	items := birdItems(whole, root, schema)
	if o.SendAfter.Sub(o.Now) > birdHorizon {
		whole.add("", message.CodeHorizon, "the time to send after is more than 35 days ahead")
	}
	if o.TTL < 0 {
		whole.add("ttl", message.CodeRange, "a duration above zero is needed, got %s", o.TTL)
	}
	if len(whole.problems) > 0 {
		return nil, whole.problems
	}
	b := &message.Batch{
		V:         message.Version,
		CreatedAt: o.Now,
		Dialect:   "bird",
		Account:   o.Account,
		TTL:       spanMillis(min(o.TTL, message.MaxTTL)),
		Horizon:   birdHorizon.Milliseconds(),
		Metadata:  o.Metadata,
		Template:  message.Template{TextPaths: birdTextPaths()},
		Messages:  make([]message.Message, len(items)),
	}
	if !o.SendAfter.IsZero() {
		b.SendAfter = birdMilli(o.SendAfter)
	}
	room := budget(maxProblems)
	left := birdRequestValues
	for i, n := range items {
		if o.ended() {
			return givenUp()
		}
		r := &reader{index: i, most: room.each()}
		b.Messages[i] = birdMessage(r, n, schema, o.Now, &left)
		b.Messages[i].Problems = room.spend(r.problems)
	}
	return b, nil
}

// birdTextPaths are the places of the plain text in the types of body that have
// one. A template's text is at Bird.
func birdTextPaths() [][]string {
	var paths [][]string
	for _, kind := range []string{"text", "html", "list", "carousel", "image", "file", "gif"} {
		paths = append(paths, []string{"body", kind, "text"})
	}
	return paths
}

// birdItems checks the envelope and returns its messages unread.
func birdItems(r *reader, root node, schema *birdSchema) []node {
	o, ok := r.object(root)
	if !ok {
		return nil
	}
	r.characters(root, birdMessages)
	var list []node
	envelope := make(map[string]any, len(o.fields))
	for _, f := range o.fields {
		envelope[f.key] = nil
		if f.key != birdMessages {
			continue
		}
		if f.raw[0] != '[' {
			left := birdRequestValues
			envelope[f.key], _ = birdBounded(r, f.node, &left)
			continue
		}
		count := birdCount(f.raw)
		envelope[f.key] = make([]any, count)
		if count <= maxKeys {
			list, _ = r.array(f.node)
		}
	}
	schema.report(r, root.path, envelope, schema.envelope)
	return list
}

// birdMessage reads one CreateMessage, a message with problems as far as it can be
// read, so that people see which message was rejected. It counts the message's values
// against those that the request may still have.
func birdMessage(r *reader, n node, schema *birdSchema, now time.Time, left *int) message.Message {
	var m message.Message
	value, ok := birdBounded(r, n, left)
	if !ok {
		return m
	}
	r.characters(n, "")
	schema.report(r, n.path, value, schema.message)
	fields, ok := value.(map[string]any)
	if !ok {
		return m
	}
	m.Reference, _ = fields["reference"].(string)
	all, numbers := birdRecipient(r, n.path, fields)
	m.Reach(all)
	m.Numbers = numbers
	birdCapFrequency(r, n.path, fields)
	if s, given := fields["scheduledFor"].(string); given {
		m.Due = birdDue(r, child(n.path, "scheduledFor"), s, now)
	}
	if s, given := fields["validity"].(json.Number); given {
		m.TTL = birdTTL(s)
	}
	if len(r.problems) == 0 {
		m.Body = birdBody(r, n, m.TTL > 0)
	}
	return m
}

// birdValues is the most values in one message, in all its objects and lists together:
// checking a value against the schema costs thousands of times its bytes.
const birdValues = 50_000

// birdRequestValues is how many all messages of a request may have.
const birdRequestValues = 200_000

// birdBounded is birdValue for a value that may hold more than can be checked.
func birdBounded(r *reader, n node, left *int) (value any, ok bool) {
	count := values(n.raw)
	switch {
	case count > birdValues:
		r.add(n.path, message.CodeTooMany, "at most %d values in all, got %d", birdValues, count)
		return nil, false
	case count > *left:
		r.add(n.path, message.CodeTooMany, "at most %d values in all messages of a request, those before have left %d, got %d", birdRequestValues, *left, count)
		return nil, false
	}
	*left -= count
	return birdValue(r, n), true
}

// birdCount returns how many items an array has. It stops counting behind maxKeys,
// where there are too many in any case.
func birdCount(array []byte) int { return min(countItems(array), maxKeys+1) }

// birdValue reads a value as the schema library wants it, with every number as
// it was written.
func birdValue(r *reader, n node) any {
	switch n.raw[0] {
	case '{':
		o, _ := r.object(n)
		value := make(map[string]any, len(o.fields))
		for _, f := range o.fields {
			value[f.key] = birdValue(r, f.node)
		}
		return value
	case '[':
		items, _ := r.array(n)
		value := make([]any, len(items))
		for i, item := range items {
			value[i] = birdValue(r, item)
		}
		return value
	case '"':
		s, _ := r.text(n)
		return s
	case 't', 'f':
		return n.raw[0] == 't'
	case 'n':
		return nil
	default:
		return json.Number(n.raw)
	}
}

// birdCapFrequency holds a rule that Bird's document has in prose only:
// capFrequency may be true only for the use case marketing.
func birdCapFrequency(r *reader, path string, fields map[string]any) {
	if fields["capFrequency"] != true {
		return
	}
	meta, _ := fields["meta"].(map[string]any)
	extra, _ := meta["extraInformation"].(map[string]any)
	if extra["useCase"] != "marketing" {
		r.add(child(path, "capFrequency"), message.CodeConflict, "may be true only where meta.extraInformation.useCase is marketing")
	}
}

// birdDue reads scheduledFor as a due time in Unix ms; 0 where it cannot. A time
// in the past is the moment of acceptance. Bird may send at once what is due
// within 10 minutes; we keep the time.
func birdDue(r *reader, path, s string, now time.Time) int64 {
	at, err := message.ParseRFC3339(s)
	if err != nil {
		return 0
	}
	switch {
	case at.Sub(now) > birdHorizon:
		r.add(path, message.CodeHorizon, "is more than 35 days ahead")
		return 0
	case at.Before(now):
		return now.UnixMilli()
	}
	return birdMilli(at)
}

// birdMilli is the first whole ms that is not before t, since nothing may be
// sent early.
func birdMilli(t time.Time) int64 {
	return t.Add(time.Millisecond - 1).UnixMilli()
}

// birdTTL reads validity, in seconds, as ms and cuts it at message.MaxTTL. What
// is not a whole number above 0 is 0, the default: Bird does not say what a
// validity of 0 means, and nobody asks for a message to be thrown away.
func birdTTL(n json.Number) int64 {
	seconds, err := n.Float64()
	if err != nil {
		return 0
	}
	limit := int64(message.MaxTTL / time.Second)
	if seconds >= float64(limit) {
		return limit * 1000
	}
	exact, accuracy := big.NewFloat(seconds).Int64()
	if accuracy != big.Exact || exact <= 0 {
		return 0
	}
	return exact * 1000
}

// birdBody is the message field for field, in the caller's order and with the
// caller's numbers, without what only the batch endpoint's scheduling needs.
func birdBody(r *reader, n node, validity bool) json.RawMessage {
	o, ok := r.object(n)
	if !ok {
		return nil
	}
	var out bytes.Buffer
	out.Grow(len(n.raw))
	out.WriteByte('{')
	for _, f := range o.fields {
		if f.key == "scheduledFor" || f.key == "validity" && !validity {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.Write(birdKey(f.key))
		out.WriteByte(':')
		out.Write(f.raw)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// birdKey writes a key of CreateMessage, which the schema has let pass and which
// therefore needs no escapes.
func birdKey(key string) []byte { return []byte(`"` + key + `"`) }
