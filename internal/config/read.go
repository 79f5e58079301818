package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// reader walks a YAML document and collects every problem on the way.
type reader struct {
	lookup func(string) (string, bool)
	// bare lets secrets refer to variables that are not set.
	bare     bool
	problems []Problem
}

// field is one value with the place where it stands.
type field struct {
	node ast.Node
	path string
	// key is the node of the value's key, for the place of unknown keys.
	key ast.Node
}

// encoding says what is wrong with the encoding of a file; empty is nothing. YAML
// allows UTF-16 too (YAML 1.2, 5.2), but nobody writes it on purpose.
func encoding(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")), bytes.IndexByte(text, 0) >= 0:
		return "the file is in UTF-16, save it as UTF-8"
	case !utf8.Valid(text):
		return "the file is not in UTF-8, save it as UTF-8"
	}
	return ""
}

func (r *reader) parse(text []byte) *object {
	if wrong := encoding(text); wrong != "" {
		r.fail(nil, "", wrong)
		return &object{r: r}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows put it there
	if i := strings.IndexAny(string(text), "\ue000\ue001\ue002"); i >= 0 {
		r.fail(nil, "", "the characters U+E000 to U+E002 are not allowed")
		return &object{r: r}
	}
	file, err := parser.ParseBytes([]byte(mark(string(text))), 0)
	if err != nil {
		r.syntax(err)
		return &object{r: r}
	}
	if len(file.Docs) > 1 {
		r.fail(file.Docs[1].Body, "", "only one YAML document is allowed")
	}
	if len(file.Docs) == 0 {
		return &object{r: r}
	}
	return r.object(field{node: file.Docs[0].Body})
}

// syntax reports what the parser says without the lines around it, which may
// hold a secret.
func (r *reader) syntax(err error) {
	var ye yaml.Error
	if !errors.As(err, &ye) {
		r.fail(nil, "", "not valid YAML")
		return
	}
	p := Problem{Detail: "not valid YAML: " + source(ye.GetMessage())}
	if t := ye.GetToken(); t != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	r.problems = append(r.problems, p)
}

func (r *reader) fail(at ast.Node, path, detail string, args ...any) {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	p := Problem{Path: path, Detail: detail}
	if at != nil && at.GetToken() != nil {
		pos := at.GetToken().Position
		p.Line, p.Column = pos.Line, pos.Column
	}
	r.problems = append(r.problems, p)
}

const noAnchors = "anchors, aliases and merge keys are not supported"

// kind reports a value of the wrong kind.
func (r *reader) kind(f field, detail string) {
	switch f.node.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		detail = noAnchors
	}
	r.fail(f.node, f.path, detail)
}

// object reads a mapping; an empty value is an empty one.
func (r *reader) object(f field) *object {
	o := &object{r: r, at: f.node, path: f.path}
	if f.key != nil {
		o.at = f.key
	}
	if empty(f.node) {
		return o
	}
	m, ok := f.node.(ast.MapNode)
	if !ok {
		r.kind(f, "must be a mapping (key: value)")
		o.broken = true
		return o
	}
	for it := m.MapRange(); it.Next(); {
		if it.Key().IsMergeKey() {
			r.fail(it.Key(), f.path, noAnchors)
			o.broken = true
			continue
		}
		name, ok := scalar(it.Key())
		if !ok {
			r.fail(it.Key(), f.path, "keys must be plain words")
			continue
		}
		name = source(name)
		if slices.Contains(o.names, name) {
			r.fail(it.Key(), join(f.path, name), "is given twice")
			continue
		}
		o.names = append(o.names, name)
		o.fields = append(o.fields, field{node: it.Value(), path: join(f.path, name), key: it.Key()})
	}
	return o
}

// list reads a sequence.
func (r *reader) list(f field) []field {
	if empty(f.node) {
		return nil
	}
	s, ok := f.node.(*ast.SequenceNode)
	if !ok {
		r.kind(f, "must be a list")
		return nil
	}
	out := make([]field, len(s.Values))
	for i, n := range s.Values {
		out[i] = field{node: n, path: fmt.Sprintf("%s[%d]", f.path, i)}
	}
	return out
}

// text reads one value with its references filled in. It reports false, and why,
// where there is none.
func (r *reader) text(f field, secret bool) (string, bool) {
	raw, ok := scalar(f.node)
	if !ok {
		r.kind(f, "must be a single value")
		return "", false
	}
	value, missing := expand(raw, r.lookup)
	if missing != "" {
		if !secret || !r.bare {
			r.fail(f.node, f.path, "the environment variable %s is not set", missing)
		}
		return "", false
	}
	if secret && value == "" {
		r.fail(f.node, f.path, "must not be empty")
		return "", false
	}
	return value, true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func empty(n ast.Node) bool {
	if n == nil {
		return true
	}
	_, null := n.(*ast.NullNode)
	return null
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
