package provider

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/internal/message"
)

// writes is a connection that counts what it is given to write.
type writes struct {
	net.Conn
	n *atomic.Int64
}

func (w writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

func TestAHeaderAndItsBodyLeaveTogether(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	t.Cleanup(srv.Close)
	var n atomic.Int64
	tr := NewTransport(1, false)
	t.Cleanup(tr.CloseIdleConnections)
	tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return writes{conn, &n}, err
	}
	c := &client{transport: tr, now: time.Now, log: zap.NewNop()}
	q := call{method: http.MethodPost, url: srv.URL, body: []byte(strings.Repeat("x", 1000))}
	req, err := newRequest(t.Context(), q)
	require.NoError(t, err)
	require.Nil(t, req.GetBody, "net/http must not be able to send it again")
	_, err = c.roundTrip(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, <-got, 1000)
	require.EqualValues(t, 1, n.Load())
}

func TestAWebhookEventIsJSONWhateverIsInIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 13, 0, 0, 5000, time.FixedZone("", 3600))
	check := func(batch, id, to, text, reference, channel string, index int) bool {
		m := message.Outgoing{
			Batch: batch, ID: id, Index: index, To: to, Text: text, Reference: reference, Channels: []string{channel},
			Content: encode(map[string]string{"t": text}), Metadata: json.RawMessage(`{"a":"\u003c\u2028", "n": 1.0}`),
		}
		b, err := webhookEvent(m, at)
		require.NoError(t, err)
		var got struct {
			Type      string
			Timestamp time.Time
			Data      struct {
				Batch, ID, To, Channel, Text, Reference string
				Index                                   int
				Metadata                                struct{ A string }
				Content                                 struct{ T string }
			}
		}
		require.NoError(t, json.Unmarshal(b, &got), "%s", b)
		d := got.Data
		for _, pair := range [][2]string{{batch, d.Batch}, {id, d.ID}, {to, d.To}, {text, d.Text}, {reference, d.Reference}, {channel, d.Channel}, {text, d.Content.T}} {
			require.Equal(t, []rune(pair[0]), []rune(pair[1]), "a byte that is no UTF-8 becomes U+FFFD")
		}
		require.Equal(t, "message", got.Type)
		require.True(t, at.Equal(got.Timestamp))
		require.Equal(t, index, d.Index)
		require.Equal(t, "<\u2028", d.Metadata.A)
		return true
	}
	require.True(t, check("", "", "", "", "", "", 0))
	require.True(t, check("b\xff", "\x00\x1f", `"\`, "<&>\u2028\U0001f600", "\n\t", "\xed\xa0\x80", -3))
	require.NoError(t, quick.Check(check, nil))

	_, err := webhookEvent(message.Outgoing{Content: json.RawMessage(`{"a":`)}, at)
	require.Error(t, err)
}
