package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/message"
	"volley/internal/temporalclient"
)

// personal are values of which nobody may find one outside of the processes: whatever is
// known of a person. Each stands where its name says.
var personal = map[string]string{
	"recipient":          "zwack.recipient",
	"number":             "15187650",
	"parameter":          "Quirina Zwäckelmann",
	"text":               "your table by the window",
	"message's text":     "bring the blue umbrella",
	"reference":          "order-qz-4711",
	"metadata":           "qz-customer-0815",
	"message's metadata": "qz-note-0816",
	"late metadata":      "qz-later-0817",
}

// reasons are what operators write. They stand in signals and in what is held.
var operators = map[string]string{
	"reason of a cancel": "widow asked us to stop",
	"reason of a hold":   "number of Mr Hold is wrong",
}

// clearLab is a server with a file, its store, and a worker and a gateway as processes of
// their own that log everything.
type clearLab struct {
	c              cli
	dir, gateway   string
	ops            []string
	logs           *lockedBuffer
	temporal       client.Client
	worker, server func()
	restart        func(t *testing.T)
}

// lockedBuffer is written by several processes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// Sync is for zap.
func (b *lockedBuffer) Sync() error { return nil }

const clearKey = "gateway-key-of-the-test"

// newClearLab makes one; more is added to the configuration, with DIR for its directory.
func newClearLab(t *testing.T, encrypted bool, more ...string) *clearLab {
	t.Helper()
	l := &clearLab{dir: t.TempDir(), logs: &lockedBuffer{}}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), l.logs, zap.InfoLevel)
	srv, err := server.Start(t.Context(), server.Options{DB: filepath.Join(l.dir, "temporal.db"), Log: zap.New(core)})
	require.NoError(t, err)
	var stop sync.Once
	l.server = func() { stop.Do(func() { require.NoError(t, srv.Stop()) }) }
	t.Cleanup(l.server)
	box := sandbox.New(sandbox.Options{Secret: hookSecret, ReportSecret: hookSecret, Slow: time.Second, Accounts: map[string]string{"webhook/hook": "hook"}})
	web := httptest.NewServer(box)
	t.Cleanup(web.Close)
	l.temporal, err = temporalclient.Dial(t.Context(), temporalclient.Options{Log: zap.NewNop(), EnvLookup: env{"TEMPORAL_ADDRESS": srv.Address()}})
	require.NoError(t, err)
	t.Cleanup(l.temporal.Close)

	ports := []int{freePort(t), freePort(t)}
	l.gateway = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	l.ops = []string{l.gateway + "/metrics", fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[1])}
	box.ReportTo(l.gateway + "/reports")
	config := fmt.Sprintf(`store: file://%[1]s/store
accounts:
  hook: {provider: webhook, url: "%[2]s/webhook/hook", secret: "%[3]s", report_secret: "%[3]s", reconcile: true, settle: 1s, retry: {initial: 1s, attempts: 3}}
routes: [{dialect: volley, hops: [hook]}]
tenants: {default: {keys: [%[4]s], callbacks: {url: "%[2]s/callbacks", secret: "%[3]s", messages: true}}}
callbacks: {allow_private: true}
limits: {inline_messages: 20}
search_metadata: [campaign]
`, l.dir, web.URL, hookSecret, clearKey)
	if encrypted {
		config += "encryption: {keyset: \"file://" + filepath.Join(t.TempDir(), "keyset.json") + "\"}\n"
	}
	config += strings.ReplaceAll(strings.Join(more, "\n"), "DIR", l.dir)
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	l.c = cli{bin: volley(t), config: path, temporal: srv.Address()}
	if encrypted {
		l.do(t, "", "keyset", "add")
	}
	l.do(t, "", "setup")
	l.run(t, ports[0], ports[1])
	return l
}

