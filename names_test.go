package volley_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/stretchr/testify/require"
)

// jargon lists words that were once names of our own for what the field has a name for:
// nobody who searches for a queue or a retry finds them. docs/GLOSSARY.md has the names
// that stand in their place.
var jargon = strings.Fields(`
	arrival arrive asked away
	bed beat begintale
	carry cleared conductor cutshort cutter crew
	damage decline disorder divert door doubt
	enough errand extent
	fate firsts flying foreteller fresh freshest front
	gate gathered gathering given
	heard hear held herald holder home homes
	inturn
	keeper
	lane lates laid lay layover lean leave letter likeness lingers look
	moment moved
	never news nowhere
	obey outlook own
	patience placed play pulse
	recall remembered rest rests ruin ruinlook ruinof
	said salvage shared sieve sift sightings sooner spares spot standing steer stood storeless story strike
	taker taken tale tell texts told trip turn turns twice twin twins
	untold
	vanished void
	walk way ways
	young`)

// Names are read by people who know Go, Temporal and messaging, and nothing of how this
// program came about.
func TestNoTypeOrFileIsNamedInJargon(t *testing.T) {
	t.Parallel()
	require.Empty(t, jargonIn(t, os.DirFS(".")))
}

func TestTheCheckOfNamesSeesJargon(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"internal/a/lane.go":             {Data: []byte("package a\n")},
		"internal/a/old_tale_test.go":    {Data: []byte("package a\n")},
		"internal/a/queue.go":            {Data: []byte("package a\n\ntype (\n\tTrip struct{}\n\tqueue struct{}\n)\n\nfunc f() { type pulse int }\n")},
		"internal/twice/doc.go":          {Data: []byte("package twice\n")},
		"internal/a/testdata/tale.go":    {Data: []byte("no Go at all")},
		"internal/a/bedtime_lanes.go":    {Data: []byte("package a\n\ntype tripFee struct{}\n")},
		"internal/a/unrelated_window.go": {Data: []byte("package a\n")},
	}
	require.Equal(t, []string{
		"internal/a/lane.go: \"lane\" is no name of the field",
		"internal/a/old_tale_test.go: \"tale\" is no name of the field",
		"internal/a/queue.go: type Trip is no name of the field",
		"internal/a/queue.go: type pulse is no name of the field",
		"internal/twice/doc.go: \"twice\" is no name of the field",
	}, jargonIn(t, tree))
}

// jargonIn returns a sentence for each file, folder and type of the tree that is named
// in jargon, in tests and dev too.
func jargonIn(t *testing.T, tree fs.FS) (found []string) {
	t.Helper()
	walkGo(t, tree, func(name string) {
		stem := strings.TrimSuffix(name, ".go")
		parts := append(strings.Split(path.Dir(stem), "/"), strings.Split(path.Base(stem), "_")...)
		for _, part := range parts {
			if slices.Contains(jargon, part) {
				found = append(found, fmt.Sprintf("%s: %q is no name of the field", name, part))
			}
		}
		data, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if ok && slices.Contains(jargon, strings.Map(unicode.ToLower, spec.Name.Name)) {
				found = append(found, fmt.Sprintf("%s: type %s is no name of the field", name, spec.Name.Name))
			}
			return true
		})
	})
	slices.Sort(found)
	return found
}

// docs/GLOSSARY.md is read beside the code, so each type that it names is there.
func TestEveryTypeOfTheGlossaryExists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/GLOSSARY.md")
	require.NoError(t, err)
	types := typesByPackage(t, os.DirFS("."))
	var terms []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "-") || strings.TrimSpace(cells[0]) == "term" {
			continue
		}
		terms = append(terms, strings.TrimSpace(cells[0]))
		pkg, name, _ := strings.Cut(strings.Trim(cells[2], " `"), ".")
		require.Contains(t, types[pkg], name, "%s: package %s has no type %s", terms[len(terms)-1], pkg, name)
	}
	require.NotEmpty(t, terms)
	require.IsIncreasing(t, terms, "the terms stand in order, each once")
}

// typesByPackage lists the types that the packages of each name declare, without tests.
func typesByPackage(t *testing.T, tree fs.FS) map[string][]string {
	t.Helper()
	types := map[string][]string{}
	for _, name := range goFiles(t, tree) {
		data, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				for _, spec := range gen.Specs {
					types[file.Name.Name] = append(types[file.Name.Name], spec.(*ast.TypeSpec).Name.Name)
				}
			}
		}
	}
	return types
}
