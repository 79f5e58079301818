package dialect

import (
	"strings"
	"unicode"
)

// bareText reports whether nothing of a text is seen but what fills its
// placeholders; an empty one is bare.
func bareText(text string) bool {
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return true
		}
		inner, ok := strings.CutPrefix(text, "${")
		if !ok {
			return false
		}
		end := strings.IndexAny(inner, "${}")
		if end <= 0 || inner[end] != '}' {
			return false
		}
		text = inner[end+1:]
	}
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// bareString is a string that must not be empty and consists only of the parameters
// that it needs.
type bareString struct {
	path  string
	needs []string
}

// isEmpty reports whether all that fills a bare string is blank.
func (b *bareString) isEmpty(values map[string]string) bool {
	for _, name := range b.needs {
		if v, ok := values[name]; !ok || !isBlank(v) {
			return false
		}
	}
	return len(b.needs) > 0
}