// run starts the processes, which worker stops.
func (l *clearLab) run(t *testing.T, front, back int) {
	t.Helper()
	l.restart = func(t *testing.T) {
		t.Helper()
		l.worker()
		l.run(t, front, back)
	}
	worker := l.spawn(t, "worker", "--log-level", "debug", "--log-format", "json", "--listen", fmt.Sprintf("127.0.0.1:%d", back))
	gateway := l.spawn(t, "gateway", "--log-level", "debug", "--log-format", "json", "--listen", fmt.Sprintf("127.0.0.1:%d", front))
	l.worker = func() {
		for _, cmd := range []*exec.Cmd{gateway, worker} {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	for _, ready := range []string{l.gateway + "/readyz", fmt.Sprintf("http://127.0.0.1:%d/readyz", back)} {
		require.Eventually(t, func() bool {
			res, err := http.Get(ready)
			if err != nil {
				return false
			}
			defer res.Body.Close()
			return res.StatusCode == http.StatusOK
		}, busy, 50*time.Millisecond, ready)
	}
}

// spawn runs the program until the test ends. All that it writes is kept.
func (l *clearLab) spawn(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(l.c.bin, args...)
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+l.c.temporal, "VOLLEY_CONFIG="+l.c.config)
	cmd.Stdout, cmd.Stderr = l.logs, l.logs
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

// do runs a command that has to work, with its log in with the others. What it prints is
// for the person who asked.
func (l *clearLab) do(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, errs, code := l.c.run(t, stdin, append(args, "--log-level", "debug")...)
	require.Contains(t, []int{0, 3}, code, "%v: %s%s", args, out, errs)
	_, _ = l.logs.Write([]byte(errs))
	return out
}

// post gives the gateway a batch.
func (l *clearLab) post(t *testing.T, path string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.gateway+path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+clearKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	require.Less(t, res.StatusCode, 300, "%s", answer)
}

// request is a batch of n messages with everything that is personal, of which some fail,
// come late, are lost on the way, or are reported.
func (l *clearLab) request(t *testing.T, n int, more map[string]any) []byte {
	t.Helper()
	marks := []string{"", "+reject", "+flaky", "+drop", "+lost", "+delivered", "+undelivered", "+limit"}
	var all []map[string]any
	for i := range n {
		m := map[string]any{
			"to": fmt.Sprintf("%s-%d%s", personal["recipient"], i, marks[i%len(marks)]), "reference": personal["reference"] + "-" + strconv.Itoa(i),
			"params": map[string]string{"name": personal["parameter"]}, "metadata": map[string]string{"note": personal["message's metadata"]},
		}
		switch i % 9 {
		case 3:
			m["to"] = fmt.Sprintf("+49%s%04d", personal["number"], 9901+i%9)
		case 5:
			m["text"] = personal["message's text"]
		}
		all = append(all, m)
	}
	b := map[string]any{
		"account": "hook", "text": "Dear ${name}, " + personal["text"], "messages": all,
		"metadata": map[string]string{"campaign": "spring", "customer": personal["metadata"]},
	}
	for k, v := range more {
		b[k] = v
	}
	data, err := json.Marshal(b)
	require.NoError(t, err)
	return data
}

// lastSaid is what a command said at last.
type lastSaid struct{ text *string }

// String tells it.
func (s lastSaid) String() string { return *s.text }

// live does with batches what can be done with them.
func (l *clearLab) live(t *testing.T) {
	t.Helper()
	start := []string{"start", "--dialect", "volley", "--yes", "-o", "json", "-"}
	l.do(t, string(l.request(t, 9, nil)), append(start, "--id", "small", "--wait")...)
	l.post(t, "/v1/batches?dialect=volley&id=large", l.request(t, 60, map[string]any{"dispatch": "message"}))
	l.do(t, string(l.request(t, 60, map[string]any{"awaitReports": "3s"})), append(start, "--id", "groups", "--dispatch", "group", "--wait")...)

	// Canceled by name and whole, with reasons; one whose messages wait is ended by Temporal.
	for _, id := range []string{"later", "later-small"} {
		n := map[string]int{"later": 30, "later-small": 4}[id]
		l.do(t, string(l.request(t, n, map[string]any{"sendAfter": "1h", "metadata": map[string]string{"x": personal["late metadata"]}})), append(start, "--id", id)...)
		l.do(t, "", "cancel", id, "--to", personal["recipient"]+"-0", "--reason", operators["reason of a cancel"])
		l.do(t, "", "reschedule", id, "--send-after", "2h")
		l.do(t, "", "pause", id)
		l.do(t, "", "resume", id)
		l.do(t, "", "cancel", id, "--reason", operators["reason of a cancel"])
	}
	for id, n := range map[string]int{"ended": 30, "ended-small": 4} {
		l.do(t, string(l.request(t, n, map[string]any{"sendAfter": "1h"})), append(start, "--id", id)...)
		require.NoError(t, l.temporal.TerminateWorkflow(t.Context(), "batch-"+id, "", "as a test asks"))
		var said string
		require.Eventually(t, func() bool {
			out, errs, code := l.c.run(t, "", "redrive", id, "--yes", "--account", "hook", "-o", "json")
			said = fmt.Sprintf("%d: %s%s", code, out, errs)
			return code == 0
		}, busy, 200*time.Millisecond, "its segments end after it: %v", lastSaid{&said})
	}
	l.do(t, "", "hold", "--meta", "campaign=summer", "--reason", operators["reason of a hold"])
	require.Eventually(t, func() bool {
		var s message.Status
		require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "status", "large", "-o", "json")), &s))
		return s.FinishedAt != nil
	}, busy, 200*time.Millisecond)
	l.do(t, "", "redrive", "large", "--yes", "-o", "json", "--wait")
	l.do(t, "", "release", "--meta", "campaign=summer")
	for _, id := range []string{"small", "large", "groups", "later", "ended", "ended-small"} {
		require.Contains(t, l.do(t, "", "results", id), personal["reference"], "who may read it reads it")
		l.do(t, "", "message", id, "0")
	}
	for _, id := range []string{"small", "groups"} { // reports come after the end, too
		require.Eventually(t, func() bool {
			return strings.Contains(l.do(t, "", "results", id), string(message.Undelivered.String()))
		}, busy, 200*time.Millisecond, id)
	}
}

