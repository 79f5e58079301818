package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/dev/server"
	"volley/internal/message"
)

// guide is a page of docs/guides whose commands a test runs as they stand there.
type guide struct {
	t      *testing.T
	text   string
	dir    string
	env    []string
	blocks []string
}

func openGuide(t *testing.T, name string, env ...string) *guide {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the commands of the guides are for bash")
	}
	text, err := os.ReadFile(filepath.Join("../../docs/guides", name))
	require.NoError(t, err)
	g := &guide{t: t, text: string(text), dir: t.TempDir(), env: append(os.Environ(), env...)}
	g.env = append(g.env, "PATH="+filepath.Dir(volley(t))+":"+os.Getenv("PATH"), "VOLLEY_NO_INPUT=1")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(g.text, -1) {
		g.blocks = append(g.blocks, m[1])
	}
	return g
}

// run runs the next block of commands, and returns what it printed.
func (g *guide) run(exit int) string {
	g.t.Helper()
	require.NotEmpty(g.t, g.blocks, "the guide has more steps")
	block := g.blocks[0]
	g.blocks = g.blocks[1:]
	return g.bash(block, exit)
}

// bash runs commands beside the guide's.
func (g *guide) bash(script string, exit int) string {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = g.dir, g.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // its exit code is looked at
	require.Equal(g.t, exit, cmd.ProcessState.ExitCode(), "%s\n%s", script, out.String())
	return out.String()
}

func (g *guide) write(name, text string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	require.NoError(g.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// status is how a batch stands.
func (g *guide) status(id string) (st message.Status) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), "bash", "-c", "volley status -o json "+id)
	cmd.Dir, cmd.Env = g.dir, g.env
	out, err := cmd.Output()
	require.NoError(g.t, err, "%s", out)
	require.NoError(g.t, json.Unmarshal(out, &st))
	return st
}

// until waits until a batch stands so.
func (g *guide) until(id string, is func(message.Status) bool) message.Status {
	g.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; { // asking takes a while by itself
		st := g.status(id)
		if is(st) {
			return st
		}
		require.True(g.t, time.Now().Before(end), "%v %v", st.State, st.Counts)
	}
}

// done requires that no step of the guide was left out.
func (g *guide) done() { require.Empty(g.t, g.blocks) }

// hookConfig is a configuration with a webhook account at the sandbox.
func (l *lab) hookConfig(queue, store, account, more string) string {
	return fmt.Sprintf("task_queue: %s\nstore: %q\naccounts: {%s: {provider: webhook, url: %q, secret: %q, reconcile: true, settle: 1s}}\nroutes: [{dialect: volley, hops: [%s]}]\n%s\n",
		queue, "file://"+store, account, l.url+"/webhook/"+account, hookSecret, account, more)
}

// gotOnce requires that so many recipients, whose names have a part in common, got one
// message each.
func (l *lab) gotOnce(t *testing.T, part string, recipients int) {
	t.Helper()
	got := map[string]int{}
	for _, m := range l.sandbox.Received() {
		if strings.Contains(m.To, part) {
			got[m.To]++
		}
	}
	require.Len(t, got, recipients)
	for to, n := range got {
		require.Equal(t, 1, n, to)
	}
}

func TestTheGuideToAClusterIsRight(t *testing.T) {
	t.Parallel()
	l := shared
	start := func() *server.Server { // of its own: setup makes no store where others' batches run
		srv, err := server.Start(t.Context(), server.Options{Log: zap.NewNop()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = srv.Stop() })
		return srv
	}
	old, next := start(), start()
	g := openGuide(t, "to-a-cluster.md", "OLD="+old.Address(), "NEW="+next.Address())
	account := "cluster-" + queueOf(t)
	config := g.write("volley.yaml", l.hookConfig(queueOf(t), t.TempDir(), account, ""))
	for i := range g.blocks {
		g.blocks[i] = strings.ReplaceAll(g.blocks[i], "--account sms", "--account "+account)
	}
	for _, at := range []string{old.Address(), next.Address()} {
		spawn(t, []string{"TEMPORAL_ADDRESS=" + at}, volley(t), "worker", "--config", config, "--listen", "")
	}
	rows := "to,name,send_after\n"
	for i := range 6 {
		after := ""
		if i%2 == 1 {
			after = "1h"
		}
		rows += fmt.Sprintf("moved-%d-%s,Ann,%s\n", i, account, after)
	}
	g.write("spring.csv", rows)
	g.env = append(g.env, "TEMPORAL_ADDRESS="+old.Address())
	g.bash("volley start --dialect volley --id spring --account "+account+" --text 'Hi ${name}' spring.csv", 0)
	g.until("spring", func(st message.Status) bool { return st.Counts[message.Sent] == 3 })

	out := g.run(0)
	require.Contains(t, out, "spring", "the list has it")
	g.run(0)
	g.done()
	g.env = append(g.env, "TEMPORAL_ADDRESS="+next.Address())
	st := g.until("spring", func(st message.Status) bool { return st.Counts[message.Scheduled] == 3 })
	require.Equal(t, 3, st.Counts[message.Rejected], "who had it already")
	g.bash("volley reschedule spring --send-after 1s", 0)
	st = g.until("spring", func(st message.Status) bool { return st.State.Closed() })
	require.Equal(t, 3, st.Counts[message.Sent])
	l.gotOnce(t, account, 6)
}

