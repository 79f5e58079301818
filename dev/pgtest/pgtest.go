package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// ErrMissing means that no PostgreSQL is installed.
var ErrMissing = errors.New("PostgreSQL is not installed; on Debian: apt-get install postgresql")

const (
	superuser = "volley"
	// stopWait is how long the server may take to end.
	stopWait = 30 * time.Second
	readyIn  = time.Minute
)

// settings make many small writes cheap. A test's cluster need not outlive a crash.
var settings = []string{
	"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "listen_addresses=127.0.0.1",
}

// Server is a running PostgreSQL server.
type Server struct {
	dir  string
	port int
	cmd  *exec.Cmd
	// ended is closed when the process has ended.
	ended chan struct{}
}

// Start makes a cluster and runs it until Stop. Without PostgreSQL it returns ErrMissing.
// It runs as the user postgres where this process is root, as PostgreSQL demands.
func Start(ctx context.Context) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "volley-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(ctx, bin); err != nil {
		return nil, errors.Join(fmt.Errorf("PostgreSQL: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, bin string) error {
	if err := give(s.dir); err != nil {
		return err
	}
	data := s.Data()
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err := s.as(initdb); err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	var err error
	if s.port, err = freePort(ctx); err != nil {
		return err
	}
	return s.run(ctx, bin)
}

// run runs the server on its cluster.
func (s *Server) run(ctx context.Context, bin string) error {
	data := s.Data()
	args := []string{"-D", data, "-p", strconv.Itoa(s.port), "-k", s.dir}
	for _, x := range settings {
		args = append(args, "-c", x)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), args...) // until Stop
	if err := s.as(cmd); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its log says why
		close(ended)
	}()
	return s.ready(ctx, bin)
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context, bin string) error {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	for {
		ask := exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port))
		if ask.Run() == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended: %s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("it takes no connection: %w: %s", ctx.Err(), s.log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// as makes a command run as the owner of the cluster, where it can enter.
func (s *Server) as(cmd *exec.Cmd) error {
	cmd.Dir = s.dir
	return setUser(cmd)
}

// log is the end of what the server has said.
func (s *Server) log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log")) // without it the error stands alone
	return string(b[max(0, len(b)-2000):])
}

// URL is the address of a database on it, as server.Options takes one.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, s.port, database)
}

// Data is the directory of the cluster.
func (s *Server) Data() string { return filepath.Join(s.dir, "data") }

// Resume runs the server again that was halted.
func (s *Server) Resume(ctx context.Context) error {
	bin, err := programs()
	if err != nil {
		return err
	}
	if err := s.run(ctx, bin); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

// Stop ends the server, its connections with it, and removes its cluster.
func (s *Server) Stop() error {
	s.Halt()
	return os.RemoveAll(s.dir)
}

// Halt ends the server, its connections with it, and leaves its cluster.
func (s *Server) Halt() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(os.Interrupt) // a fast shutdown
		select {
		case <-s.ended:
		case <-time.After(stopWait):
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
		s.cmd = nil
	}
}

// programs is the directory of initdb and postgres: the PATH's, or the newest of Debian's.
func programs() (string, error) {
	// Debian puts only the client's programs into the PATH.
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is good
	slices.SortFunc(all, func(a, b string) int { return version(a) - version(b) })
	if path, err := exec.LookPath("postgres"); err == nil {
		all = append(all, path)
	}
	for _, path := range slices.Backward(all) {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "initdb")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", ErrMissing
}

// version is the number in a path such as /usr/lib/postgresql/15/bin/postgres.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 is the oldest
	return n
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
