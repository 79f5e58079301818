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
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const module = "volley"

// place is what a package may import, other people's modules and the harmless part
// of the standard library aside.
type place struct {
	// ours are the packages of this module.
	ours []string
	// powers are what only some packages may do.
	powers []string
}

// Powers are imports that most packages have no business with.
const (
	temporal = "the Temporal API"
	client   = "Temporal as a client"
	http     = "HTTP"
	json     = "JSON"
)

// places lists every package of the module with what it may import. Imports
// point one way, from the process at the end of the list to the domain at its
// beginning.
func places() map[string]place {
	return map[string]place{
		"":                     {},
		"internal/message":     {powers: []string{json}},
		"internal/hashset":     {},
		"internal/encryption":  {ours: []string{"internal/message"}, powers: []string{json}},
		"internal/sabotage":    {},
		"internal/tracing":     {powers: []string{http}},
		"internal/phone":       {},
		"internal/indexer":     {ours: []string{"internal/index", "internal/message", "internal/phone", "starter"}, powers: []string{temporal, client, json}},
		"internal/index":       {ours: []string{"internal/encryption", "internal/message", "internal/phone"}, powers: []string{json}},
		"internal/stuck":       {ours: []string{"internal/index", "internal/message", "starter"}},
		"internal/suppression": {ours: []string{"internal/index", "internal/phone"}},
		"internal/person": {
			ours:   []string{"internal/index", "internal/message", "internal/phone", "internal/store", "internal/suppression", "starter"},
			powers: []string{json},
		},
		"internal/dialect":               {ours: []string{"internal/message", "internal/phone"}, powers: []string{json}},
		"internal/provider":              {ours: []string{"internal/message", "internal/phone", "internal/tracing"}, powers: []string{http, json}},
		"internal/provider/providertest": {ours: []string{"internal/message", "internal/provider"}, powers: []string{http, json}},
		"internal/callback":              {ours: []string{"internal/dialect", "internal/message", "internal/provider", "internal/tracing"}, powers: []string{http, json}},
		"internal/store":                 {ours: []string{"internal/encryption", "internal/hashset", "internal/message"}, powers: []string{json}},
		"workflows/contract":             {ours: []string{"internal/message"}, powers: []string{json}},
		"activities": {
			ours:   []string{"internal/callback", "internal/health", "internal/message", "internal/provider", "internal/sabotage", "internal/store", "internal/tracing", "workflows/contract"},
			powers: []string{temporal, json},
		},
		"workflows/internal/flow": {ours: []string{"internal/message", "workflows/contract"}, powers: []string{temporal}},
		"workflows/callbacks": {
			ours:   []string{"internal/message", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"workflows/latereports": {
			ours:   []string{"internal/message", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"workflows/redriven": {
			ours:   []string{"internal/message", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"workflows/holds": {
			ours:   []string{"internal/message", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"internal/holdbook": {ours: []string{"internal/encryption", "internal/message", "workflows/contract"}, powers: []string{temporal, client}},
		"workflows/engine": {
			ours:   []string{"internal/message", "internal/sabotage", "workflows/callbacks", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"workflows/coordinator": {
			ours:   []string{"internal/message", "workflows/callbacks", "workflows/contract", "workflows/internal/flow"},
			powers: []string{temporal},
		},
		"workflows": {
			ours: []string{
				"internal/message", "workflows/callbacks", "workflows/contract", "workflows/coordinator", "workflows/engine", "workflows/holds", "workflows/latereports", "workflows/redriven",
			},
			powers: []string{temporal},
		},
		"internal/flowtest": {
			ours:   []string{"internal/message", "workflows", "workflows/contract"},
			powers: []string{temporal, json},
		},
		"internal/temporalclient": {ours: []string{"internal/encryption", "internal/message", "internal/tracing", "workflows/contract"}, powers: []string{temporal, client, http, json}},
		"internal/announce":       {powers: []string{temporal}},
		"internal/health":         {ours: []string{"internal/announce", "internal/message"}, powers: []string{temporal, json}},
		"internal/keywatch":       {ours: []string{"internal/announce", "internal/encryption", "internal/message", "internal/store", "internal/temporalclient"}, powers: []string{temporal, client}},
		"internal/serverclock":    {powers: []string{temporal, client}},
		"worker": {
			ours:   []string{"internal/health", "internal/holdbook", "internal/message", "internal/provider", "internal/serverclock", "internal/store", "activities", "workflows", "workflows/contract"},
			powers: []string{temporal, client},
		},
		"starter/internal/server": {
			ours:   []string{"internal/encryption", "internal/message", "internal/store", "workflows/contract"},
			powers: []string{temporal, client, json},
		},
		"starter/internal/closeout": {
			ours:   []string{"internal/message", "internal/store", "starter/internal/server", "workflows/contract"},
			powers: []string{temporal, client, json},
		},
		"starter/internal/large": {
			ours:   []string{"internal/message", "internal/store", "starter/internal/closeout", "starter/internal/server", "workflows/contract"},
			powers: []string{temporal},
		},
		"starter/internal/reports": {
			ours:   []string{"internal/message", "internal/store", "internal/tracing", "starter/internal/large", "starter/internal/server", "workflows/contract"},
			powers: []string{temporal, client},
		},
		"starter": {
			ours: []string{
				"internal/health", "internal/holdbook", "internal/message", "internal/phone", "internal/store", "internal/tracing", "activities", "starter/internal/closeout", "starter/internal/large",
				"starter/internal/reports", "starter/internal/server", "workflows/contract",
			},
			powers: []string{temporal, client, json},
		},
		"internal/chaos":    {ours: []string{"internal/message", "starter", "workflows/contract"}, powers: []string{http, json}},
		"internal/intake":   {ours: []string{"internal/dialect", "internal/hashset", "internal/message", "internal/phone"}, powers: []string{json}},
		"internal/nodetest": {},
		"internal/access":   {ours: []string{"internal/message"}, powers: []string{http, json}},
		"internal/audit":    {ours: []string{"internal/index", "internal/message", "starter"}, powers: []string{json}},
		"internal/console": {
			ours:   []string{"internal/access", "internal/audit", "internal/dialect", "internal/index", "internal/intake", "internal/message", "internal/person", "internal/phone", "internal/stuck", "internal/suppression", "starter"},
			powers: []string{http, json},
		},
		"internal/gateway": {
			ours:   []string{"internal/access", "internal/audit", "internal/dialect", "internal/index", "internal/intake", "internal/message", "internal/person", "internal/provider", "internal/stuck", "internal/suppression", "internal/tracing", "starter"},
			powers: []string{http, json},
		},
		"internal/config": {ours: []string{
			"internal/access", "internal/callback", "internal/message", "internal/dialect", "internal/intake", "internal/phone", "internal/provider",
		}},
		"internal/doctor": {
			ours:   []string{"internal/config", "internal/encryption", "internal/index", "internal/keywatch", "internal/message", "internal/provider", "internal/serverclock", "internal/store", "workflows/contract"},
			powers: []string{temporal, http},
		},
		"cmd/volley": {
			ours: []string{
				"internal/audit", "internal/callback", "internal/chaos", "internal/config", "internal/console", "internal/dialect", "internal/doctor", "internal/encryption", "internal/gateway", "internal/health", "internal/index", "internal/indexer", "internal/intake", "internal/keywatch", "internal/message", "internal/person", "internal/phone", "internal/provider", "internal/store", "internal/stuck", "internal/suppression", "internal/temporalclient", "internal/tracing", "starter", "worker",
			},
			powers: []string{temporal, client, http, json},
		},
	}
}

// powersOf are the powers that an import stands for.
func powersOf(imported string) []string {
	switch {
	case imported == "go.temporal.io/sdk/client":
		return []string{temporal, client}
	case strings.HasPrefix(imported, "go.temporal.io/"):
		return []string{temporal}
	case imported == "net/http" || strings.HasPrefix(imported, "net/http/"):
		return []string{http}
	case imported == "encoding/json":
		return []string{json}
	}
	return nil
}

// empty are names that say nothing about what is in a package.
var empty = []string{"base", "common", "helpers", "misc", "models", "pkg", "shared", "types", "util", "utils"}

func TestEveryPackageKeepsItsPlace(t *testing.T) {
	t.Parallel()
	require.Empty(t, check(t, os.DirFS(".")))
}

// Each case breaks one rule in a copy of the tree, and the check has to say so.
func TestTheCheckSeesABrokenRule(t *testing.T) {
	t.Parallel()
	imports := func(pkg, imported string) string {
		return fmt.Sprintf("package %s\n\nimport _ %q\n", pkg, imported)
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"message imports ours": {
			"internal/message/new.go", imports("message", "volley/internal/provider"),
			"internal/message/new.go imports volley/internal/provider: internal/message may import no package of this module",
		},
		"provider knows Temporal": {
			"internal/provider/new.go", imports("provider", "go.temporal.io/sdk/temporal"),
			"internal/provider/new.go imports go.temporal.io/sdk/temporal: internal/provider has nothing to do with the Temporal API",
		},
		"dialect knows providers": {
			"internal/dialect/new.go", imports("dialect", "volley/internal/provider"),
			"internal/dialect/new.go imports volley/internal/provider: internal/dialect may import only internal/message, internal/phone of this module",
		},
		"workflows reach a provider": {
			"workflows/engine/new.go", imports("engine", "volley/internal/provider"),
			"workflows/engine/new.go imports volley/internal/provider: workflows/engine may import only internal/message, internal/sabotage, workflows/callbacks, workflows/contract, workflows/internal/flow of this module",
		},
		"workflows speak HTTP": {
			"workflows/engine/new.go", imports("engine", "net/http"),
			"workflows/engine/new.go imports net/http: workflows/engine has nothing to do with HTTP",
		},
		"workflows read JSON": {
			"workflows/engine/new.go", imports("engine", "encoding/json"),
			"workflows/engine/new.go imports encoding/json: workflows/engine has nothing to do with JSON",
		},
		"callbacks know the engine": {
			"workflows/callbacks/new.go", imports("callbacks", "volley/workflows/engine"),
			"workflows/callbacks/new.go imports volley/workflows/engine: workflows/callbacks may import only internal/message, workflows/contract, workflows/internal/flow of this module",
		},
		"the coordinator runs the engine itself": {
			"workflows/coordinator/new.go", imports("coordinator", "volley/workflows/engine"),
			"workflows/coordinator/new.go imports volley/workflows/engine: workflows/coordinator may import only internal/message, workflows/callbacks, workflows/contract, workflows/internal/flow of this module",
		},
		"the starter runs workflows": {
			"starter/new.go", imports("starter", "volley/workflows"),
			"starter/new.go imports volley/workflows: starter may import only activities, internal/health, internal/holdbook, internal/message, internal/phone, internal/store, internal/tracing, starter/internal/closeout, starter/internal/large, starter/internal/reports, starter/internal/server, workflows/contract of this module",
		},
		"the contract knows Temporal": {
			"workflows/contract/new.go", imports("contract", "go.temporal.io/sdk/workflow"),
			"workflows/contract/new.go imports go.temporal.io/sdk/workflow: workflows/contract has nothing to do with the Temporal API",
		},
		"activities call workflows": {
			"activities/new.go", imports("activities", "volley/workflows"),
			"activities/new.go imports volley/workflows: activities may import only internal/callback, internal/health, internal/message, internal/provider, internal/sabotage, internal/store, internal/tracing, workflows/contract of this module",
		},
		"activities call Temporal": {
			"activities/new.go", imports("activities", "go.temporal.io/sdk/client"),
			"activities/new.go imports go.temporal.io/sdk/client: activities has nothing to do with Temporal as a client",
		},
		"starter opens accounts": {
			"starter/new.go", imports("starter", "volley/internal/provider"),
			"starter/new.go imports volley/internal/provider: starter may import only activities, internal/health, internal/holdbook, internal/message, internal/phone, internal/store, internal/tracing, starter/internal/closeout, starter/internal/large, starter/internal/reports, starter/internal/server, workflows/contract of this module",
		},
		"calls know rows": {
			"starter/internal/server/new.go", imports("server", "volley/starter/internal/large"),
			"starter/internal/server/new.go imports volley/starter/internal/large: starter/internal/server may import only internal/encryption, internal/message, internal/store, workflows/contract of this module",
		},
		"large batches call Temporal themselves": {
			"starter/internal/large/new.go", imports("large", "go.temporal.io/sdk/client"),
			"starter/internal/large/new.go imports go.temporal.io/sdk/client: starter/internal/large has nothing to do with Temporal as a client",
		},
		"large batches know reports": {
			"starter/internal/large/new.go", imports("large", "volley/starter/internal/reports"),
			"starter/internal/large/new.go imports volley/starter/internal/reports: starter/internal/large may import only internal/message, internal/store, starter/internal/closeout, starter/internal/server, workflows/contract of this module",
		},
		"closed runs know rows": {
			"starter/internal/closeout/new.go", imports("closeout", "volley/starter/internal/large"),
			"starter/internal/closeout/new.go imports volley/starter/internal/large: starter/internal/closeout may import only internal/message, internal/store, starter/internal/server, workflows/contract of this module",
		},
		"reports know the face": {
			"starter/internal/reports/new.go", imports("reports", "volley/starter"),
			"starter/internal/reports/new.go imports volley/starter: starter/internal/reports may import only internal/message, internal/store, internal/tracing, starter/internal/large, starter/internal/server, workflows/contract of this module",
		},
		"worker reads the configuration": {
			"worker/new.go", imports("worker", "volley/internal/config"),
			"worker/new.go imports volley/internal/config: worker may import only activities, internal/health, internal/holdbook, internal/message, internal/provider, internal/serverclock, internal/store, workflows, workflows/contract of this module",
		},
		"dev is used": {
			"cmd/volley/new.go", imports("main", "volley/dev/server"),
			"cmd/volley/new.go imports volley/dev/server: nothing outside dev imports dev",
		},
		"an unknown package": {
			"internal/queue/doc.go", "// Package queue waits.\npackage queue\n",
			"internal/queue has no line in layering_test.go: say what it may import",
		},
		"a name that says nothing": {
			"internal/utils/doc.go", "// Package utils is anything.\npackage utils\n",
			`internal/utils: "utils" says nothing about what is in it`,
		},
		"a package without a comment": {
			"worker/doc.go", "package worker\n",
			"worker has no package comment, neither in doc.go nor in the file that bears its name",
		},
		"two package comments": {
			"worker/new.go", "// Package worker works.\npackage worker\n",
			"worker has 2 package comments, in doc.go, new.go: one is enough",
		},
		"the server is required": {
			"go.mod", "module volley\n\nrequire (\n\tgo.temporal.io/server v1.32.1 // indirect\n)\n",
			"go.mod requires go.temporal.io/server: only dev brings a server",
		},
		"the sandbox knows the senders": {
			"dev/sandbox/new.go", imports("sandbox", "volley/internal/provider"),
			"dev/sandbox/new.go imports volley/internal/provider: the sandbox judges the senders and knows none of their code",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := copied(t)
			tree[c.file] = &fstest.MapFile{Data: []byte(c.text)}
			require.Contains(t, check(t, tree), c.want)
		})
	}
	t.Run("a line without a package", func(t *testing.T) {
		t.Parallel()
		tree := copied(t)
		for name := range tree {
			if strings.HasPrefix(name, "worker/") {
				delete(tree, name)
			}
		}
		require.Contains(t, check(t, tree), "worker has a line in layering_test.go and no files")
	})
}

// copied is the tree as far as check reads it.
func copied(t *testing.T) fstest.MapFS {
	t.Helper()
	real, tree := os.DirFS("."), fstest.MapFS{}
	names := append(goFiles(t, real), "go.mod")
	for _, name := range names {
		data, err := fs.ReadFile(real, name)
		require.NoError(t, err)
		tree[name] = &fstest.MapFile{Data: data}
	}
	return tree
}

// check returns a sentence for every rule that a file of the tree breaks.
func check(t *testing.T, tree fs.FS) (broken []string) {
	t.Helper()
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	comments := map[string][]string{} // by package, the files with a package comment
	for _, name := range goFiles(t, tree) {
		file := parse(t, tree, name)
		dir := strings.TrimPrefix(path.Dir(name), ".")
		if dir == "deploy" || dir == "dev" || strings.HasPrefix(dir, "dev/") {
			broken = append(broken, sandboxed(name, dir, file)...)
			continue
		}
		if comments[dir] == nil {
			comments[dir] = []string{}
		}
		if file.Doc != nil {
			comments[dir] = append(comments[dir], path.Base(name))
		}
		if p, known := places()[dir]; known {
			broken = append(broken, p.breaches(name, dir, file)...)
		}
	}
	for dir, files := range comments {
		if _, known := places()[dir]; !known {
			say("%s has no line in layering_test.go: say what it may import", dir)
		}
		if slices.Contains(empty, path.Base(dir)) {
			say("%s: %q says nothing about what is in it", dir, path.Base(dir))
		}
		switch {
		case len(files) > 1:
			say("%s has %d package comments, in %s: one is enough", dir, len(files), strings.Join(files, ", "))
		case len(files) == 0 || !slices.Contains([]string{"doc.go", "main.go", path.Base(dir) + ".go"}, files[0]):
			say("%s has no package comment, neither in doc.go nor in the file that bears its name", dir)
		}
	}
	for dir := range places() {
		if comments[dir] == nil {
			say("%s has a line in layering_test.go and no files", dir)
		}
	}
	mod, err := fs.ReadFile(tree, "go.mod")
	require.NoError(t, err)
	if strings.Contains(string(mod), "go.temporal.io/server ") {
		say("go.mod requires go.temporal.io/server: only dev brings a server")
	}
	slices.Sort(broken)
	return broken
}

// breaches are the imports of a file that its package may not have.
func (p place) breaches(name, dir string, file *ast.File) (broken []string) {
	for _, imported := range importsOf(file) {
		own, ours := strings.CutPrefix(imported, module+"/")
		switch {
		case ours && (own == "dev" || strings.HasPrefix(own, "dev/")):
			broken = append(broken, fmt.Sprintf("%s imports %s: nothing outside dev imports dev", name, imported))
		case ours && !slices.Contains(p.ours, own):
			broken = append(broken, fmt.Sprintf("%s imports %s: %s may import %s of this module", name, imported, dir, p.allowed()))
		}
		for _, power := range powersOf(imported) {
			if !slices.Contains(p.powers, power) {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s has nothing to do with %s", name, imported, dir, power))
			}
		}
	}
	return broken
}

func (p place) allowed() string {
	if len(p.ours) == 0 {
		return "no package"
	}
	return "only " + strings.Join(slices.Sorted(slices.Values(p.ours)), ", ")
}

// sandboxed are the imports that dev/sandbox, a judge of the senders, may not
// have. The other packages of dev may know everything.
func sandboxed(name, dir string, file *ast.File) (broken []string) {
	if dir != "dev/sandbox" {
		return nil
	}
	for _, imported := range importsOf(file) {
		if strings.HasPrefix(imported, module+"/") {
			broken = append(broken, fmt.Sprintf(
				"%s imports %s: the sandbox judges the senders and knows none of their code", name, imported))
		}
	}
	return broken
}

func importsOf(file *ast.File) (paths []string) {
	for _, spec := range file.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, imported)
		}
	}
	return paths
}

// parse reads a file's package clause and imports.
func parse(t *testing.T, tree fs.FS, name string) *ast.File {
	t.Helper()
	data, err := fs.ReadFile(tree, name)
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly|parser.ParseComments)
	require.NoError(t, err)
	return file
}

// goFiles are the Go files of the tree without tests, sorted.
func goFiles(t *testing.T, tree fs.FS) (names []string) {
	t.Helper()
	walkGo(t, tree, func(name string) {
		if !strings.HasSuffix(name, "_test.go") {
			names = append(names, name)
		}
	})
	return names
}

// walkGo calls visit with every Go file of the tree, sorted.
func walkGo(t *testing.T, tree fs.FS, visit func(name string)) {
	t.Helper()
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bin"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(base, ".go"):
			visit(name)
		}
		return nil
	}))
}
