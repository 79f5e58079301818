//go:build !windows

package chaos

import (
	"os"
	"os/exec"
	"syscall"
)

// canStop means that processes can be stopped and continued here.
const canStop = true

// alone keeps the signals of a terminal from a process: it is ended by the run.
func alone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func stopProcess(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func continueProcess(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
