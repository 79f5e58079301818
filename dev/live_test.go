package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"volley/starter"
)

// relay stands between browser and console. It counts streams and can cut them.
type relay struct {
	next *httputil.ReverseProxy
	// cut ends all streams and takes no new one; down answers nothing at all.
	cut, down atomic.Bool
	polls     atomic.Int64

	mu      sync.Mutex
	streams map[*http.Request]context.CancelFunc
}

func newRelay(t *testing.T, to string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	r := &relay{streams: map[*http.Request]context.CancelFunc{}}
	r.next = &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u); p.Out.Host = p.In.Host }}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return r, s.URL
}

// ServeHTTP passes a request on.
func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	live := req.URL.Path == "/live"
	if r.down.Load() || live && r.cut.Load() {
		panic(http.ErrAbortHandler) // the connection breaks
	}
	if req.Header.Get("X-Console-Live") != "" {
		r.polls.Add(1)
	}
	if live {
		ctx, cancel := context.WithCancel(req.Context())
		req = req.WithContext(ctx)
		r.mu.Lock()
		r.streams[req] = cancel
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			delete(r.streams, req)
			r.mu.Unlock()
			cancel()
		}()
	}
	r.next.ServeHTTP(w, req)
}

// open are the pages that streams follow.
func (r *relay) open() (pages []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for req := range r.streams {
		pages = append(pages, req.URL.Query().Get("path"))
	}
	return pages
}

func (r *relay) breakStreams() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.streams {
		cancel()
	}
}

// streams waits until the streams that are open follow just these pages.
func (w *visitor) streams(r *relay, pages ...string) {
	w.t.Helper()
	var open []string
	require.Eventually(w.t, func() bool { open = r.open(); return fmt.Sprint(open) == fmt.Sprint(pages) }, busy, 20*time.Millisecond,
		"expected streams of %q, there are %q", pages, &open)
}

// busy bounds what is waited for.
const busy = 30 * time.Second

// eval is what an expression is worth in the page.
func eval[T any](w *visitor, expression string) (v T) {
	w.t.Helper()
	w.run(expression, chromedp.Evaluate(expression, &v))
	return v
}

// Pages change while somebody looks at them, and are used without a mouse.
func TestPagesThatChangeInABrowser(t *testing.T) {
	t.Parallel()
	w := newVisitor(t)
	w.open("/")
	w.see("All well")
	running := w.sends("Standing", "2027-01-15T09:00", "+4915123450081", "+4915123450082")
	for _, c := range []struct {
		name string
		test func(t *testing.T, w *visitor, running string)
	}{
		{"a file is dropped", aFileIsDropped},
		{"a control by keyboard alone", keyboardAlone},
		{"focus and rows stay", focusAndRowsStay},
		{"the stream breaks off", theStreamBreaksOff},
		{"one stream per browser", oneStreamPerBrowser},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			before := w.browser.t
			w.browser.t = t
			defer func() { w.browser.t = before }()
			c.test(t, w, running)
		}) {
			return
		}
	}
}

func aFileIsDropped(t *testing.T, w *visitor, _ string) {
	w.nav("New batch")
	w.fill("Text", "Hi ${name}")
	file := w.file("+4915123450091", "+4915123450092", "not a number")
	at := eval[[]float64](w, `((e) => { e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + 5]; })(document.querySelector(".drop"))`)
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: []string{file}, DragOperationsMask: 1}
	drag := func(kind input.DispatchDragEventType) {
		w.run(string(kind), input.DispatchDragEvent(kind, at[0], at[1], data))
	}
	drag(input.DragEnter)
	drag(input.DragOver)
	w.until("it says that the file may be dropped", `document.querySelector(".drop").classList.contains("over")`)
	drag(input.Drop)
	w.see("3 messages can be sent")
	require.False(t, eval[bool](w, `document.querySelector(".drop").classList.contains("over")`))
	require.Equal(t, "list.csv", eval[string](w, `document.querySelector("input[type=file]").files[0].name`))
	require.True(t, eval[bool](w, `document.activeElement.innerText.includes("can be sent")`), "the focus is at what was found")
	w.press("Send 3 messages")
	w.until("the batch", `location.pathname.startsWith("/batches/")`)
	w.see("completed")
	require.Equal(t, 1, w.got("+4915123450092"))
}

