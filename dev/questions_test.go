package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// visitor is one person with a browser, before the console of a stack whose account hook cannot
// be asked what it took.
type visitor struct {
	*browser
	s *stack
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	dir := t.TempDir()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	config := filepath.Join(dir, "volley.yaml")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(`store: "file://%[1]s/store"
index: {url: "sqlite://%[1]s/index.db"}
accounts:
  hook: {provider: webhook, url: "http://127.0.0.1:%[2]s/webhook", secret: %[3]q, report_secret: %[3]q, reconcile: false, settle: 1s, rate: 10/s}
routes: [{dialect: volley, hops: [hook]}]
tenants: {default: {keys: [visitors-gateway-key]}}
search_metadata: [campaign]
`, dir, port, hookSecret)), 0o600))
	o, err := parse(append(free("up", "--no-ui", "--state-dir", dir, "--config", config), "--sandbox-port", port), io.Discard)
	require.NoError(t, err)
	s, err := start(t.Context(), o, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	_, err = s.starter.SetupStore(t.Context(), false)
	require.NoError(t, err)
	return &visitor{openBrowser(t, s.console), s}
}

// got counts what the provider has to somebody.
func (w *visitor) got(to string) (n int) {
	for _, m := range w.s.sandbox.Received() {
		if m.To == to {
			n++
		}
	}
	return n
}

// go to a page by the navigation.
func (w *visitor) nav(page string) {
	w.t.Helper()
	w.run("to "+page, chromedp.Click(fmt.Sprintf(`//nav//a[normalize-space(.)=%q]`, page), chromedp.BySearch))
	w.until("at "+page, fmt.Sprintf(`document.querySelector("nav [aria-current]")?.innerText === %q && document.readyState === "complete"`, page))
}

// search looks for somebody as a person does who knows the key of the search.
func (w *visitor) search(text string) {
	w.t.Helper()
	w.run("search "+text, chromedp.Evaluate(`document.activeElement.blur()`, nil),
		input.DispatchKeyEvent(input.KeyDown).WithKey("/").WithCode("Slash").WithText("/"), input.DispatchKeyEvent(input.KeyUp).WithKey("/").WithCode("Slash"),
		chromedp.KeyEvent(text+kb.Enter))
	w.until("the answer", fmt.Sprintf(`document.readyState === "complete" && document.getElementById("search").value === %q && location.href.includes("q=")`, text))
}