func TestTheGuideToBackupsIsRight(t *testing.T) {
	t.Parallel()
	l := shared
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "restored")
	g := openGuide(t, "backup.md", "FROM="+from, "TO="+to, "BACKUP="+filepath.Join(t.TempDir(), "backup"))
	account := "backup-" + queueOf(t)
	serve := func(dir string) (stop func()) {
		srv, err := server.Start(t.Context(), server.Options{Log: zap.NewNop(), DB: filepath.Join(dir, "temporal.db")})
		require.NoError(t, err)
		var once sync.Once
		stop = func() { once.Do(func() { _ = srv.Stop() }) }
		t.Cleanup(stop)
		more := fmt.Sprintf("limits: {inline_messages: 2}\nencryption: {keyset: %q}\n", "file://"+filepath.Join(dir, "keyset.json"))
		g.env = append(g.env, "TEMPORAL_ADDRESS="+srv.Address(), "VOLLEY_CONFIG="+g.write("volley.yaml", l.hookConfig(queueOf(t), filepath.Join(dir, "store"), account, more)))
		return stop
	}
	work := func() (stop func()) {
		w := exec.Command(volley(t), "worker", "--listen", "")
		w.Env = g.env
		w.Dir = g.dir
		require.NoError(t, w.Start())
		var once sync.Once
		stop = func() { once.Do(func() { _ = w.Process.Signal(os.Interrupt); _ = w.Wait() }) }
		t.Cleanup(stop)
		return stop
	}
	require.NoError(t, os.Mkdir(filepath.Join(from, "store"), 0o700))
	stop := serve(from)
	g.bash("volley keyset add && volley setup", 0)
	stopWork := work()
	g.write("ended.csv", "to\nended-1-"+account+"\nended-2-"+account+"\nended-3-"+account+"\n")
	g.write("waits.csv", "to,send_after\nwaits-1-"+account+",\nwaits-2-"+account+",1h\nwaits-3-"+account+",1h\n")
	g.bash("volley start --dialect volley --id ended --text Hi --wait ended.csv && volley start --dialect volley --id waits --text Hi waits.csv", 0)
	g.until("waits", func(st message.Status) bool { return st.Counts[message.Sent] == 1 })
	before := g.bash("volley results ended", 0)
	stopWork()
	stop()

	g.run(0)
	require.NoError(t, os.RemoveAll(from))
	g.run(0)
	serve(to)
	require.Contains(t, g.run(0), "waits")
	work()
	require.Equal(t, before, g.bash("volley results ended", 0), "what has ended reads as it did")
	g.run(0)
	g.bash("volley reschedule waits --send-after 1s", 0)
	st := g.until("waits", func(st message.Status) bool { return st.State.Closed() })
	require.Equal(t, 3, st.Counts[message.Sent])
	g.done()
	l.gotOnce(t, account, 6)
}

