package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/interceptor"

	"volley/dev/pgtest"
	"volley/dev/s3test"
	"volley/internal/provider"
	"volley/starter"
	"volley/workflows/contract"
)

// What VOLLEY_DB and VOLLEY_STORE may say; empty is a server in memory, and directories.
const (
	postgres = "postgres"
	bucket   = "s3"
)

// s3 is where stores are with VOLLEY_STORE=s3, nil otherwise.
var s3 *s3test.Server

// fleet is how many workers and gateways there are, what VOLLEY_FLEET says; 1 otherwise.
var fleet = max(1, number(os.Getenv("VOLLEY_FLEET")))

func number(text string) int {
	n, _ := strconv.Atoi(text) // what is none is 0
	return n
}

// database is the address of a PostgreSQL database of the lab's own, or empty.
func (l *lab) database(ctx context.Context) (string, error) {
	switch kind := os.Getenv("VOLLEY_DB"); kind {
	case "":
		return "", nil
	case postgres:
	default:
		return "", fmt.Errorf("VOLLEY_DB=%s, expected %s or nothing", kind, postgres)
	}
	pg, err := pgtest.Start(ctx)
	if err != nil {
		return "", err
	}
	l.stops = append(l.stops, func() { _ = pg.Stop() })
	return pg.URL("volley"), nil
}

// stores prepares where stores are, and says where the lab's is.
func (l *lab) stores() (err error) {
	switch kind := os.Getenv("VOLLEY_STORE"); kind {
	case "":
	case bucket:
		if s3, err = s3test.New(); err != nil {
			return err
		}
		l.stops = append(l.stops, s3.Close)
	default:
		return fmt.Errorf("VOLLEY_STORE=%s, expected %s or nothing", kind, bucket)
	}
	l.address = addressOf(l.dir)
	return nil
}

// addressOf is the address of the store at a directory, or at S3 of the one that stands
// for it.
func addressOf(dir string) string {
	if s3 == nil {
		return "file://" + dir
	}
	return s3.Under(prefixOf(dir))
}

func prefixOf(dir string) string { return strings.Trim(filepath.ToSlash(dir), "/") + "/" }

// files are the files of the lab's store below a folder such as "acme/".
func (l *lab) files(t *testing.T, folder string) (all []string) {
	t.Helper()
	if s3 != nil {
		all, err := s3.Keys(prefixOf(l.dir) + folder)
		require.NoError(t, err)
		return all
	}
	err := filepath.WalkDir(filepath.Join(l.dir, folder), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	require.NoError(t, err)
	return all
}

// envMember makes the test binary another worker of a lab; it says which.
const envMember = "VOLLEY_E2E_WORKER"

// membership is what another worker needs to know of a lab.
type membership struct {
	Temporal, Sandbox, Store string
	// Queue is its queue, and Account its only account; empty are the shared lab's.
	Queue, Account string
	release
}

// enlist starts the other workers of the fleet, each in a process of its own.
func (l *lab) enlist() error {
	for range fleet - 1 {
		end, err := l.recruit(membership{})
		if err != nil {
			return err
		}
		l.stops = append(l.stops, func() { _ = end() })
	}
	return nil
}

// recruit runs a worker in a process of its own until it is told to end.
func (l *lab) recruit(m membership) (end func() error, err error) {
	m.Temporal, m.Sandbox, m.Store = l.server.Address(), l.url, l.address
	given, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0]) // it ends when its input does
	cmd.Env = append(os.Environ(), envMember+"="+string(given))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return sync.OnceValue(func() error {
		_ = in.Close()
		return cmd.Wait()
	}), nil
}

// member works for a lab of another process until that ends its input.
func member(given string) error {
	var m membership
	if err := json.Unmarshal([]byte(given), &m); err != nil {
		return err
	}
	l := &lab{mode: mode, url: m.Sandbox, address: m.Store, release: m.release}
	defer l.close()
	if err := l.join(context.Background(), m.Temporal); err != nil {
		return err
	}
	if m.Changed {
		l.interceptors = []interceptor.ClientInterceptor{&changedCode{}}
	}
	if m.Account != "" {
		l.served = []provider.Account{l.hook(m.Account, true)}
	}
	l.starter = l.newStarter(starter.Options{InFlight: 100, Wait: busy})
	stop, err := l.work(m.Queue, l.accounts())
	if err != nil {
		return err
	}
	defer stop()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// The rest of the suite would pass with one worker as well.
func TestAFleetWorksTogether(t *testing.T) {
	t.Parallel()
	if fleet == 1 {
		t.Skip("VOLLEY_FLEET names no others")
	}
	require.Eventually(t, func() bool {
		res, err := shared.client.DescribeTaskQueue(t.Context(), contract.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
		members := map[string]bool{}
		for _, p := range res.GetPollers() {
			members[p.GetIdentity()] = true
		}
		return err == nil && len(members) == fleet
	}, busy, 50*time.Millisecond)
}
