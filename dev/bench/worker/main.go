// Command worker is what bench starts: a process in one role, given as its only
// argument. It ends when its input does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"volley/dev/bench/roles"
)

func main() {
	signal.Ignore(os.Interrupt) // bench decides when this process ends
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "bench worker: one argument is expected, the role; bench starts this program")
		os.Exit(2)
	}
	if err := roles.Run(context.Background(), os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench worker:", err)
		os.Exit(1)
	}
}
