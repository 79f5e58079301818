package volley_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// A test that sleeps is slow on a fast machine and fails on a busy one: tests wait for what
// they expect. In a bubble of testing/synctest a sleep takes no time.
func TestNoTestSleepsOutsideOfABubble(t *testing.T) {
	t.Parallel()
	require.Empty(t, sleepsIn(t, os.DirFS(".")))
}

func TestTheCheckOfSleepsSeesThem(t *testing.T) {
	t.Parallel()
	const head = "package a\n\nimport (\n\t\"testing\"\n\t\"testing/synctest\"\n\t\"time\"\n)\n\n"
	tree := fstest.MapFS{
		"a/a.go": {Data: []byte("package a\n\nimport \"time\"\n\nfunc Wait() { time.Sleep(1) }\n")},
		"a/a_test.go": {Data: []byte(head + "func TestA(t *testing.T) { time.Sleep(1) }\n\nfunc TestG(t *testing.T) { <-time.After(1) }\n\n" +
			"func TestH(t *testing.T) {\n\tselect {\n\tcase <-time.After(1):\n\tcase <-t.Context().Done():\n\t}\n}\n")},
		"a/bubble_test.go": {Data: []byte(head +
			"func TestB(t *testing.T) {\n\tsynctest.Test(t, func(t *testing.T) { time.Sleep(1); nap(); (&slow{}).f() })\n}\n")},
		"a/helper_test.go": {Data: []byte(head +
			"type slow struct{}\n\nfunc (*slow) f() { time.Sleep(1) }\n\ntype lab struct{ s slow }\n\nfunc newLab() *lab { return &lab{} }\n\nfunc nap() { time.Sleep(1) }\n")},
		"a/used_test.go": {Data: []byte(head +
			"func TestC(t *testing.T) { nap() }\n\nfunc TestD(t *testing.T) { _ = newLab() }\n\nfunc BenchmarkE(b *testing.B) { nap() }\n")},
		"b/b_test.go": {Data: []byte(head + "func nap() {}\n\nfunc TestF(t *testing.T) { nap() }\n")},
	}
	require.Equal(t, []string{
		"a/a_test.go: TestA sleeps in time.Sleep outside of a bubble",
		"a/a_test.go: TestG sleeps in time.Sleep outside of a bubble",
		"a/used_test.go: TestC sleeps in nap outside of a bubble",
		"a/used_test.go: TestD sleeps in newLab outside of a bubble",
	}, sleepsIn(t, tree))
}

// asleep stands for a sleep among the names that a declaration mentions.
const asleep = "time.Sleep"

// sleepsIn returns a sentence for each test of the tree that sleeps where time is real, by itself or
// in what it uses of its package's tests. Benchmarks may: they measure time.
func sleepsIn(t *testing.T, tree fs.FS) (found []string) {
	t.Helper()
	type declaration struct {
		file, name string
		// mentions are the names outside of bubbles.
		mentions map[string]bool
	}
	folders := map[string][]declaration{}
	walkGo(t, tree, func(name string) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		data, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
		require.NoError(t, err)
		dir := path.Dir(name)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				folders[dir] = append(folders[dir], declaration{name, declared(d), outsideBubbles(d)})
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok {
						folders[dir] = append(folders[dir], declaration{name, s.Name.Name, outsideBubbles(s.Type)})
					}
				}
			}
		}
	})
	isTest := regexp.MustCompile(`^(Test|Fuzz|Example)`)
	for _, all := range folders {
		sleepy := map[string]bool{asleep: true}
		for more := true; more; {
			more = false
			for _, d := range all {
				if sleepy[d.name] || isTest.MatchString(d.name) {
					continue
				}
				for name := range d.mentions {
					if sleepy[name] {
						sleepy[d.name], more = true, true
					}
				}
			}
		}
		for _, d := range all {
			for name := range d.mentions {
				if sleepy[name] && isTest.MatchString(d.name) {
					found = append(found, fmt.Sprintf("%s: %s sleeps in %s outside of a bubble", d.file, d.name, name))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// declared is the name of a function, for a method that of its type.
func declared(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	return of.(*ast.Ident).Name
}

// outsideBubbles are the names in a declaration that are not inside of a call of synctest.Test, and
// asleep where a function sleeps there. Fields, methods and other packages' names are left out.
func outsideBubbles(declaration ast.Node) map[string]bool {
	names := map[string]bool{}
	var visit func(ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if isCall(n, "time", "Sleep") {
				names[asleep] = true
			}
			return !isCall(n, "synctest", "Test")
		case *ast.CommClause: // one way out of several, as a timeout is
			if n.Comm != nil {
				ast.Inspect(n.Comm, func(n ast.Node) bool {
					if s, ok := n.(*ast.ExprStmt); ok {
						n = s.X
					}
					ast.Inspect(n, visit)
					return false
				})
			}
			for _, s := range n.Body {
				ast.Inspect(s, visit)
			}
			return false
		case *ast.ExprStmt:
			if receive, ok := n.X.(*ast.UnaryExpr); ok && isCall(receive.X, "time", "After") {
				names[asleep] = true
			}
		case *ast.SelectorExpr:
			ast.Inspect(n.X, visit)
			return false
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	}
	ast.Inspect(declaration, visit)
	return names
}

// isCall says whether n calls the function of that name of a package.
func isCall(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := f.X.(*ast.Ident)
	return ok && of.Name == pkg && f.Sel.Name == name
}
