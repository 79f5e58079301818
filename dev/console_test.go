package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// list has a message that is delivered, one that is not, one that the provider refuses, and
// a few more.
const list = "Phone,name\n+15550001111,Ann\n+15550002222,Bartholomew the Third\n+15550003333,Zoë\n+15550009909,Una\n+15550009901,Rex\n"

// The pages and controls are walked as a person does, in a real browser.
func TestTheConsoleInABrowser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o, err := parse(free("up", "--no-ui", "--state-dir", dir), io.Discard)
	require.NoError(t, err)
	s, err := start(t.Context(), o, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	b := openBrowser(t, s.console)

	b.open("/")
	b.see("All well")
	sent := b.send(t, "Spring sale", "")
	b.see("completed")
	b.see("Success")
	b.check("batch", sent)

	b.open(sent + "?state=failed")
	b.see("failed")
	b.open("/find?q=%2B15550009909")
	b.see("sent by hook")
	if !strings.HasPrefix(b.path(), sent+"/messages/") {
		b.open(sent + "/messages/3")
	}
	b.see("What happened")
	b.check("message", sent+"/messages/3")
	b.run("the key of the search", chromedp.KeyEvent("/"))
	b.until("the search has the focus", `document.activeElement?.id === "search"`)

	later := b.send(t, "Winter letter", "2027-01-15T09:00")
	b.see("scheduled")
	b.press("Pause")
	b.see("5 messages have not ended?")
	b.check("question", later+"/control/pause")
	b.press("Pause")
	b.see("Paused")
	b.press("Back to the batch")
	b.see("paused")
	b.press("Resume")
	b.see("Resume Winter letter")
	b.press("Resume")
	b.see("Resumed")
	b.open(later)
	b.press("Move to another time")
	b.see("to another time?")
	b.press("No, go back")
	b.press("Cancel")
	b.see("Cancel 5 messages of Winter letter")
	b.press("Cancel 5 messages")
	b.see("Canceled")

	b.open(sent)
	b.see("1: the recipient is away") // the report has come
	b.press("Send again")
	b.see("to those who did not get it?")
	b.press("Send them again")
	b.see("in the new batch")

	b.open("/accounts")
	b.press("Hold hook")
	b.see("Hold hook, for which")
	b.run("why", chromedp.SendKeys("#f-reason", "key rotation", chromedp.ByQuery))
	b.press("Hold")
	b.see("Held")
	b.open("/")
	b.see("hook is held")
	b.see("key rotation")
	b.check("wrong", "/")
	b.press("Release")
	b.see("Release hook")
	b.press("Release")
	b.see("Released")
	b.open("/")
	b.until("nothing is held", `!document.querySelector("main").innerText.includes("hook is held")`)
	b.see("4 of 12 through hook failed")

	suppressAndForget(b, sent)

	b.open("/stuck")
	b.see("Nothing is stuck")
	b.check("stuck", "/stuck")
	b.check("now", "/")
	b.check("find", "/find")
	b.check("batches", "/batches")
	b.check("accounts", "/accounts")
	b.check("new", "/new")
	b.open("/log")
	b.see("cancel")
	b.see("console")
	b.check("log", "/log")
	b.check("nothing", "/no-such-page")
}

// suppressAndForget suppresses, exports and forgets somebody, as a supporter is asked to.
func suppressAndForget(b *browser, sent string) {
	b.t.Helper()
	b.open(sent + "/messages/0")
	b.see("This person")
	b.press("Never write to this person again")
	b.see("Never write to +15550001111 again? No message waits for them.")
	b.check("suppress", "/suppressions/add?recipient=%2B15550001111")
	b.run("why", chromedp.SendKeys("#f-reason", "asked on the phone", chromedp.ByQuery))
	b.press("Never write to them again")
	b.see("On the suppression list")
	b.press("See the list")
	b.see("asked on the phone")
	file := filepath.Join(b.t.TempDir(), "left.csv")
	require.NoError(b.t, os.WriteFile(file, []byte("recipient,reason\n+15550004444,moved\n"), 0o600))
	b.run("a file", chromedp.SetUploadFiles("#f-file", []string{file}, chromedp.ByQuery))
	b.press("Import")
	b.see("Never write to 1 recipient again?")
	b.press("Add 1 recipient")
	b.see("On the suppression list")
	b.check("suppressions", "/suppressions?check=%2B15550004444")
	b.open("/suppressions?check=%2B15550004444")
	b.see("+15550004444 is suppressed")
	b.press("Remove +15550004444")
	b.see("Write to +15550004444 again?")
	b.press("Take off the list")
	b.see("Taken off the list")

	b.open(sent + "/messages/1")
	b.press("Forget")
	b.see("would be forgotten")
	b.see("Histories in Temporal")
	b.check("forget", "/person/forget?tenant=default&person=%2B15550002222")
	b.run("who", chromedp.SendKeys("#f-typed", "+15550002222", chromedp.ByQuery))
	b.run("forget", chromedp.Click(`.question button`, chromedp.ByQuery))
	b.see("Forgotten")
	b.see("backups of Temporal")
}

// send starts a batch as a person does, and returns where it is.
func (b *browser) send(t *testing.T, campaign, at string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(file, []byte(list), 0o600))
	b.open("/new")
	b.run("fill in",
		chromedp.SendKeys("#f-text", "Hi ${name}, 20 % off until Sunday", chromedp.ByQuery),
		chromedp.SendKeys("#f-campaign", campaign, chromedp.ByQuery),
		chromedp.SendKeys("#f-channel", "SMS", chromedp.ByQuery),
		chromedp.SetValue("#f-at", at, chromedp.ByQuery),
		chromedp.SetUploadFiles("#f-file", []string{file}, chromedp.ByQuery),
	)
	b.see("Columns")
	b.see("Placeholders take the columns")
	b.run("map", chromedp.SetValue("#c-to", "Phone", chromedp.ByQuery))
	b.press("Check again")
	b.see("5 messages can be sent")
	b.see("Hi Bartholomew the Third")
	b.see("SMS part")
	var wrong []string
	var wider bool
	b.checkHere("checked-"+strings.Fields(campaign)[0], &wrong, &wider)
	button := "Send 5 messages"
	if at != "" {
		button = "Schedule 5 messages"
	}
	b.run("also if the same went out before", chromedp.Click(`input[name=again]`, chromedp.ByQuery))
	b.press(button)
	b.until("the batch", `location.pathname.startsWith("/batches/")`)
	b.see("How they stand")
	return b.path()
}