// fill fills in the field with a label.
func (w *visitor) fill(label, text string) {
	w.t.Helper()
	var id, kind string
	w.until("the field "+label, fmt.Sprintf(`[...document.querySelectorAll("main label")].some((l) => l.innerText.trim().startsWith(%q))`, label))
	w.run("the field "+label, chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll("main label")].find((l) => l.innerText.trim().startsWith(%q))?.htmlFor || ""`, label), &id))
	require.NotEmpty(w.t, id, "a field with the label %q", label)
	w.run("what it is", chromedp.Evaluate(fmt.Sprintf(`((e) => e.tagName + e.type)(document.getElementById(%q))`, id), &kind))
	at := "#" + id
	switch {
	case strings.HasPrefix(kind, "SELECT"):
		w.run("choose "+text, chromedp.Evaluate(fmt.Sprintf(`((e) => { e.value = [...e.options].find((o) => o.text === %q).value; e.dispatchEvent(new Event("change", {bubbles: true})); })(document.getElementById(%q))`, text, id), nil))
	case kind == "INPUTfile":
		w.run("choose "+text, chromedp.SetUploadFiles(at, []string{text}, chromedp.ByQuery))
	case kind == "INPUTdatetime-local":
		w.run("set "+text, chromedp.SetValue(at, text, chromedp.ByQuery))
	default:
		w.run("type "+text, chromedp.Evaluate(fmt.Sprintf(`((e) => { e.focus(); e.select(); })(document.getElementById(%q))`, id), nil), chromedp.KeyEvent(text))
	}
}

// file writes a list of recipients.
func (w *visitor) file(to ...string) string {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("to,name\n")
	for i, who := range to {
		fmt.Fprintf(&b, "%s,%s\n", who, []string{"Ann", "Bartholomew", "Zoë", "Jo"}[i%4])
	}
	path := filepath.Join(w.t.TempDir(), "list.csv")
	require.NoError(w.t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// newBatch fills in the form of a batch until it is checked.
func (w *visitor) newBatch(campaign, text, at string, to ...string) {
	w.t.Helper()
	w.nav("New batch")
	w.fill("Text", text)
	w.fill("Name of the campaign", campaign)
	if at != "" {
		w.fill("At", at)
		w.fill("Time zone", "Europe/Berlin")
	}
	w.fill("CSV or JSON lines", w.file(to...))
	w.see(" can be sent")
}

// sends starts a batch and returns its id.
func (w *visitor) sends(campaign, at string, to ...string) string {
	w.t.Helper()
	w.newBatch(campaign, "Hi ${name}, this is "+campaign, at, to...)
	w.see(message.Plural(len(to), "message") + " can be sent")
	if at == "" {
		w.press("Send " + message.Plural(len(to), "message"))
	} else {
		w.press("Schedule " + message.Plural(len(to), "message"))
	}
	w.until("the batch", `location.pathname.startsWith("/batches/") && document.readyState === "complete"`)
	parts := strings.Split(w.path(), "/")
	return parts[len(parts)-1]
}

// ends waits until a batch has ended.
func (w *visitor) ends(id string) message.Status {
	w.t.Helper()
	st, err := w.s.starter.Wait(w.t.Context(), starter.Ref{ID: id})
	require.NoError(w.t, err)
	return st
}

// status is how a batch stands when it is as wanted.
func (w *visitor) status(id string, is func(message.Status) bool) (st message.Status) {
	w.t.Helper()
	require.Eventually(w.t, func() (yes bool) {
		now, err := w.s.starter.Status(w.t.Context(), starter.Ref{ID: id})
		if yes = err == nil && is(now); yes {
			st = now
		}
		return yes
	}, time.Minute, 50*time.Millisecond)
	return st
}

// rows are the messages of a batch.
func (w *visitor) rows(id string) (rows []message.Row) {
	w.t.Helper()
	for row, err := range w.s.starter.Results(w.t.Context(), starter.Ref{ID: id}, starter.ResultQuery{}) {
		require.NoError(w.t, err)
		rows = append(rows, row)
	}
	return rows
}

// again repeats what a person does until the page has a text: the index may be seconds behind.
func (w *visitor) again(do func(), text string) {
	w.t.Helper()
	for range 60 {
		do()
		var yes bool
		w.run("look for "+text, chromedp.Evaluate(fmt.Sprintf(`(document.querySelector("main")?.innerText ?? "").includes(%q)`, text), &yes), chromedp.Sleep(200*time.Millisecond))
		if yes {
			return
		}
	}
	w.see(text)
}

// text is what the page says.
func (w *visitor) text() (text string) {
	w.t.Helper()
	w.run("read", chromedp.Evaluate(`document.querySelector("main").innerText`, &text))
	return text
}

// The questions of docs/questions.md are answered in a real browser, from the first page on,
// by what stands on the pages: nobody types an address.
func TestEightQuestionsAreAnsweredInABrowser(t *testing.T) {
	t.Parallel()
	w := newVisitor(t)
	w.open("/")
	w.see("All well")
	tuesday := w.sends("Tuesday offer", "", "+4915123459909", "+4915123459908", "+4915123450005", "+4915123450011")
	parcels := w.sends("Parcels", "", "+4915123450021", "+4915123450022", "+4915123450023")
	spring := w.sends("Spring sale", "", "+4915123450031", "+4915223459908", "+4915223459909", "+4915223459901", "+4915323459901", "+4915223459905")
	winter := w.sends("Winter letter", "2027-01-15T09:00", "+4915123450005", "+4915123450061")
	for _, id := range []string{tuesday, parcels, spring} {
		w.ends(id)
	}
	reported := func(s message.Status) bool {
		return s.Counts[message.Undelivered] == 1 && s.Counts[message.Delivered] == 1
	}
	w.status(tuesday, reported)
	w.status(spring, reported)

	for i, answered := range []func(t *testing.T, w *visitor){
		whyNot, worstOfTheWeek, stopAndGoOn,
		func(t *testing.T, w *visitor) { againToSome(t, w, spring) },
		func(t *testing.T, w *visitor) { neverAgain(t, w, winter) },
		whatIsStuck,
		func(t *testing.T, w *visitor) { whoCanceled(t, w, winter) },
		atNine,
	} {
		if !t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			w.t = t
			answered(t, w)
		}) {
			return
		}
	}
}

func whyNot(t *testing.T, w *visitor) {
	w.again(func() { w.search("+49 1512 3459909") }, "not delivered: the recipient is away")
	if !strings.Contains(w.path(), "/messages/") {
		w.run("the message", chromedp.Click(`//main//ol//a[contains(., "not delivered")]`, chromedp.BySearch))
	}
	w.see("What happened")
	w.see("Tuesday offer")
	require.Contains(t, w.text(), "the recipient is away")
}

