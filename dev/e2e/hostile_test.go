package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// hostileFor is how long the attacks last, and hostileEvery is how often the other
	// tenant sends a message meanwhile.
	hostileFor   = 75 * time.Second
	hostileEvery = 500 * time.Millisecond
	// hostilePause is how long each attack rests between two requests: it has the same
	// processors as what it attacks.
	hostilePause = 100 * time.Millisecond
	// hostileBound is the longest that a message may take from its first POST to the
	// provider, whatever another tenant does.
	hostileBound = 10 * time.Second
	// quietBound is the longest that it may take without any attack: where it takes longer,
	// the machine has too much else to do to tell anything.
	quietBound = 2 * time.Second
	// quietMessages are sent before the attacks begin.
	quietMessages = 20
	// hostilePatience is how long after its first POST a message is waited for: one that has
	// not arrived by then counts with that time.
	hostilePatience = 4 * time.Minute
)

// Keys of the two tenants.
const (
	evilKey   = "evil-evil-evil-evil"
	victimKey = "victim-victim-victim"
)

// hostile is a tenant with a valid key who does all the harm that it can think of.
type hostile struct {
	url, address string
	client       *http.Client
	// chosen matches the names of the attacks that are made.
	chosen *regexp.Regexp
	// done counts the answers by attack and status; 0 is none.
	mu   sync.Mutex
	done map[string]map[int]int
}

// newHostile comes from an address of its own.
func newHostile(url string, chosen *regexp.Regexp) *hostile {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	return &hostile{
		url: url, chosen: chosen, address: strings.TrimPrefix(url, "http://"), done: map[string]map[int]int{},
		client: &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100}},
	}
}

func (h *hostile) note(attack string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done[attack] == nil {
		h.done[attack] = map[int]int{}
	}
	h.done[attack][status]++
}

// ask makes a request and returns the first bytes of the answer.
func (h *hostile) ask(ctx context.Context, attack, method, path string, body io.Reader, headers ...string) string {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		return ""
	}
	req.Header.Set("Authorization", "Bearer "+evilKey)
	req.Header.Set("Content-Type", "application/json")
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	res, err := h.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			h.note(attack, 0)
		}
		return ""
	}
	defer res.Body.Close()
	h.note(attack, res.StatusCode)
	head, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	_, _ = io.Copy(io.Discard, res.Body)
	return string(head)
}

// hang opens a connection, writes the beginning of a request and leaves it so for a while.
func (h *hostile) hang(ctx context.Context, attack, begin string, wait time.Duration) {
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, begin)
	h.note(attack, -1)
	pause(ctx, wait)
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// messagesJSON are n messages.
func messagesJSON(n int, one string) string {
	return "[" + strings.Repeat(one+",", n-1) + one + "]"
}

// attack is one kind of harm, done by so many at once, again and again.
type attack struct {
	by int
	do func(ctx context.Context, n int)
}

