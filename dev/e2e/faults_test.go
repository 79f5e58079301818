package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

// build compiles a command and returns the binary's path.
func build(t *testing.T, dir, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "bin")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", dir, "-o", bin, pkg)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// volley returns the path of the volley binary, which is compiled once.
func volley(t *testing.T) string {
	t.Helper()
	bin, err := compiled()
	require.NoError(t, err)
	return bin
}

var compiled = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(shared.dir, "bin", "volley")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-C", "../..", "-o", bin, "./cmd/volley").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// config writes a configuration for the queue, with accounts at the sandbox.
func (l *lab) config(t *testing.T, queue string, accounts ...string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "task_queue: %s\nstore: %s\naccounts:\n", queue, l.address)
	for i, name := range accounts {
		rate := ""
		for _, a := range l.served {
			if a.Name == name && a.Rate > 0 {
				rate = fmt.Sprintf(", rate: %g/s", a.Rate)
			}
		}
		fmt.Fprintf(&b, "  %s: {provider: webhook, url: %q, secret: %q, reconcile: %t, settle: 1s%s}\n",
			name, l.url+"/webhook/"+name, hookSecret, i == 0, rate)
	}
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// spawn runs a binary that the test kills; what it logs is shown when the test
// fails.
func spawn(t *testing.T, environ []string, bin string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(bin, args...) // killed by hand, that is the test
	cmd.Env = append(os.Environ(), environ...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		kill(cmd)
		if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("%s %v:\n%s", filepath.Base(bin), args, b[max(0, len(b)-4000):])
		}
	})
	return cmd
}

// kill ends a process as kill -9 does.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestAWorkerThatIsKilledTwiceSendsNothingTwiceAndLosesNothing(t *testing.T) {
	t.Parallel()
	l := shared
	bin := volley(t)
	const queue = "killed"
	cfg := l.config(t, queue, "killed", "killed-blind")
	work := func() *exec.Cmd {
		return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, bin, "worker", "--config", cfg, "--listen", "")
	}
	s := l.newStarter(starter.Options{TaskQueue: queue})
	refs := map[string]starter.Ref{}
	for _, account := range []string{"killed", "killed-blind"} {
		t.Run(account, func(t *testing.T) {
			all := notes(t, 500)
			for i := range all {
				if i%50 == 7 {
					all[i].To += "+drop"
				}
			}
			refs[account] = l.start(t, s, account, all)
		})
	}
	mine := func() (n int) {
		for _, r := range l.sandbox.Received() {
			if strings.HasPrefix(r.To, t.Name()) {
				n++
			}
		}
		return n
	}
	for _, enough := range []int{200, 600} {
		w := work()
		require.Eventually(t, func() bool { return mine() >= enough }, 5*time.Minute, time.Millisecond)
		kill(w)
	}
	work()

	for account, ref := range refs {
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchCompleted, status.State)
		l.agree(t, rows)
		doubts := 0
		for _, row := range rows {
			if row.State == message.Unknown {
				doubts++
				require.Equal(t, "killed-blind", account, "the provider could have been asked about message %d", row.Index)
				continue
			}
			require.Equal(t, message.Sent, row.State, "message %d: %s %s", row.Index, row.Code, row.Detail)
		}
		t.Logf("%s: %v, %d unknown", account, *status.Counts, doubts)
	}
	require.LessOrEqual(t, mine(), 1000)
}

func TestAServerThatIsKilledGoesOnFromItsFile(t *testing.T) {
	t.Parallel()
	bin := build(t, "..", ".")
	dir := t.TempDir()
	ports := []int{freePort(t), freePort(t)}
	up := func() (*exec.Cmd, addresses) {
		cmd := exec.Command(bin, "up", "--db", filepath.Join(dir, "t.db"), "--state-dir", dir, "--no-ui",
			"--temporal-port", fmt.Sprint(ports[0]), "--sandbox-port", fmt.Sprint(ports[1]), "--ui-port", "0", "--gateway-port", "0")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { kill(cmd) })
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		var a addresses
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		return cmd, a
	}
	dial := func(a addresses) *starter.Starter {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		keys, err := encryption.Load("file://" + filepath.Join(dir, "keyset.json"))
		require.NoError(t, err)
		o := temporalclient.Options{Log: zap.NewNop(), EnvLookup: env{"TEMPORAL_ADDRESS": a.Temporal}, Keyset: keys}
		settings, err := temporalclient.ClientOptions(o)
		require.NoError(t, err)
		c, err := temporalclient.Dial(ctx, o)
		require.NoError(t, err)
		t.Cleanup(c.Close)
		large, err := store.Open(ctx, "file://"+filepath.Join(dir, "store"), store.Options{Keyset: keys, Namespace: client.DefaultNamespace})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, large.Close()) })
		return (&lab{client: c, store: large, converter: settings.DataConverter, mode: mode}).newStarter(starter.Options{})
	}

	first, a := up()
	all := notes(t, 20)
	for i := range 10 {
		all[i].SendAfter = "8s"
	}
	l := &lab{starter: dial(a), url: a.Sandbox, mode: mode}
	ref := l.start(t, l.starter, "hook", all)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 10 })
	kill(first)

	_, a = up()
	l.starter = dial(a)
	status, rows := l.wait(t, ref)
	require.Equal(t, 20, status.Counts[message.Sent])
	times := a.received(t)
	for _, row := range rows {
		require.Equal(t, 1, times[row.ID], "message %d", row.Index)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