func worstOfTheWeek(t *testing.T, w *visitor) {
	w.again(func() { w.nav("Now"); w.nav("Batches") }, "33 %")
	var rows [][]string
	w.run("the table", chromedp.Evaluate(`[...document.querySelectorAll("main tbody tr")].map((r) => [...r.cells].map((c) => c.innerText.trim()))`, &rows))
	worst := -1
	share := func(row []string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(row[3], " %"))
		if err != nil {
			return 100
		}
		return n
	}
	for i := range rows {
		if worst < 0 || share(rows[i]) < share(rows[worst]) {
			worst = i
		}
	}
	require.Contains(t, rows[worst][0], "Spring sale")
	require.Contains(t, rows[worst][4], "2 failed", "why: %v", rows[worst])
	w.press("Spring sale")
	w.see("How they stand")
	w.see("the account has no way to ask")
}

func stopAndGoOn(t *testing.T, w *visitor) {
	const n = 100
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("+49160%07d", i))
	}
	left := func() (count int) {
		for _, m := range w.s.sandbox.Received() {
			if strings.HasPrefix(m.To, "+49160") {
				count++
			}
		}
		return count
	}
	id := w.sends("Newsletter", "", all...)
	w.nav("Accounts")
	w.press("Hold hook")
	w.fill("Why", "wrong sender name")
	w.fill("For", "1h")
	w.press("Hold")
	w.see("Held")
	w.status(id, func(s message.Status) bool {
		return s.Held != nil && s.Counts[message.Accepted] > 0 && s.Counts[message.Accepted] == s.Counts.Open()
	})
	before := left()
	meanwhile := w.sends("Meanwhile", "", "+4916199999")
	w.see("Held by")
	w.status(meanwhile, func(s message.Status) bool { return s.Held != nil && s.Counts[message.Accepted] == 1 })
	w.nav("Now")
	w.see("hook is held")
	w.see("wrong sender name")
	require.Equal(t, before, left(), "nothing leaves")
	require.Less(t, before, n)

	w.press("Release")
	w.see("Release hook")
	w.press("Release")
	w.see("Released")
	for _, id := range []string{id, meanwhile} {
		st := w.ends(id)
		require.Equal(t, st.Total, st.Counts[message.Sent], "nothing is lost")
	}
	for _, to := range append(all, "+4916199999") {
		require.Equal(t, 1, w.got(to), to)
	}
}

func whatIsStuck(t *testing.T, w *visitor) {
	w.nav("Accounts")
	w.press("Hold hook")
	w.fill("Why", "sender name")
	w.press("Hold")
	w.see("Held")
	id := w.sends("Waiting letter", "", "+4915123450081", "+4915123450082")
	w.again(func() {
		w.nav("Stuck")
		w.fill("Waiting for at least", "a minute")
		w.press("Show")
		w.run("wait", chromedp.Sleep(2*time.Second)) // until it is a minute
	}, "They are held")
	w.see("2 messages through hook, in Waiting letter")
	w.press("Release hook")
	w.see("Release hook")
	w.press("Release")
	w.see("Released")
	st := w.ends(id)
	require.Equal(t, 2, st.Counts[message.Sent])
	w.nav("Stuck")
	w.see("Nothing is stuck")
}

