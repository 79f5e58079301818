package roles

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// BodyBytes is how long what a message says is.
	BodyBytes = 200
	// AccountName is the account that everything is sent through.
	AccountName = "sink"
	secret      = "bench-bench-bench-bench"
)

// Text is what every message says, 200 bytes long.
func Text() string { return strings.Repeat("0123456789", BodyBytes/10) }

// Recipient is whom message i goes to.
func Recipient(i int) string { return fmt.Sprintf("+1555%07d", i) }

// poster makes the request that the webhook sender makes, signature included.
type poster struct {
	url  string
	http *http.Client
}

func newPoster(url string, inFlight int) poster {
	return poster{url: url, http: &http.Client{Transport: &http.Transport{
		MaxIdleConns: 2 * inFlight, MaxIdleConnsPerHost: inFlight,
	}}}
}

// Message is one message of the bare workflows.
type Message struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// event is the document that the webhook sender posts.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      eventData `json:"data"`
}

type eventData struct {
	Batch     string            `json:"batch"`
	ID        string            `json:"id"`
	Index     int               `json:"index"`
	To        string            `json:"to"`
	Channel   string            `json:"channel"`
	Text      string            `json:"text"`
	Reference string            `json:"reference"`
	Metadata  map[string]any    `json:"metadata"`
	Content   map[string]string `json:"content"`
}

func (p poster) post(ctx context.Context, m Message) (bool, error) {
	id, now := uuid.NewString(), time.Now()
	body, err := json.Marshal(event{Type: "message", Timestamp: now, Data: eventData{
		Batch: "bench", ID: id, To: m.To, Text: m.Text,
		Metadata: map[string]any{}, Content: map[string]string{"text": m.Text},
	}})
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := p.http.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode/100 == 2, err
}

// loop posts n messages with a pool of goroutines and nothing else: the limit.
func (p poster) loop(ctx context.Context, n, pool int) (Reply, error) {
	began := time.Now()
	var next, sent atomic.Int64
	var wg sync.WaitGroup
	for range min(pool, n) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if ok, err := p.post(ctx, Message{To: Recipient(int(i)), Text: Text()}); ok && err == nil {
					sent.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if int(sent.Load()) != n {
		return Reply{}, fmt.Errorf("the loop sent %d of %d", sent.Load(), n)
	}
	return Reply{Seconds: time.Since(began).Seconds()}, nil
}
