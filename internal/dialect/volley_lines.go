package dialect

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"volley/internal/message"
)

// beginVolleyLines reads the header, which is the first line that is not empty
// and must be in body as a whole.
func beginVolleyLines(body []byte, encoding string, o Options) (*volleyFile, message.Problems) {
	b := newVolleyBatch(encoding, o)
	rest, number := body, 0
	var line []byte
	for len(bytes.TrimSpace(line)) == 0 {
		line, rest, _ = bytes.Cut(rest, newline)
		number++
	}
	if !utf8.Valid(line) {
		return nil, unreadable(fmt.Sprintf("line %d: the line is not in %s", number, encoding))
	}
	if problems := b.readHeaderLine(line, o); len(problems) > 0 {
		return nil, problems
	}
	return &volleyFile{batch: b, read: b.readLines, used: len(body) - len(rest), line: number + 1}, nil
}

func (b *volleyBatch) readHeaderLine(line []byte, o Options) message.Problems {
	root, problems := open(line)
	if len(problems) > 0 {
		return problems
	}
	doc, _ := b.whole.object(root)
	b.whole.characters(root, "messages")
	b.readHeader(doc, o)
	if n, ok := doc.get("messages"); ok {
		b.whole.add(n.path, message.CodeConflict, "in JSON lines the messages stand on the lines after the header")
	}
	if n, ok := doc.get("to"); ok {
		b.whole.add(n.path, message.CodeUnknownField, "the first line is the batch's header ({} will do), this looks like a message")
	}
	b.whole.refuseUnknown(doc)
	return nil
}

// readLines reads the lines behind the header. Empty ones are skipped, every
// other one is a message; one that is no JSON object is rejected.
func (b *volleyBatch) readLines(k *chunk) {
	line, rest := []byte(nil), k.data
	k.row.notes = &k.notes
	for number := k.line; len(rest) > 0; number++ {
		line, rest, _ = bytes.Cut(rest, newline)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		k.row.reset(len(k.messages), number)
		k.row.readLine(line, b.encoding)
		k.messages = append(k.messages, b.message(&k.row))
	}
}
