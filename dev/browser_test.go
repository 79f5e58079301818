package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"volley/internal/nodetest"
)

// browser is a real one, with a tab.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string
	axe  string
}

// openBrowser starts Debian's Chromium. Without it, and without axe-core, the test is skipped.
func openBrowser(t *testing.T, base string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs Chromium, and there is no chromium on the path")
	}
	axe := string(nodetest.Install(t, filepath.Join("testdata", "axe"))("source.mjs"))
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU)
	actx, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), o...)
	t.Cleanup(end)
	ctx, end := chromedp.NewContext(actx)
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(end)
	require.NoError(t, chromedp.Run(ctx)) // it lives as long as the context of its first run
	return &browser{t: t, ctx: ctx, base: base, axe: axe}
}

func (b *browser) run(what string, actions ...chromedp.Action) {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, 30*time.Second)
	defer end()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var at, text string
		ctx, end := context.WithTimeout(b.ctx, 10*time.Second)
		defer end()
		_ = chromedp.Run(ctx, chromedp.Location(&at), chromedp.Text("body", &text, chromedp.ByQuery))
		require.NoError(b.t, err, "%s, at %s:\n%s", what, at, text)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.run("open "+path, chromedp.Navigate(b.base+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
}

// press clicks the link or button in the content that says so, and waits for the page after.
func (b *browser) press(says string) {
	b.t.Helper()
	b.run("press "+says, chromedp.Click(fmt.Sprintf(`//main//*[self::a or self::button][starts-with(normalize-space(.), %q)]`, says), chromedp.BySearch))
}

// see waits until the content has a text.
func (b *browser) see(text string) {
	b.t.Helper()
	b.until("see "+text, fmt.Sprintf(`!!document.querySelector("main")?.innerText.includes(%q)`, text))
}

// until waits until something is true of the page, or of one that the tab goes to meanwhile.
func (b *browser) until(what, is string) {
	b.t.Helper()
	for deadline := time.Now().Add(25 * time.Second); time.Now().Before(deadline); {
		var yes bool
		if err := chromedp.Run(b.ctx, chromedp.Evaluate(is, &yes), chromedp.Sleep(50*time.Millisecond)); err == nil && yes {
			return
		}
		require.NoError(b.t, b.ctx.Err(), what)
	}
	var at, text string
	_ = chromedp.Run(b.ctx, chromedp.Location(&at), chromedp.Text("main", &text, chromedp.ByQuery))
	require.Fail(b.t, what, "at %s:\n%s", at, text)
}

// path is where the tab is.
func (b *browser) path() (at string) {
	b.t.Helper()
	b.run("location", chromedp.Location(&at))
	return strings.TrimPrefix(at, b.base)
}

// check finds what is wrong with a page for people, at both widths and in both schemes.
func (b *browser) check(name, path string) {
	b.t.Helper()
	for _, width := range []int64{1280, 320} {
		for _, scheme := range []string{"light", "dark"} {
			var wrong []string
			var wider bool
			b.run(name,
				chromedp.EmulateViewport(width, 900),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Navigate(b.base+path), chromedp.WaitVisible("h1", chromedp.ByQuery),
			)
			b.checkHere(fmt.Sprintf("%s-%d-%s", name, width, scheme), &wrong, &wider)
		}
	}
	b.run("back to a wide page", chromedp.EmulateViewport(1280, 900))
}

// checkHere finds what is wrong with the page as it is.
func (b *browser) checkHere(name string, wrong *[]string, wider *bool) {
	b.t.Helper()
	b.run(name,
		chromedp.Evaluate(b.axe+";0", nil),
		chromedp.Evaluate(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
			r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + " " + n.failureSummary)))`,
			wrong, chromedp.EvalAsValue, awaitPromise),
		chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, wider),
	)
	require.Empty(b.t, *wrong, name)
	require.False(b.t, *wider, "%s scrolls sideways", name)
	if dir := os.Getenv("VOLLEY_PICTURES"); dir != "" {
		var png []byte
		b.run(name, chromedp.FullScreenshot(&png, 100))
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
	}
}