func TestTheGuideToChangingAKeyIsRight(t *testing.T) {
	t.Parallel()
	l := shared
	var key atomic.Value
	key.Store("old-access-key-1234")
	var refused, taken atomic.Int64
	var mu sync.Mutex
	var listed []map[string]any
	bird := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "AccessKey "+key.Load().(string) {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet { // what became of an attempt that a worker took while it ended
			_ = json.NewEncoder(w).Encode(map[string]any{"results": listed})
			return
		}
		var m map[string]any
		_ = json.NewDecoder(r.Body).Decode(&m)
		m["id"], m["status"], m["createdAt"] = strconv.FormatInt(taken.Add(1), 10), "accepted", time.Now().UTC().Format(time.RFC3339Nano)
		listed = append(listed, m)
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(m)
	}))
	t.Cleanup(bird.Close)
	g := openGuide(t, "rotate-a-key.md", "TEMPORAL_ADDRESS="+l.server.Address())
	account := "rotated-" + queueOf(t)
	config := g.write("volley.yaml", fmt.Sprintf("task_queue: %s\nstore: %q\naccounts: {%s: {provider: bird, base_url: %q, workspace: %s, channel: %s, access_key: \"${KEY}\", rate: 20/s}}\nroutes: [{dialect: volley, hops: [%s]}]\n",
		queueOf(t), "file://"+t.TempDir(), account, bird.URL, workspace, channel, account))
	g.env = append(g.env, "VOLLEY_CONFIG="+config, "KEY=unused")
	for i := range g.blocks {
		g.blocks[i] = strings.ReplaceAll(g.blocks[i], "--account sms", "--account "+account)
	}
	work := func(k string) *exec.Cmd {
		return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address(), "KEY=" + k}, volley(t), "worker", "--config", config, "--listen", "")
	}
	first := work("old-access-key-1234")
	rows := "to\n"
	const n = 200
	for i := range n {
		rows += fmt.Sprintf("+1555000%04d\n", i)
	}
	g.write("many.csv", rows)
	g.bash("volley start --dialect volley --id "+account+" --account "+account+" --text Hi many.csv", 0)
	require.Eventually(t, func() bool { return taken.Load() > 20 }, time.Minute, 20*time.Millisecond)

	g.run(0)
	require.Contains(t, g.run(0), account)
	require.NoError(t, first.Process.Signal(os.Interrupt)) // drains
	_ = first.Wait()
	require.Less(t, taken.Load(), int64(n), "messages are under way")
	key.Store("new-access-key-5678")
	work("new-access-key-5678")
	g.run(0)
	g.done()
	st := g.until(account, func(st message.Status) bool { return st.State.Closed() })
	require.Equal(t, n, st.Counts[message.Sent], "%v", st.Counts)
	require.Zero(t, refused.Load(), "not even an attempt was refused")
	require.Equal(t, int64(n), taken.Load())
}

func TestTheGuideToImportsIsRight(t *testing.T) {
	t.Parallel()
	l := shared
	g := openGuide(t, "import.md", "TEMPORAL_ADDRESS="+l.server.Address())
	account, batch := "import-"+queueOf(t), "import-"+queueOf(t)
	config := g.write("volley.yaml", fmt.Sprintf("task_queue: %s\nstore: %q\naccounts: {%s: {provider: bird, base_url: %q, workspace: %s, channel: %s, access_key: sandbox}}\nroutes: [{dialect: volley, hops: [%s]}]\n",
		queueOf(t), "file://"+t.TempDir(), account, l.url+"/bird", workspace, channel, account))
	g.env = append(g.env, "VOLLEY_CONFIG="+config)
	for i := range g.blocks {
		g.blocks[i] = strings.NewReplacer("--account sms", "--account "+account, "summer-sale", batch).Replace(g.blocks[i])
	}
	file := regexp.MustCompile("(?s)```csv\n(.*?)```").FindStringSubmatch(g.text)[1]
	g.write("customers.csv", "\ufeff"+strings.ReplaceAll(file, "\n", "\r\n")) // as Excel does
	out := g.run(2)
	require.Contains(t, out, "line 5")
	require.Contains(t, out, "line 6")
	out = g.run(0)
	require.Contains(t, out, "Hallo Änne!")
	require.NotContains(t, out, "Carla")

	spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), "worker", "--config", config, "--listen", "")
	start := g.blocks[0]
	g.run(0)
	require.Contains(t, g.bash(start, 0), "which was there already")
	g.until(batch, func(st message.Status) bool { return st.State.Closed() })
	g.run(0)
	g.done()
	rows, err := os.ReadFile(filepath.Join(g.dir, "results.csv"))
	require.NoError(t, err)
	require.Contains(t, string(rows), "4711,+4915123456789,sent,")
	require.Contains(t, string(rows), "4713,")
	require.Equal(t, 2, strings.Count(string(rows), ",sent,"))
}