// attacks are those of docs/SECURITY.md, all but those that need another tenant's data.
func (h *hostile) attacks() map[string]attack {
	const one, plain = `{"to":"evil"}`, `{"account":"shared","text":"hi",`
	post := func(name, path, body string, headers ...string) func(context.Context, int) {
		return func(ctx context.Context, _ int) { h.ask(ctx, name, "POST", path, strings.NewReader(body), headers...) }
	}
	var names, kept strings.Builder
	for i := range 150_000 {
		fmt.Fprintf(&names, "${n%05d}", i)
	}
	params := map[string]string{}
	for i := range 900 {
		fmt.Fprintf(&kept, "${n%d}", i)
		params[fmt.Sprint("n", i)] = "x"
	}
	filled, _ := json.Marshal(map[string]any{"to": "evil", "params": params})
	large := bytes.Repeat([]byte(" "), 60<<20)
	bearer := "Authorization: Bearer " + evilKey + "\r\n"
	return map[string]attack{
		"unknown ids": {8, func(ctx context.Context, n int) {
			h.ask(ctx, "unknown ids", "GET", fmt.Sprintf("/v1/batches/none-%d-%d", n, rand.Int()), nil)
		}},
		"metadata in each message": {2, post("metadata in each message", "/v1/batches",
			plain+`"metadata":{"k":"`+strings.Repeat("x", 1_000_000)+`"},"messages":`+messagesJSON(5000, `{"to":"evil","metadata":{}}`)+"}")},
		"metadata in each line": {2, post("metadata in each line", "/v1/batches",
			plain+`"metadata":{"k":"`+strings.Repeat("x", 100_000)+`"}}`+strings.Repeat("\n"+`{"to":"evil","metadata":{}}`, 2000))},
		"quoted in each problem": {2, post("quoted in each problem", "/v1/batches",
			`{"account":"`+strings.Repeat("x", 1_000_000)+`","messages":`+messagesJSON(5000, one)+"}")},
		"many names": {2, post("many names", "/v1/batches", `{"account":"shared","text":"`+names.String()+`","messages":`+messagesJSON(10_000, one)+"}")},
		"names that are filled in": {1, func(ctx context.Context, _ int) {
			h.ask(ctx, "names that are filled in", "POST", "/v1/batches",
				strings.NewReader(`{"account":"shared","text":"`+kept.String()+`","messages":`+messagesJSON(100, string(filled))+"}"))
			pause(ctx, time.Second)
		}},
		"priority 1": {2, func(ctx context.Context, _ int) {
			h.ask(ctx, "priority 1", "POST", "/v1/batches", strings.NewReader(plain+`"priority":1,"messages":`+messagesJSON(900, one)+"}"))
			pause(ctx, 200*time.Millisecond)
		}},
		"many messages": {2, post("many messages", "/v1/batches", plain+`"messages":`+messagesJSON(900, one)+"}")},
		"large bodies": {8, func(ctx context.Context, _ int) {
			h.ask(ctx, "large bodies", "POST", "/v1/batches?dialect=sinch", bytes.NewReader(large))
		}},
		"reports that do not come": {100, func(ctx context.Context, _ int) {
			h.hang(ctx, "reports that do not come", "POST /reports/shared HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{", 6*time.Second)
		}},
		"slow heads": {300, func(ctx context.Context, _ int) {
			h.hang(ctx, "slow heads", "POST /v1/batches HTTP/1.1\r\nHost: a\r\n", 12*time.Second)
		}},
		"slow bodies": {300, func(ctx context.Context, _ int) {
			h.hang(ctx, "slow bodies", "POST /v1/batches HTTP/1.1\r\nHost: a\r\n"+bearer+"Content-Length: 100000\r\n\r\n{", 20*time.Second)
		}},
		"idle connections": {1500, func(ctx context.Context, _ int) { h.hang(ctx, "idle connections", "", time.Minute) }},
		"idle streams": {300, func(ctx context.Context, _ int) {
			h.hang(ctx, "idle streams", "GET /v1/batches/evil-open/events HTTP/1.1\r\nHost: a\r\n"+bearer+"\r\n", time.Minute)
		}},
		"lists with counts": {10, func(ctx context.Context, _ int) {
			h.ask(ctx, "lists with counts", "GET", "/v1/batches?limit=500&counts=true", nil)
		}},
		"redrives": {4, func(ctx context.Context, _ int) {
			h.ask(ctx, "redrives", "POST", "/v1/batches/evil-failed:redrive", strings.NewReader(fmt.Sprintf(`{"again":true,"id":"evil-%d"}`, rand.Int())))
		}},
		"controls": {4, func(ctx context.Context, n int) {
			h.ask(ctx, "controls", "POST", "/v1/batches/evil-open:"+[]string{"pause", "resume", "reschedule"}[n%3], strings.NewReader([]string{"", "", `{"sendAfter":"1h"}`}[n%3]))
		}},
		"holds": {2, func(ctx context.Context, n int) {
			h.ask(ctx, "holds", "POST", "/v1/holds", strings.NewReader(fmt.Sprintf(`{"meta":"k=%d","for":"1m"}`, rand.Int())))
		}},
		"failed logins": {20, func(ctx context.Context, _ int) {
			h.ask(ctx, "failed logins", "POST", "/oauth2/token", strings.NewReader("grant_type=client_credentials&client_secret=wrong"))
		}},
		"wrong keys": {20, func(ctx context.Context, _ int) {
			h.ask(ctx, "wrong keys", "POST", "/v1/batches", strings.NewReader("{}"), "Authorization: Bearer wrong")
		}},
	}
}

