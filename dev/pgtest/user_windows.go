package pgtest

import "os/exec"

func give(string) error { return nil }

func setUser(*exec.Cmd) error { return nil }
