package server

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much a process that has a Temporal server in it allocates
// before it collects, in percent of what it holds: the server makes much garbage
// and, on a machine of a developer, holds little.
const gcPercent = 400

// Relax lets the process collect its garbage less often, unless the environment
// says how often.
func Relax() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}
