package dialect

import (
	"regexp"

	"github.com/clipperhouse/uax29/v2/graphemes"

	"volley/internal/message"
)

// The bounds of chat.bsky.convo.sendMessageBatch, chat.bsky.convo.defs#messageInput
// and app.bsky.richtext.facet. Lexicons count bytes of UTF-8 where they say
// length.
const (
	blueskyItems         = 100
	blueskyTextBytes     = 10_000
	blueskyTextGraphemes = 1_000
	blueskyTagBytes      = 640
	blueskyTagGraphemes  = 64
)

// decodeBluesky reads the input of chat.bsky.convo.sendMessageBatch. Keys that the
// lexicon does not know pass through unread, as objects of a lexicon are open. The
// call has no place for the error of one item, so any problem refuses all of it.
func decodeBluesky(body []byte, o Options) (*message.Batch, message.Problems) {
	root, problems := open(body)
	if len(problems) > 0 {
		return nil, problems
	}
	b := &message.Batch{
		V: message.Version, CreatedAt: o.Now, Dialect: "bluesky",
		Account: o.Account, Horizon: yearAhead.Milliseconds(),
		Template: message.Template{TextPaths: [][]string{{"message", "text"}}},
		Messages: []message.Message{},
	}
	r := blueskyReader{reader{index: message.WholeBatch, problems: ownTimes(b, o)}}
	doc, _ := r.object(root)
	r.characters(root, "")
	if n, ok := r.required(doc, "items"); ok {
		if count := blueskyCount(n); count > blueskyItems {
			r.add(n.path, message.CodeTooMany, "at most %d items, got %d", blueskyItems, count)
		} else {
			r.each(n, func(item node) {
				if !o.ended() {
					b.Messages = append(b.Messages, r.item(item))
				}
			})
		}
	}
	if o.ended() {
		return givenUp()
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return b, nil
}

// blueskyCount is how many items an array has; what is none has none.
func blueskyCount(n node) int {
	if n.raw[0] != '[' {
		return 0
	}
	return countItems(n.raw)
}

// blueskyReader reads the parts of a request; every problem is the batch's.
type blueskyReader struct{ reader }

// required is a key that must be there. Null is a value in a lexicon, of the wrong type.
func (r *blueskyReader) required(o *object, key string) (node, bool) {
	n, ok := o.get(key)
	if !ok {
		r.add(child(o.path, key), message.CodeRequired, "is required")
	}
	return n, ok
}

func (r *blueskyReader) item(n node) message.Message {
	m := message.Message{Body: n.raw}
	o, ok := r.object(n)
	if !ok {
		return m
	}
	if id, ok := r.required(o, "convoId"); ok {
		m.To, _ = r.filled(id)
	}
	if in, ok := r.required(o, "message"); ok {
		r.message(in)
	}
	return m
}

// message reads a chat.bsky.convo.defs#messageInput.
func (r *blueskyReader) message(n node) {
	o, ok := r.object(n)
	if !ok {
		return
	}
	if text, ok := r.required(o, "text"); ok {
		r.within(text, blueskyTextBytes, blueskyTextGraphemes)
	}
	if facets, ok := o.get("facets"); ok {
		r.each(facets, r.facet)
	}
	if embed, ok := o.get("embed"); ok {
		r.embed(embed)
	}
	if reply, ok := o.get("replyTo"); ok {
		r.replyTo(reply)
	}
}

// replyTo reads a chat.bsky.convo.defs#replyRef.
func (r *blueskyReader) replyTo(n node) {
	o, ok := r.object(n)
	if !ok {
		return
	}
	if id, ok := r.required(o, "messageId"); ok {
		r.text(id)
	}
}

// facet reads an app.bsky.richtext.facet. Where it points in the text is not
// checked: the lexicon does not relate the two, and Bluesky's own programs show
// the text without a facet that misses it.
func (r *blueskyReader) facet(n node) {
	o, ok := r.object(n)
	if !ok {
		return
	}
	if index, ok := r.required(o, "index"); ok {
		if slice, ok := r.object(index); ok {
			r.offset(slice, "byteStart")
			r.offset(slice, "byteEnd")
		}
	}
	if features, ok := r.required(o, "features"); ok {
		r.each(features, r.feature)
	}
}

func (r *blueskyReader) offset(o *object, key string) {
	n, ok := r.required(o, key)
	if !ok {
		return
	}
	if v, ok := r.integer(n); ok && v < 0 {
		r.add(n.path, message.CodeRange, "an offset in bytes from 0, got %d", v)
	}
}

// feature reads an item of the union of features. It is an open one: a type that
// is not known here passes through.
func (r *blueskyReader) feature(n node) {
	o, kind := r.union(n)
	switch kind {
	case "app.bsky.richtext.facet#mention":
		r.format(o, "did", blueskyDID, "a DID, as did:plc:ewvi7nxzyoun6zhxrhs64oiz")
	case "app.bsky.richtext.facet#link":
		r.format(o, "uri", blueskyURI, "a URI, as https://example.com")
	case "app.bsky.richtext.facet#tag":
		if tag, ok := r.required(o, "tag"); ok {
			r.within(tag, blueskyTagBytes, blueskyTagGraphemes)
		}
	}
}

// embed reads the union of embeds, which is open too.
func (r *blueskyReader) embed(n node) {
	o, kind := r.union(n)
	switch {
	case isRecordEmbed(kind):
		record, ok := r.required(o, "record")
		if !ok {
			return
		}
		if ref, ok := r.object(record); ok {
			r.format(ref, "uri", blueskyATURI, "an AT URI, as at://did:plc:…/app.bsky.feed.post/…")
			r.format(ref, "cid", blueskyCID, "a CID, as bafyrei…")
		}
	case kind == "chat.bsky.embed.joinLink" || kind == "chat.bsky.embed.joinLink#main":
		if code, ok := r.required(o, "code"); ok {
			r.text(code)
		}
	}
}

// isRecordEmbed reports whether an embed of a type is a record, which may also be named
// in full (AT Protocol, lexicon: references).
func isRecordEmbed(kind string) bool {
	return kind == "app.bsky.embed.record" || kind == "app.bsky.embed.record#main"
}

// union reads an object with the $type that says which it is; the type is empty
// where the object cannot be read further.
func (r *blueskyReader) union(n node) (*object, string) {
	o, ok := r.object(n)
	if !ok {
		return nil, ""
	}
	kind, ok := r.required(o, "$type")
	if !ok {
		return nil, ""
	}
	name, _ := r.filled(kind)
	return o, name
}

// within reads a string that is bounded in bytes of UTF-8 and in graphemes, which
// are what a reader sees as one character.
func (r *blueskyReader) within(n node, bytes, clusters int) {
	s, ok := r.text(n)
	if !ok {
		return
	}
	if len(s) > bytes {
		r.add(n.path, message.CodeTooLong, "at most %d bytes of UTF-8, got %d", bytes, len(s))
		return
	}
	if len(s) <= clusters {
		return
	}
	if c := countGraphemes(s); c > clusters {
		r.add(n.path, message.CodeTooLong, "at most %d graphemes, got %d", clusters, c)
	}
}

// countGraphemes counts extended grapheme clusters by the rules of Unicode 17 (UAX 29),
// conjuncts of Indic scripts among them (GB9c).
func countGraphemes(s string) int {
	n := 0
	for it := graphemes.FromString(s); it.Next(); {
		n++
	}
	return n
}

// The string formats of the AT Protocol that the lexicons name.
var (
	blueskyDID   = regexp.MustCompile(`^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$`)
	blueskyURI   = regexp.MustCompile(`^\w+:(//)?[^\s/]\S*$`)
	blueskyATURI = regexp.MustCompile(`^at://[a-zA-Z0-9._:%-]+(/[a-zA-Z0-9.-]+(/[a-zA-Z0-9_~.:-]{1,512})?)?$`)
	blueskyCID   = regexp.MustCompile(`^[a-zA-Z0-9+=]{8,256}$`)
)

// blueskyFormatBytes bounds every string with a format (AT URIs and URIs, 8 KiB).
const blueskyFormatBytes = 8 << 10

func (r *blueskyReader) format(o *object, key string, pattern *regexp.Regexp, expected string) {
	n, ok := r.required(o, key)
	if !ok {
		return
	}
	s, ok := r.text(n)
	if ok && (len(s) > blueskyFormatBytes || !pattern.MatchString(s)) {
		r.add(n.path, message.CodeFormat, "expected %s", expected)
	}
}