func againToSome(t *testing.T, w *visitor, id string) {
	w.nav("Batches")
	w.press("Spring sale")
	w.see("How they stand")
	w.press("Send again")
	w.see("Send up to 3 messages of Spring sale again, to those who did not get it?")
	w.see("1 message that may have arrived is left out")
	w.press("Send them again")
	w.see("1 message left out, since they may have arrived")
	w.press("Open the new batch")
	w.see("How they stand")
	parts := strings.Split(w.path(), "/")
	st := w.ends(parts[len(parts)-1])
	require.Equal(t, id, *st.RedriveOf)
	require.Equal(t, 3, st.Total)
	require.Equal(t, 2, w.got("+4915223459909"), "who did not get it is sent it again")
	for _, to := range []string{"+4915123450031", "+4915223459908", "+4915223459905"} {
		require.Equal(t, 1, w.got(to), "%s got it, or may have", to)
	}
}

func neverAgain(t *testing.T, w *visitor, waits string) {
	const who = "+4915123450005"
	w.again(func() { w.search("+49 1512 3450005") }, "Not sent yet")
	w.see("in Tuesday offer")
	w.see("in Winter letter")
	w.press("Never write to this person again")
	w.see("1 message that waits for them is canceled")
	w.fill("Why", "asked us to")
	w.press("Never write to them again")
	w.see("On the suppression list")
	w.search(who)
	w.see("This person")
	w.press("Forget")
	w.see("2 messages would be forgotten")
	w.see("backups of Temporal")
	w.fill("Type in who is forgotten", who)
	w.press("Forget")
	w.see("2 messages forgotten")
	w.search(who)
	w.see("This person")
	require.NotContains(t, w.text(), "Tuesday offer", "the index has forgotten it")

	require.Equal(t, message.Canceled, w.rows(waits)[0].State)
	w.newBatch("New", "Hi ${name}", "", who, "+4915123450052")
	w.see("1 message can be sent")
	w.press("Send 1 message")
	w.until("the batch", `location.pathname.startsWith("/batches/")`)
	w.see("completed")
	require.Equal(t, 1, w.got(who), "Tuesday's, and no other")
	require.Equal(t, 1, w.got("+4915123450052"))
}

func whoCanceled(t *testing.T, w *visitor, id string) {
	w.nav("Batches")
	w.press("Winter letter")
	w.see("scheduled")
	w.press("Cancel")
	w.see("Cancel 1 message of Winter letter")
	w.fill("Why", "wrong list")
	w.press("Cancel 1 message")
	w.see("Canceled")
	w.nav("Log")
	w.fill("Batch", id)
	w.fill("Action", "cancel")
	w.press("Show")
	w.until("only cancels", `location.search.includes("cancel") && document.readyState === "complete"`)
	w.again(func() { w.press("Show") }, "wrong list")
	text := w.text()
	require.Contains(t, text, id)
	require.Contains(t, text, "console")
}

func atNine(t *testing.T, w *visitor) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	now := time.Now().In(berlin)
	nine := time.Date(now.Year(), now.Month(), now.Day()+1, 9, 0, 0, 0, berlin)
	to := []string{"+4915123450071", "+4915123450072", "+4915123450073", "+4915123450074"}
	w.newBatch("Opening", "Hi ${name}, we open at ten.", nine.Format("2006-01-02T15:04"), to...)
	w.see("Hi Bartholomew, we open at ten.")
	w.fill("Send these to", "+4915123450008")
	w.press("Send the test")
	w.see("The test is on its way")
	require.Eventually(t, func() bool { return w.got("+4915123450008") >= 3 }, time.Minute, 50*time.Millisecond)
	w.press("Schedule 4 messages")
	w.until("the batch", `location.pathname.startsWith("/batches/")`)
	w.see("scheduled")
	parts := strings.Split(w.path(), "/")
	st := w.status(parts[len(parts)-1], func(s message.Status) bool { return s.Counts[message.Scheduled] == 4 })
	require.True(t, st.NextDueAt.Equal(nine), "%v", st.NextDueAt)
	for _, who := range to {
		require.Zero(t, w.got(who), "not before")
	}
}
