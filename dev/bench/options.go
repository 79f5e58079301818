package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are what a run of the benchmarks can be told.
type options struct {
	shapes   []string
	messages map[string]int // by shape, or by what a mode says of its numbers
	delays   []time.Duration
	servers  []string
	rounds   int
	inFlight int
	postgres string
	json     string
	profile  string
	rate     float64
	// encrypt seals the payloads and objects of Volley's own batches.
	encrypt bool
	settle  time.Duration
	modes   []string
}

// Where the server keeps its state.
const (
	inMemory   = "memory"
	inFile     = "file"
	inPostgres = "postgres"
)

// parse reads the flags of a subcommand.
func parse(name string, args []string) (options, error) {
	o := options{messages: map[string]int{}, rounds: 1}
	f := flag.NewFlagSet("bench "+name, flag.ContinueOnError)
	places := inMemory
	if name == "compare" {
		places += "," + inFile
	}
	servers := f.String("server", places, "where the server keeps its state: memory, file, postgres; several with commas")
	f.StringVar(&o.postgres, "postgres", "", "a PostgreSQL server, postgres://user:password@host:port/name?sslmode=disable; databases of its own are made there and removed")
	messages := f.String("messages", "", "how many messages, as shape=number with commas")
	f.IntVar(&o.inFlight, "in-flight", 100, "requests at once, of all shapes")
	f.StringVar(&o.json, "json", "", "also write the figures to this file")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of Volley's last worker, or of the gateway, to this file")
	shapes, delays, ways := new(string), new(string), new(string)
	switch name {
	case "compare":
		shapes = f.String("shapes", usualShapes, "what to measure beside the loop, with commas, of "+strings.Join(shapeNames(), ", "))
		f.BoolVar(&o.encrypt, "encrypt", false, "seal the payloads and objects of Volley's batches; compare with a run without it")
		delays = f.String("delay", "0,50", "after how many milliseconds the sink answers; several with commas")
		f.IntVar(&o.rounds, "rounds", 3, "alternating rounds, of which the medians count")
	case "scale":
	case "gateway", "index", "encryption":
		f.IntVar(&o.rounds, "rounds", 5, "alternating rounds, of which the medians count")
	default:
		ways = f.String("dispatch", defaultWays(name), "ways of dispatch, with commas")
		f.Float64Var(&o.rate, "rate", defaultRate(name), "the account's rate, messages a second; 0 is no limit")
	}
	if name == "pacing" {
		f.DurationVar(&o.settle, "settle", 0, "how long both workers run before")
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.shapes, o.modes, o.servers = list(*shapes), list(*ways), list(*servers)
	if o.postgres != "" && !slices.Contains(o.servers, inPostgres) {
		o.servers = append(o.servers, inPostgres)
	}
	if err := o.readMessages(*messages); err != nil {
		return o, err
	}
	for _, d := range list(*delays) {
		ms, err := strconv.Atoi(d)
		if err != nil || ms < 0 {
			return o, fmt.Errorf("--delay: %q is not a number of milliseconds", d)
		}
		o.delays = append(o.delays, time.Duration(ms)*time.Millisecond)
	}
	return o, o.check(f.Args())
}

func defaultWays(mode string) string {
	if mode == "pacing" {
		return "message,group,mixed"
	}
	return "message,group"
}

func defaultRate(mode string) float64 {
	if mode == "pacing" {
		return 100
	}
	return 0
}

func (o *options) readMessages(text string) error {
	for _, pair := range list(text) {
		k, v, _ := strings.Cut(pair, "=")
		n, err := strconv.Atoi(strings.ReplaceAll(v, "_", ""))
		if err != nil || n < 1 {
			return fmt.Errorf("--messages: %q, expected shape=number", pair)
		}
		o.messages[k] = n
	}
	return nil
}

func (o *options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	for _, s := range o.shapes {
		if !slices.Contains(shapeNames(), s) {
			return fmt.Errorf("--shapes: unknown shape %q, expected one of %s", s, strings.Join(shapeNames(), ", "))
		}
	}
	for _, s := range o.servers {
		switch {
		case !slices.Contains([]string{inMemory, inFile, inPostgres}, s):
			return fmt.Errorf("--server: %q, expected memory, file or postgres", s)
		case s == inPostgres && o.postgres == "":
			return errors.New("--server postgres: --postgres must say where it is")
		}
	}
	for _, w := range o.modes {
		if !slices.Contains([]string{"message", "group", "mixed"}, w) {
			return fmt.Errorf("--dispatch: %q, expected message, group or mixed", w)
		}
	}
	if o.inFlight < 1 {
		return fmt.Errorf("--in-flight: %d, expected at least 1", o.inFlight)
	}
	if o.rounds < 1 {
		return fmt.Errorf("--rounds: %d, expected at least 1", o.rounds)
	}
	return nil
}

// count is how many messages something has: as told, or else the default.
func (o *options) count(name string, otherwise int) int {
	if n, ok := o.messages[name]; ok {
		return n
	}
	return otherwise
}

// list splits at commas; an empty text is an empty list.
func list(text string) []string {
	var out []string
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
