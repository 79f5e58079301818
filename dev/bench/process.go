package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// process is a worker, a loop or a gateway in a process of its own. It answers each line with
// a line, and ends when its input does, so also when this process dies.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	// ready is what it said when it was.
	ready roles.Reply
}

// workerProgram is the program that runs roles. It stands beside this one and is
// separate so that it contains no server.
const workerProgram = "bench-worker"

// spawn starts a process in a role and waits until it is ready.
func spawn(ctx context.Context, r roles.Role) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(filepath.Dir(self), workerProgram)
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%w (make bench builds it: go build -o %s ./bench/worker)", err, program)
	}
	cmd := exec.CommandContext(ctx, program, r.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if p.ready, err = p.answer(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.Name, err), p.stop())
	}
	return p, nil
}

// ask writes a line and reads the answer.
func (p *process) ask(n int) (roles.Reply, error) {
	if _, err := fmt.Fprintln(p.in, n); err != nil {
		return roles.Reply{}, err
	}
	return p.answer()
}

func (p *process) answer() (roles.Reply, error) {
	var t roles.Reply
	if !p.out.Scan() {
		return t, errors.Join(errors.New("the process ended early"), p.out.Err())
	}
	return t, json.Unmarshal(p.out.Bytes(), &t)
}

// peak is the most memory that the process had resident, in bytes; 0 where the
// system does not say.
func (p *process) peak() int64 {
	n, err := measure.PeakMemory(p.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return n
}

// stopTime is how long a process may take to end once it was asked to.
const stopTime = 20 * time.Second

// stop ends the process and waits for it. It may be called more than once.
func (p *process) stop() error {
	if p == nil || p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.in.Close()
	kill := time.AfterFunc(stopTime, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	for p.out.Scan() {
	}
	return p.cmd.Wait()
}