// prepare starts the batches that some attacks are about.
func (h *hostile) prepare(ctx context.Context) {
	const plain = `{"account":"shared","text":"hi",`
	h.ask(ctx, "prepare", "POST", "/v1/batches?id=evil-open", strings.NewReader(plain+`"sendAfter":"1h","messages":`+messagesJSON(500, `{"to":"evil"}`)+"}"))
	h.ask(ctx, "prepare", "POST", "/v1/batches?id=evil-failed", strings.NewReader(plain+`"messages":`+messagesJSON(50, `{"to":"evil+reject"}`)+"}"))
}

// run does all of it until ctx ends.
func (h *hostile) run(ctx context.Context) {
	var wg sync.WaitGroup
	for name, a := range h.attacks() {
		if !h.chosen.MatchString(name) {
			continue
		}
		for range a.by {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					a.do(ctx, n)
					pause(ctx, hostilePause)
				}
			})
		}
	}
	wg.Wait()
}

// evilRate is the rate of the tenant that nobody trusts in the configuration; empty is
// that it has none.
func evilRate() string {
	if os.Getenv("VOLLEY_HOSTILE_RATE") == "none" {
		return ""
	}
	return ", rate: 20/s"
}

// hostileConfig is that of the gateway and the workers: the two tenants share an account
// with a rate, and the one that nobody trusts has a rate of its own.
func (l *lab) hostileConfig(t *testing.T, queue string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volley.yaml")
	text := fmt.Sprintf(`
task_queue: %s
store: file://%s
accounts:
  shared: {provider: webhook, url: %q, secret: %q, report_secret: %q, reconcile: true, settle: 1s, rate: 50/s}
routes: [{hops: [shared]}]
tenants:
  evil: {keys: [{name: evil, key: %s}], priority: 3%s}
  victim: {keys: [{name: victim, key: %s}], priority: 3}
search_metadata: [k]
audit: {file: %s}
`, queue, l.dir, l.url+"/webhook/shared", hookSecret, hookSecret, evilKey, evilRate(), victimKey, filepath.Join(t.TempDir(), "audit.jsonl"))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sendAs posts one message until it is accepted, as a client does that has a key for it,
// and returns how long that took.
func sendAs(ctx context.Context, url, key, id string, tries *atomic.Int64) time.Duration {
	began := time.Now()
	for ctx.Err() == nil {
		tries.Add(1)
		r, err := request(ctx, "POST", url+"/v1/batches", strings.NewReader(`{"account":"shared","text":"hi","messages":[{"to":"`+id+`"}]}`),
			"Authorization: Bearer "+key, asJSON, "Idempotency-Key: "+id)
		if err == nil && r.status/100 == 2 {
			break
		}
		pause(ctx, hostileEvery)
	}
	return time.Since(began)
}

// spread says how long things took.
func spread(took []time.Duration) string {
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v", at(50), at(99), at(100))
}

// victim is the other tenant, who sends a message every half second.
type victim struct {
	url   string
	posts sync.WaitGroup
	tries atomic.Int64

	mu sync.Mutex
	// began has when each message was posted first, and accepted how long its answer took.
	began    map[string]time.Time
	accepted []time.Duration
}

// send sends n messages, or as many as there is time for.
func (v *victim) send(ctx context.Context, prefix string, n int) {
	tick := time.NewTicker(hostileEvery)
	defer tick.Stop()
	for i := 0; i < n && ctx.Err() == nil; i++ {
		id := fmt.Sprintf("%s-%d", prefix, i)
		v.mu.Lock()
		v.began[id] = time.Now()
		v.mu.Unlock()
		v.posts.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hostilePatience)
			defer cancel()
			took := sendAs(ctx, v.url, victimKey, id, &v.tries)
			v.mu.Lock()
			defer v.mu.Unlock()
			v.accepted = append(v.accepted, took)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// arrivals waits until all messages have arrived, and returns how long each took, and how
// many have not arrived in time; then it begins anew.
func (v *victim) arrivals(t *testing.T, l *lab) (took []time.Duration, late int) {
	t.Helper()
	v.posts.Wait()
	defer func() { v.began = map[string]time.Time{} }()
	for {
		waiting := maps.Clone(v.began)
		took = nil
		for _, r := range l.sandbox.Received() {
			if began, ours := waiting[r.To]; ours {
				took = append(took, r.At.Sub(began))
				delete(waiting, r.To)
			}
		}
		open := 0
		for _, began := range waiting {
			if time.Since(began) < hostilePatience {
				open++
			}
		}
		if open == 0 {
			return append(took, slices.Repeat([]time.Duration{hostilePatience}, len(waiting))...), len(waiting)
		}
		pause(t.Context(), 100*time.Millisecond)
	}
}

// say writes to the file that VOLLEY_HOSTILE_SAY names, which make prints: what a test that
// passes or is skipped logs is not shown.
func say(t *testing.T, format string, args ...any) {
	t.Helper()
	file := os.Getenv("VOLLEY_HOSTILE_SAY")
	if file == "" {
		return
	}
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(format, args...)+"\n"), 0o600))
}