// tab presses Tab until something has the focus that says so, and requires that the focus is
// seen all the way.
func (w *visitor) tab(says string) {
	w.t.Helper()
	for range 60 {
		w.run("Tab", chromedp.KeyEvent(kb.Tab))
		at := eval[[]string](w, `((e) => { const s = getComputedStyle(e), r = e.getBoundingClientRect();
			return [e.innerText?.trim() || e.id, e.matches(":focus-visible") && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.width > 0 && r.bottom > 0 && r.top < innerHeight ? "seen" : "not seen: " + s.outline]; })(document.activeElement)`)
		if at[0] == "" || strings.HasPrefix(at[0], "Volley\n") { // the page itself
			continue
		}
		require.Equal(w.t, "seen", at[1], at[0])
		if strings.HasPrefix(at[0], says) {
			return
		}
	}
	require.Fail(w.t, "nothing with the focus says "+says)
}

func (w *visitor) enter() {
	w.t.Helper()
	w.run("Enter", chromedp.KeyEvent(kb.Enter))
}

func keyboardAlone(t *testing.T, w *visitor, running string) {
	w.open("/batches")
	w.run("from the start", chromedp.Evaluate(`document.activeElement.blur()`, nil))
	w.tab("To the content")
	w.enter()
	w.until("the content has the focus", `document.activeElement.id === "main"`)
	w.tab("Standing")
	w.enter()
	w.until("the batch", `location.pathname.startsWith("/batches/") && document.readyState === "complete"`)
	w.see("scheduled")
	w.tab("Pause")
	w.enter()
	w.see("2 messages have not ended?")
	w.tab("Pause")
	w.enter()
	w.see("Paused")
	w.tab("Back to the batch")
	w.enter()
	w.see("paused")
	w.tab("Resume")
	w.enter()
	w.see("Resume Standing")
	w.tab("Resume")
	w.enter()
	w.see("Resumed")
	st, err := w.s.starter.Status(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
	require.EqualValues(t, "scheduled", st.State)
}

// stop stands the page's clock still, or lets it go on.
func (w *visitor) stopClock() {
	w.t.Helper()
	w.run("the clock stands still", chromedp.Evaluate(`window.realNow ||= Date.now; ((at) => { Date.now = () => at; })(Date.now())`, nil))
}

func (w *visitor) startClock() {
	w.t.Helper()
	w.run("the clock goes on", chromedp.Evaluate(`Date.now = window.realNow`, nil))
}

func focusAndRowsStay(t *testing.T, w *visitor, running string) {
	w.open("/batches")
	w.see("Standing")
	inRow := `[...document.querySelectorAll("main tbody tr")].find((r) => r.innerText.includes("Standing"))`
	at := eval[[]float64](w, `((e) => { e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getBoundingClientRect(); return [r.x + r.width - 60, r.y + r.height / 2]; })(`+inRow+`)`)
	w.stopClock() // so that the pointer moves for as long as this takes
	w.run("point at the row", chromedp.MouseEvent(input.MouseMoved, at[0], at[1]), chromedp.MouseEvent(input.MouseMoved, at[0], at[1]+1))
	under := fmt.Sprintf(`document.elementFromPoint(%f, %f)?.closest("tr")?.innerText.split("\n")[0] || ""`, at[0], at[1])
	before := eval[string](w, under)
	require.Contains(t, before, "Standing")
	count := eval[int](w, `document.querySelectorAll("main tbody tr").length`)
	w.arrives(t, "first-arrival")
	w.until("the page knows of a batch and waits", `pending !== null && pending.includes("first-arrival")`)
	require.Equal(t, before, eval[string](w, under), "the row stays under the pointer")
	require.Equal(t, count, eval[int](w, `document.querySelectorAll("main tbody tr").length`))
	w.run("the pointer leaves", chromedp.MouseEvent(input.MouseMoved, 1, 1))
	w.startClock()
	w.until("the new row is there", `document.querySelectorAll("main tbody tr").length === `+fmt.Sprint(count+1))

	w.run("focus", chromedp.Evaluate(inRow+`.querySelector("a").focus()`, nil))
	w.arrives(t, "second-arrival")
	w.until("the page knows of another one and waits", `pending !== null && pending.includes("second-arrival")`)
	require.Contains(t, eval[string](w, `document.activeElement.innerText`), "Standing")
	require.Equal(t, count+1, eval[int](w, `document.querySelectorAll("main tbody tr").length`))
	_, err := w.s.starter.Pause(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
	w.until("what the row says changes at once", inRow+`.innerText.includes("paused")`)
	require.Contains(t, eval[string](w, `document.activeElement.innerText`), "Standing", "and the focus is where it was")
	w.run("the focus goes", chromedp.Evaluate(`document.activeElement.blur()`, nil))
	w.until("the newest row is there", `document.querySelectorAll("main tbody tr").length === `+fmt.Sprint(count+2))
	_, err = w.s.starter.Resume(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
}

// arrives starts a batch behind the browser's back.
func (w *visitor) arrives(t *testing.T, id string) {
	t.Helper()
	body := `{"text":"Hi","sendAfter":"20h","messages":[{"to":"+4915123450099"}]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.s.gateway+"/v1/batches?dialect=volley&id="+id, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer visitors-gateway-key")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var answer json.RawMessage
	_ = json.NewDecoder(res.Body).Decode(&answer)
	require.Less(t, res.StatusCode, 300, "%s", answer)
}

func theStreamBreaksOff(t *testing.T, w *visitor, running string) {
	r, base := newRelay(t, w.s.console)
	direct := w.base
	w.base = base
	defer func() { w.base = direct }()
	path := "/batches/default/" + running
	w.open(path)
	w.streams(r, path)
	w.see("scheduled")

	r.cut.Store(true)
	r.breakStreams()
	w.streams(r)
	_, err := w.s.starter.Pause(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
	w.until("polling goes on", `document.querySelector("h1").innerText.includes("paused")`)
	require.Positive(t, r.polls.Load())

	r.down.Store(true)
	ahead := func(seconds int) bool {
		return eval[bool](w, fmt.Sprintf(`window.realNow ||= Date.now, Date.now = () => readAt + %d, age(), document.body.classList.contains("old")`, seconds*1000))
	}
	require.False(t, ahead(9))
	require.True(t, eval[bool](w, `document.getElementById("stale").hidden`))
	require.True(t, ahead(11), "after ten seconds it is grey")
	require.Contains(t, eval[string](w, `document.getElementById("stale").innerText`), "Nothing new since")
	require.Contains(t, eval[string](w, `getComputedStyle(document.getElementById("live")).filter`), "grayscale")

	_, err = w.s.starter.Resume(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
	w.startClock()
	r.cut.Store(false)
	r.down.Store(false)
	w.streams(r, path)
	w.until("it is up to date", `document.querySelector("h1").innerText.includes("scheduled") && !document.body.classList.contains("old") && document.getElementById("stale").hidden`)
}

func oneStreamPerBrowser(t *testing.T, w *visitor, running string) {
	r, base := newRelay(t, w.s.console)
	direct := w.base
	w.base = base
	defer func() { w.base = direct }()
	w.open("/batches")
	w.streams(r, "/batches")

	// Another tab, which hides the first.
	ctx, end := chromedp.NewContext(w.ctx)
	defer end()
	require.NoError(t, chromedp.Run(ctx)) // it lives as long as the context of its first run
	second := &visitor{&browser{t: t, ctx: ctx, base: base}, w.s}
	second.open("/accounts")
	second.run("in front", page.BringToFront())
	w.until("the first is hidden", `document.hidden`)
	w.streams(r, "/accounts")
	polls := r.polls.Load()
	w.arrives(t, "third-arrival")
	first := chromedp.FromContext(w.ctx).Target.TargetID
	w.run("the first in front", target.ActivateTarget(first))
	w.streams(r, "/batches")
	w.see("third-arrival")
	require.Positive(t, r.polls.Load()-polls, "it asks at once for what it missed")

	// Another window, beside it: both are seen.
	id, err := target.CreateTarget("about:blank").WithNewWindow(true).Do(cdp.WithExecutor(w.ctx, chromedp.FromContext(w.ctx).Browser))
	require.NoError(t, err)
	ctx, end = chromedp.NewContext(w.ctx, chromedp.WithTargetID(id))
	defer end()
	require.NoError(t, chromedp.Run(ctx))
	beside := &visitor{&browser{t: t, ctx: ctx, base: base}, w.s}
	beside.open("/batches/default/" + running)
	beside.see("scheduled")
	require.False(t, eval[bool](beside, `document.hidden`))
	require.False(t, eval[bool](w, `document.hidden`))
	w.streams(r, "/batches")
	_, err = w.s.starter.Pause(t.Context(), starter.Ref{ID: running})
	require.NoError(t, err)
	beside.until("the other one asks", `document.querySelector("h1").innerText.includes("paused")`)
	w.streams(r, "/batches")
	w.open("/find") // which follows nothing
	w.streams(r, "/batches/default/"+running)
}
