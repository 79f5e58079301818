package config

import (
	"regexp"
	"strings"
)

// References to the environment are taken out of the text before it is parsed,
// because braces have a meaning of their own inside {…} and […] in YAML, and put
// in again value by value, so that no variable's content is ever read as YAML.
// The marks are as many characters as what they stand for, which keeps columns.
const (
	markOpen    = "\ue000\ue000"
	markClose   = "\ue001"
	markLiteral = "\ue002\ue002\ue002"
)

var (
	reference = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	marked    = regexp.MustCompile(markOpen + `([A-Za-z0-9_]+)` + markClose)
)

// mark hides ${NAME} from the parser. $${NAME} stands for the characters
// ${NAME} themselves; every other $ is an ordinary character.
func mark(text string) string {
	return reference.ReplaceAllStringFunc(text, func(s string) string {
		if name, ok := strings.CutPrefix(s, "$${"); ok {
			return markLiteral + strings.TrimSuffix(name, "}") + markClose
		}
		return markOpen + s[2:len(s)-1] + markClose
	})
}

// source shows a value as it stands in the file.
func source(s string) string {
	return strings.NewReplacer(markOpen, "${", markLiteral, "$${", markClose, "}").Replace(s)
}

// expand puts in the values of the environment; missing names the first that is
// not set.
func expand(s string, lookup func(string) (string, bool)) (value, missing string) {
	// Literals first: a variable's own content is never searched.
	parts := marked.FindAllStringSubmatchIndex(s, -1)
	literal := strings.NewReplacer(markLiteral, "${", markClose, "}")
	var b strings.Builder
	last := 0
	for _, p := range parts {
		b.WriteString(literal.Replace(s[last:p[0]]))
		v, ok := lookup(s[p[2]:p[3]])
		if !ok && missing == "" {
			missing = s[p[2]:p[3]]
		}
		b.WriteString(v)
		last = p[1]
	}
	b.WriteString(literal.Replace(s[last:]))
	return b.String(), missing
}