// shapes are the ways in which a value may stand in bytes.
func shapes(value string) map[string][]byte {
	quoted, _ := json.Marshal(value)
	twice, _ := json.Marshal(string(quoted))
	all := map[string][]byte{
		"as it is": []byte(value), "in JSON": quoted[1 : len(quoted)-1], "in JSON in JSON": twice[3 : len(twice)-3],
		"escaped": []byte(strings.Trim(strconv.QuoteToASCII(value), `"`)), "in hexadecimal digits": []byte(hex.EncodeToString([]byte(value))),
	}
	for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 of URLs": base64.RawURLEncoding} {
		for at := range 3 { // where it begins in three bytes
			text := enc.EncodeToString(append(make([]byte, at), value...))
			from := []int{0, 2, 3}[at]
			to := len(text)
			if (at+len(value))%3 != 0 {
				to-- // the last digit depends on what is behind
			}
			all[fmt.Sprintf("%s, at %d", name, at)] = []byte(text[from:to])
		}
	}
	return all
}

// places are all bytes that somebody may find: files by their names, and the rest.
func (l *clearLab) places(t *testing.T, metrics map[string][]byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"the logs": l.logs.b.Bytes()}
	for name, data := range metrics {
		all[name] = data
	}
	require.NoError(t, filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[strings.TrimPrefix(path, l.dir+"/")+" (its name)"] = []byte(path)
		all[strings.TrimPrefix(path, l.dir+"/")], err = os.ReadFile(path)
		return err
	}))
	return all
}

// found says where values stand, and in which shape.
func found(values map[string]string, places map[string][]byte) (where []string) {
	for what, value := range values {
		for shape, text := range shapes(value) {
			for place, data := range places {
				if n := bytes.Count(data, text); n > 0 {
					where = append(where, fmt.Sprintf("%s %q, %s, %d times in %s", what, value, shape, n, place))
				}
			}
		}
	}
	return where
}

// search lets batches live, stops everything and returns what is left of them.
func search(t *testing.T, encrypted bool) map[string][]byte {
	t.Helper()
	l := newClearLab(t, encrypted)
	l.live(t)
	metrics := map[string][]byte{}
	for _, url := range l.ops {
		res, err := http.Get(url)
		require.NoError(t, err)
		metrics[url], err = io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, string(metrics[url]), "volley_")
	}
	l.worker()
	l.server()
	all := l.places(t, metrics)
	require.Contains(t, all, "temporal.db")
	require.Contains(t, all, "store/volley-store")
	return all
}

