package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// restartWait is how long a worker that ended by itself waits before it starts again.
const restartWait = 300 * time.Millisecond

// process is one worker process, which is started again whenever it ends.
type process struct {
	executable string
	args, env  []string
	log        *os.File

	// ended counts ends that nobody asked for.
	ended atomic.Int64

	mu      sync.Mutex
	cmd     *exec.Cmd
	closing bool
	// pause is how long the next start waits.
	pause time.Duration
	done  chan struct{}
}

// startProcess starts a worker whose output goes to a file.
func startProcess(executable string, args, env []string, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of a worker: %w", err)
	}
	p := &process{executable: executable, args: args, env: env, log: log, done: make(chan struct{})}
	if err := p.start(); err != nil {
		_ = log.Close() // nothing was written
		return nil, err
	}
	go p.keep()
	return p, nil
}

// start starts the process, unless it is closing.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return nil
	}
	cmd := exec.Command(p.executable, p.args...) //nolint:noctx // it is ended by close, not by a context
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	alone(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	p.cmd = cmd
	return nil
}

// keep starts the process again until it is closed.
func (p *process) keep() {
	defer close(p.done)
	for {
		p.mu.Lock()
		cmd := p.cmd
		p.mu.Unlock()
		_ = cmd.Wait() // how it ended is in its log
		p.mu.Lock()
		closing, pause := p.closing, p.pause
		p.pause = 0
		p.mu.Unlock()
		if closing {
			return
		}
		if pause == 0 {
			p.ended.Add(1)
			pause = restartWait
		}
		time.Sleep(pause)
		if p.start() != nil {
			return
		}
	}
}

// kill ends the process at once; it starts again after a time.
func (p *process) kill(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause = max(pause, time.Millisecond)
	_ = p.cmd.Process.Kill() // one that has ended is being started again
}

// freeze stops the process for a time.
func (p *process) freeze(d time.Duration) {
	p.mu.Lock()
	it := p.cmd.Process
	p.mu.Unlock()
	_ = stopProcess(it)
	time.Sleep(d)
	_ = continueProcess(it)
}

// close ends the process for good.
func (p *process) close() {
	p.mu.Lock()
	p.closing = true
	_ = p.cmd.Process.Kill()
	p.mu.Unlock()
	<-p.done
	_ = p.log.Close()
}
