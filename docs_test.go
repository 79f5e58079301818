package volley_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
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

// Whoever opens docs/ finds every page in its index, and the index from the README.
func TestEveryPageOfDocsIsInTheIndex(t *testing.T) {
	t.Parallel()
	all := pages(t)
	index := all["docs/README.md"]
	require.Contains(t, all["README.md"], "](docs/README.md)")
	for name := range all {
		if inside, ok := strings.CutPrefix(name, "docs/"); ok && inside != "README.md" {
			require.Equal(t, 1, strings.Count(index, "]("+inside+")"), "docs/README.md has %s once", inside)
		}
	}
}

// The configuration of the page for a first message is one that Volley takes.
func TestTheConfigOfTheFirstSMSCanBeRead(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^echo '(accounts: .*)' > volley.yaml$`).FindStringSubmatch(pages(t)["docs/first-sms.md"])
	require.NotNil(t, line)
	file := path.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(file, []byte(line[1]+"\n"), 0o600))
	env := map[string]string{"BIRD_WORKSPACE": "11111111-2222-4333-8444-555555555555", "BIRD_CHANNEL": "66666666-7777-4888-8999-000000000000", "BIRD_ACCESS_KEY": "k"}
	c, err := config.Load(file, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	require.NoError(t, err)
	accounts := c.Accounts()
	require.Len(t, accounts, 1)
	require.Equal(t, env["BIRD_WORKSPACE"], accounts[0].Workspace)
	require.Equal(t, env["BIRD_CHANNEL"], accounts[0].Channel)
}

func TestTheReadmeIsShort(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), 150)
}

// A test that the documents name is one that there is.
func TestTheDocumentsNameTestsThatThereAre(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	there := map[string]bool{}
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		code, err := os.ReadFile(name)
		for _, m := range declared.FindAllStringSubmatch(string(code), -1) {
			there[m[1]] = true
		}
		return err
	}))
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	some := 0
	for name, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			some++
			require.True(t, there[m[1]], "%s names %s", name, m[1])
		}
	}
	require.Positive(t, some)
}
