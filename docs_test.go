package volley_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pages are the Markdown files of the tree by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	tree, found := os.DirFS("."), map[string]string{}
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(path.Base(name), ".") || path.Base(name) == "testdata" || name == "bin"):
			return fs.SkipDir
		case path.Ext(name) == ".md":
			text, err := fs.ReadFile(tree, name)
			found[name] = string(text)
			return err
		}
		return nil
	}))
	require.Contains(t, found, "README.md")
	return found
}

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			_, err := os.Stat(path.Join(path.Dir(name), m[1]))
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
}

func TestNamedMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for name, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			require.Regexp(t, `(?m)^`+m[1]+`:`, string(makefile), "%s names make %s", name, m[1])
		}
	}
}

func TestNamedFilesExist(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`((?:cmd|workflows|activities|worker|starter|internal|dev|docs|examples|deploy)/[A-Za-z0-9_./-]+)`")
	for name, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(m[1])
			require.NoError(t, err, "%s names %s", name, m[1])
		}
	}
}

func TestTheReadmeIsShort(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), 150)
}
