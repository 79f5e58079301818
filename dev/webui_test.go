package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"volley/starter"
)

// The Web UI of `make dev` shows what sealed payloads say, but for what is never shown again.
func TestTheWebUIShowsPlainTextInABrowser(t *testing.T) {
	t.Parallel()
	o, err := parse(free("up", "--state-dir", t.TempDir()), io.Discard)
	require.NoError(t, err)
	s, err := start(t.Context(), o, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	require.NotEmpty(t, s.codec, "encryption is on")

	const said, hidden = "your parcel is at the door", "your code is 918273"
	submit := func(id, text, further string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.gateway+"/v1/batches?id="+id,
			strings.NewReader(fmt.Sprintf(`{"text":%q,%s"metadata":{"campaign":"Web UI"},"messages":[{"to":"+15550001111","reference":"c-4001"}]}`, text, further)))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer sandbox-gateway-key")
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusAccepted, res.StatusCode, "%s", answer)
		_, err = s.starter.Wait(t.Context(), starter.Ref{ID: id})
		require.NoError(t, err)
	}
	submit("shown", said, "")
	submit("hidden", hidden, `"sensitive":true,`)

	b := openBrowser(t, s.temporal.UIAddress())
	look := func(id string) {
		t.Helper()
		b.run("open "+id, chromedp.Navigate(b.base+"/namespaces/default/workflows/"+starter.WorkflowID(starter.Ref{ID: id})))
		b.until("the payloads of "+id, `document.querySelectorAll(".cm-content").length > 1`)
	}
	// The editor in which the Web UI shows payloads draws visible lines only.
	const shown = `[...document.querySelectorAll(".cm-content")].map((e) => (e.cmView ?? e.cmTile)?.view?.state.doc.toString() ?? e.innerText).join("\n")`
	look("shown")
	b.until("the text", fmt.Sprintf(`(%s).includes(%q)`, shown, said))
	look("hidden")
	b.until("the input", fmt.Sprintf(`(%s).includes("+15550001111")`, shown))
	var text, page string
	b.run("read", chromedp.Evaluate(shown, &text), chromedp.Evaluate(`document.body.textContent`, &page))
	require.Contains(t, text, "c-4001")
	require.NotContains(t, text+page, hidden)
}
