package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// event is one of a stream of server-sent events.
type event struct{ name, id, data string }

// follow reads events until one says no, or the stream ends.
func (g *gateway) follow(tenant, path, last string, each func(event) bool) int {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.next()+path, nil)
	require.NoError(g.t, err)
	req.Header.Set("Authorization", "Bearer "+tenant)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	defer res.Body.Close()
	var e event
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.name != "" && !each(e) {
				return res.StatusCode
			}
			e = event{}
		}
	}
	require.NoError(g.t, lines.Err())
	return res.StatusCode
}

func TestEventsTellEveryMessagesEndAcrossABreak(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	all := notes(t, 60)
	for i := range all {
		switch i % 6 {
		case 1:
			all[i].To += "+flaky"
		case 2:
			all[i].To += "+limit"
		case 3:
			all[i].To += "+reject"
		case 4:
			all[i].SendAfter = "2s"
		}
	}
	at := "/v1/batches/" + g.as(acme, "POST", "/v1/batches", ownBody(t, "hook", all)).is(http.StatusAccepted).batch()
	told := map[int]message.State{}
	last, rev, ended := "", int64(0), false
	hear := func(most int) func(event) bool {
		return func(e event) bool {
			if e.id != "" {
				n, err := strconv.ParseInt(e.id, 10, 64)
				require.NoError(t, err)
				require.True(t, n > rev || e.name == "status" && n == rev, "%s %d comes after %d", e.name, n, rev)
				last, rev = e.id, n
			}
			if e.name == "message" {
				var row message.Row
				require.NoError(t, json.Unmarshal([]byte(e.data), &row))
				told[row.Index] = row.State
				most--
			}
			ended = ended || e.name == "end"
			return most > 0
		}
	}
	for _, most := range []int{1, 10, 10, 1000} { // three breaks
		g.follow(acme, at+"/events", last, hear(most))
	}
	require.True(t, ended)
	_, rows := l.wait(t, ofAcme(strings.TrimPrefix(at, "/v1/batches/")))
	require.Len(t, told, len(rows))
	for _, row := range rows {
		require.Equal(t, row.State, told[row.Index], "message %d", row.Index)
	}
	require.Equal(t, http.StatusNoContent, g.follow(acme, at+"/events", last, hear(1)), "there is nothing more to tell")
}

// streamed writes a batch of n rows as JSON lines.
func streamed(w io.Writer, prefix string, n int) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, `{"text":"Hi ${name}","account":"hook"}`)
	for i := range n {
		fmt.Fprintf(out, `{"to":"%s-%d","params":{"name":"Ann"},"reference":"%s"}`+"\n", prefix, i, strings.Repeat("r", 200))
	}
	return out.Flush()
}

func TestLargeBatchesAreStreamedInAndOut(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	const n = 20_000
	in, out := io.Pipe() // of which nobody knows the length, so that it is sent in chunks
	go func() { _ = out.CloseWithError(streamed(out, t.Name(), n)) }()
	r, err := request(t.Context(), "POST", g.url+"/v1/batches?id=streamed&dispatch=group", in, "Authorization: Bearer "+acme, "Content-Type: application/jsonl")
	require.NoError(t, err)
	r.t = t
	require.Contains(t, r.is(http.StatusAccepted).body, `"total":20000`)
	l.until(t, ofAcme("streamed"), func(s message.Status) bool { return s.State.Closed() })
	st := read[message.Status](g.as(acme, "GET", "/v1/batches/streamed", ""), http.StatusOK)
	require.Equal(t, message.Counts{message.Sent: n}, *st.Counts)
	seen := map[int]bool{}
	for _, row := range lines[message.Row](g.as(acme, "GET", "/v1/batches/streamed/results", "")) {
		require.Equal(t, message.Sent, row.State)
		require.Equal(t, fmt.Sprintf("%s-%d", t.Name(), row.Index), row.To)
		seen[row.Index] = true
	}
	require.Len(t, seen, n)
	require.Empty(t, g.as(acme, "GET", "/v1/batches/streamed/results?state=failed", "").is(http.StatusOK).body)
	require.Equal(t, n, l.arrived(t))
}

func TestLargeBatchesThatBreakOffLeaveNothing(t *testing.T) {
	t.Parallel()
	l := shared
	const tenant = "broken"
	g := l.gateway(t, l.gatewayConfig(t, tenant))
	begin := func(id string) io.WriteCloser {
		conn := g.open()
		_, err := fmt.Fprint(conn, head("POST", "/v1/batches?id="+id, "Authorization: Bearer "+tenant, "Transfer-Encoding: chunked"))
		require.NoError(t, err)
		var rows strings.Builder
		require.NoError(t, streamed(&rows, t.Name(), 20_000))
		_, err = fmt.Fprintf(conn, "%x\r\n%s\r\n", rows.Len(), rows.String())
		require.NoError(t, err)
		return conn
	}
	cut := begin("cut")
	require.Eventually(t, func() bool { return len(l.files(t, tenant+"/")) > 0 }, time.Minute, 5*time.Millisecond, "some of it is in the store")
	require.NoError(t, cut.Close())
	require.Eventually(t, func() bool { return len(l.files(t, tenant+"/")) == 0 }, time.Minute, 5*time.Millisecond)

	half := begin("half").(interface {
		io.ReadCloser
		CloseWrite() error
	})
	require.NoError(t, half.CloseWrite())
	answer, err := io.ReadAll(half)
	require.NoError(t, err)
	require.Regexp(t, "^HTTP/1.1 (400|503) ", string(answer))
	require.Empty(t, l.files(t, tenant+"/"))
	for _, id := range []string{"cut", "half"} {
		g.as(tenant, "GET", "/v1/batches/"+id, "").is(http.StatusNotFound)
	}
	require.Zero(t, l.arrived(t))
}