// The bound is the requirement itself, so it is asserted: by nothing that a tenant does
// with its valid key may it keep another tenant's message for longer.
func TestAHostileTenantKeepsNobodyWaiting(t *testing.T) {
	chosen := os.Getenv("VOLLEY_HOSTILE")
	if chosen == "" {
		t.Skip("it needs a machine of its own: VOLLEY_HOSTILE=. makes all attacks, another regular expression those that it matches")
	}
	l := shared.own(t, messages, 0)
	cfg := l.hostileConfig(t, queueOf(t))
	for range 2 {
		spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), "worker", "--config", cfg, "--listen", "")
	}
	g := l.gateway(t, cfg)
	v := &victim{url: g.url, began: map[string]time.Time{}}
	v.send(t.Context(), "warm", 1) // workers are up
	v.arrivals(t, l)
	v.send(t.Context(), "quiet", quietMessages)
	quiet, _ := v.arrivals(t, l)
	t.Logf("without attacks: %s", spread(quiet))
	if slices.Max(quiet) > quietBound {
		say(t, "NOT measured: a message took %v without any attack, as the machine has too much else to do", slices.Max(quiet))
		t.Skipf("the machine has too much else to do: a message took %v without any attack", slices.Max(quiet))
	}

	h := newHostile(g.url, regexp.MustCompile(chosen))
	ctx, cancel := context.WithTimeout(t.Context(), hostileFor)
	defer cancel()
	h.prepare(ctx)
	require.Equal(t, map[int]int{http.StatusAccepted: 2}, h.done["prepare"])
	v.accepted = nil
	v.tries.Store(0)
	var all sync.WaitGroup
	all.Go(func() { h.run(ctx) })
	v.send(ctx, "victim", 1000)
	took, late := v.arrivals(t, l)
	all.Wait()
	for _, attack := range slices.Sorted(maps.Keys(h.done)) {
		t.Logf("%-26s %v", attack, h.done[attack])
	}
	t.Logf("%d messages of another tenant in %d requests, from the first POST to the provider: %s; to the answer: %s; %d messages were sent",
		len(took), v.tries.Load(), spread(took), spread(v.accepted), l.sandbox.Counts().Total)
	say(t, "measured: %d messages of another tenant, %s, %d not within %v", len(took), spread(took), late, hostilePatience)
	for attack := range h.attacks() {
		require.Equal(t, h.chosen.MatchString(attack), len(h.done[attack]) > 0, "the attack %q", attack)
	}
	require.Less(t, slices.Max(took), hostileBound)
}
