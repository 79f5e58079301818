package dialect

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// maxNames is the most different parameters of a text: every message is looked at for
// each.
const maxNames = 1000

const tooManyNames = "at most %d different parameters are possible in a text"

// placeholders lists the names in a text, each once, in the order of their first
// use: ${name} as message.Template fills it in. Of more than maxNames it lists one more.
func placeholders(text string) []string {
	var names []string
	var seen map[string]bool
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			return names
		}
		text = text[start+2:]
		end := strings.IndexAny(text, "${}")
		if end <= 0 || text[end] != '}' {
			continue
		}
		name := text[:end]
		text = text[end+1:]
		if !seen[name] {
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[name] = true
			if names = append(names, name); len(names) > maxNames {
				return names
			}
		}
	}
}

func textBody(text string) json.RawMessage {
	const before = `{"text":`
	if isPlain(text) {
		b := make([]byte, 0, len(before)+len(text)+len(`""}`))
		b = append(append(b, before...), '"')
		return append(append(b, text...), '"', '}')
	}
	return append(message.AppendJSON([]byte(before), text), '}')
}

// isPlain reports whether a text stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(text)
}