// TestNothingPersonalStandsInClear looks for what is known of people in all that batches
// leave behind. Beside it, the same without a keyset says that the search finds it.
func TestNothingPersonalStandsInClear(t *testing.T) {
	t.Parallel()
	places := search(t, true)
	require.Empty(t, found(personal, places))
	require.Empty(t, found(operators, places))
	require.NotEmpty(t, found(map[string]string{"search_metadata": "campaign=spring"}, places), "what search_metadata names is there to be found")
}

func TestTheSearchForWhatStandsInClearFindsIt(t *testing.T) {
	t.Parallel()
	places := search(t, false)
	for what, value := range personal {
		require.NotEmpty(t, found(map[string]string{what: value}, places), what)
	}
	for what, value := range operators {
		require.NotEmpty(t, found(map[string]string{what: value}, places), what)
	}
}

// keysOf is what `volley keyset list` says.
func (l *clearLab) keysOf(t *testing.T) (keys map[string]struct{ Objects, Workflows int }) {
	t.Helper()
	var doc struct {
		Keys []struct {
			ID                 json.Number
			Primary            bool
			Objects, Workflows int
		}
		Clear int
	}
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "keyset", "list", "--count", "-o", "json")), &doc))
	require.Zero(t, doc.Clear)
	keys = map[string]struct{ Objects, Workflows int }{}
	for _, k := range doc.Keys {
		keys[k.ID.String()] = struct{ Objects, Workflows int }{k.Objects, k.Workflows}
		if k.Primary {
			keys["primary"] = keys[k.ID.String()]
		}
	}
	return keys
}

func TestARotationLosesNothing(t *testing.T) {
	t.Parallel()
	l := newClearLab(t, true)
	start := []string{"start", "--dialect", "volley", "--yes", "-o", "json", "-"}
	small, large := string(l.request(t, 9, nil)), string(l.request(t, 30, nil))
	l.do(t, small, append(start, "--id", "before", "--wait")...)
	l.do(t, large, append(start, "--id", "before-large", "--wait")...)
	l.do(t, string(l.request(t, 31, map[string]any{"sendAfter": "15s"})), append(start, "--id", "across")...)

	var added struct{ Key json.Number }
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "keyset", "add", "-o", "json")), &added))
	keys := l.keysOf(t)
	require.Zero(t, keys[added.Key.String()])
	require.NotZero(t, keys["primary"].Objects)
	require.NotZero(t, keys["primary"].Workflows)
	var old string
	for id := range keys {
		if id != "primary" && id != added.Key.String() {
			old = id
		}
	}
	l.restart(t)
	l.do(t, "", "keyset", "promote", added.Key.String())
	l.restart(t)

	out := l.do(t, small, append(start, "--id", "after", "--wait")...)
	require.Contains(t, out, `"sameAs":"before"`, "the key of contents is not the keyset's")
	out = l.do(t, large, append(start, "--id", "after-large", "--wait")...)
	require.Contains(t, out, `"sameAs":"before-large"`)
	require.Eventually(t, func() bool {
		var s message.Status
		require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "status", "across", "-o", "json")), &s))
		return s.FinishedAt != nil && s.Counts[message.Unknown] == 0
	}, time.Minute, 200*time.Millisecond)
	for _, id := range []string{"before", "before-large", "across", "after", "after-large"} {
		require.Contains(t, l.do(t, "", "results", id), personal["reference"], id)
	}
	keys = l.keysOf(t)
	require.NotZero(t, keys[added.Key.String()].Objects)
	require.NotZero(t, keys[added.Key.String()].Workflows)
	require.NotZero(t, keys[old])

	_, errs, code := l.c.run(t, "", "keyset", "retire", old)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "objects of the store are sealed with it")
	for _, id := range []string{"before-large", "across"} {
		l.do(t, "", "delete", id)
	}
	_, errs, code = l.c.run(t, "", "keyset", "retire", old)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "workflows use it")
	l.do(t, "", "keyset", "retire", old, "--force")
	l.restart(t)
	require.Contains(t, l.do(t, "", "results", "after-large"), personal["reference"])
	_, errs, code = l.c.run(t, "", "results", "before")
	require.Equal(t, 1, code, errs)
	require.Contains(t, errs, "key "+old)
}
