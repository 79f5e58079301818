package workflows_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/workflows/contract"
)

// A gate whose name is not listed cannot be deferred, and one that is listed and stands
// nowhere tells nothing.
func TestEveryGateOfAChangeIsListed(t *testing.T) {
	t.Parallel()
	names := changeNames(t)
	var values []string
	used := map[string]bool{}
	for _, name := range names {
		values = append(values, name)
	}
	require.ElementsMatch(t, values, contract.Changes())
	eachGate(t, func(at token.Position, name string) {
		require.Contains(t, names, name, "%s: the change of GetVersion is a constant contract.Change…", at)
		used[name] = true
	})
	for name := range names {
		require.True(t, used[name], "contract.%s gates nothing", name)
	}
}

// changeNames are the constants contract.Change… and their values.
func changeNames(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("contract", "changes.go"), nil, 0)
	require.NoError(t, err)
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			names[v.Names[0].Name] = strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
		}
		return true
	})
	return names
}

// eachGate tells of every GetVersion in workflow code, and what its change is called there.
func eachGate(t *testing.T, tell func(at token.Position, name string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "GetVersion" {
				name := ""
				if arg, ok := call.Args[1].(*ast.SelectorExpr); ok {
					name = arg.Sel.Name
				}
				tell(set.Position(call.Pos()), name)
			}
			return true
		})
		return nil
	}))
}
