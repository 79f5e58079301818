package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"volley/dev/server"
)

// addresses is the first line on stdout. What is off is "".
type addresses struct {
	Temporal string `json:"temporal"`
	UI       string `json:"ui"`
	Gateway  string `json:"gateway"`
	Sandbox  string `json:"sandbox"`
	Codec    string `json:"codec"`
	Console  string `json:"console"`
}

// announce prints the addresses, for programs and for people.
func (s *stack) announce(stdout, stderr io.Writer) error {
	a := addresses{Temporal: s.temporal.Address(), UI: s.temporal.UIAddress(), Gateway: s.gateway, Sandbox: s.address, Codec: s.codec, Console: s.console}
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		return err
	}
	ui, gw := cmp.Or(a.UI, "off"), cmp.Or(a.Gateway, "off")
	state := "in memory; it is gone when this process ends"
	if s.o.db != "" {
		state = s.o.db
	}
	sealed := "off"
	if !s.keyset.IsOff() {
		sealed = "on, as encryption.keyset in " + s.configFile + " says; the Web UI shows plain text"
	}
	fmt.Fprintf(stderr, "\n  Temporal   %s (server %s)\n  Web UI     %s\n  Console    %s\n  Gateway    %s\n  Sandbox    %s\n  State      %s\n  Encryption %s\n",
		a.Temporal, server.Version(), ui, cmp.Or(a.Console, "off"), gw, a.Sandbox, state, sealed)
	if a.UI != "" {
		fmt.Fprintf(stderr, "  Batches    %s/namespaces/%s/workflows?query=WorkflowType%%3D%%22SendBatch%%22&savedQuery=Volley%%20batches\n", a.UI, s.temporal.Namespace())
	}
	if s.o.command == cmdUp {
		fmt.Fprintf(stderr, "\nUse it from another terminal, in the repository:\n\n"+
			"  export TEMPORAL_ADDRESS=%s VOLLEY_CONFIG=%s\n  go run ./cmd/volley start --dialect bird --watch examples/bird.json\n\n",
			a.Temporal, s.configFile)
		if s.gateway != "" && s.o.config == "" {
			fmt.Fprint(stderr, "Or over HTTP, in the format that you already use:\n\n")
			for _, e := range examples()[:5] {
				fmt.Fprintf(stderr, "  %s\n", e.call(s.gateway).curl("examples", false))
			}
			fmt.Fprintln(stderr)
		}
		fmt.Fprint(stderr, "Ctrl-C stops it.\n\n")
	}
	return nil
}

// env is the environment in which this process's own client finds the embedded
// server, whatever the user's environment and profile say.
func (s *stack) env() environ {
	return environ{
		"TEMPORAL_ADDRESS":     s.temporal.Address(),
		"TEMPORAL_NAMESPACE":   s.temporal.Namespace(),
		"TEMPORAL_CONFIG_FILE": os.DevNull,
	}
}

type environ map[string]string

// LookupEnv finds a variable.
func (e environ) LookupEnv(key string) (string, bool) {
	v, ok := e[key]
	return v, ok
}

// Environ lists the variables.
func (e environ) Environ() []string {
	var out []string
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	return out
}
