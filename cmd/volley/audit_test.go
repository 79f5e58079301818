package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/audit"
	"volley/internal/message"
	"volley/starter"
)

// audited is a setting with an audit log in a file, and its lines.
func audited(t *testing.T, f *fake) (s setting, file string, read func() ([]audit.Entry, string)) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "audit.jsonl")
	s = setting{fake: f, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"audit: {file: "+file+"}\n"), "VOLLEY_ACTOR=ann"}}
	return s, file, func() (all []audit.Entry, text string) {
		raw, err := os.ReadFile(file)
		if !errors.Is(err, os.ErrNotExist) {
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
		}
		for e, err := range audit.Read(strings.NewReader(string(raw))) {
			require.NoError(t, err)
			all = append(all, e)
		}
		return all, string(raw)
	}
}

// acts are the commands that change something, with arguments that do.
func acts(t *testing.T) map[string][]string {
	t.Helper()
	request := write(t, "request.json", `{"text":"The code is 4711","messages":[{"to":"+15550001111"}]}`)
	return map[string][]string{
		"start":      {"start", "--dialect", "volley", "--id", "b1", request},
		"redrive":    {"redrive", "b1", "--to", "+15550001111", "--id", "b2"},
		"cancel":     {"cancel", "b1", "--to", "+15550001111", "--reason", "wrong price"},
		"pause":      {"pause", "b1"},
		"resume":     {"resume", "b1"},
		"reschedule": {"reschedule", "b1", "--send-after", "2h"},
		"hold":       {"hold", "--meta", "customer=+15550001111", "--reason", "why"},
		"release":    {"release", "--account", "hook"},
		"delete":     {"delete", "b1"},
		"purge":      {"purge", "--older-than", "30d"},
		"setup":      {"setup"},
	}
}

// harmlessCommands change nothing, have batches and accounts of their own as chaos, or are
// services, whose actions have lines of their own.
var harmlessCommands = []string{
	"accounts", "audit", "chaos", "codec", "completion", "doctor", "find", "gateway", "help", "index", "list", "message", "messages", "results", "stats", "status", "stuck", "validate", "version", "watch", "worker",
}

func TestEveryCommandThatChangesSomethingHasOneLineInTheAuditLog(t *testing.T) {
	t.Parallel()
	all := acts(t)
	root := (&app{now: time.Now}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var names []string
	for _, cmd := range root.Commands() {
		names = append(names, cmd.Name())
	}
	require.ElementsMatch(t, append(slices.Collect(maps.Keys(all)), append(harmlessCommands, "keyset", "suppress", "forget", "export")...), names, "a command is neither tried here nor harmless")
	for name, args := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{cancel: message.CancelResult{Batch: "b1", Confirmed: true}, started: starter.Started{ID: "b1", Total: 1}, move: message.RescheduleResult{Batch: "b1"}}
			s, _, read := audited(t, f)
			r := s.run(t, args...)
			require.Zero(t, r.code, r.stderr)
			entries, text := read()
			require.Len(t, entries, 1)
			e := entries[0]
			require.Equal(t, []string{name, "ok", "ann", "cli"}, []string{e.Action, e.Result, e.Actor, e.Through}, text)
			if slices.Contains(args, "b1") {
				require.Equal(t, []string{"b1", "default"}, []string{e.Batch, e.Tenant}, text)
			}
			require.NotContains(t, text, "15550001111")
			require.NotContains(t, text, "4711")

			f.err = starter.ErrUnreachable
			f.storeError = starter.ErrUnreachable
			require.NotZero(t, s.run(t, args...).code)
			entries, text = read()
			require.Len(t, entries, 1)
			require.Equal(t, "unreachable", entries[0].Result, text)
		})
	}
}

// TestEveryChangeOfTheKeysetHasALineInTheAuditLog covers the commands below keyset.
func TestEveryChangeOfTheKeysetHasALineInTheAuditLog(t *testing.T) {
	t.Parallel()
	in, _ := inFile(t, twoKeys)
	s, _, read := audited(t, &fake{})
	config, err := os.ReadFile(strings.TrimPrefix(in.env[0], "VOLLEY_CONFIG="))
	require.NoError(t, err)
	mine := strings.TrimPrefix(s.env[0], "VOLLEY_CONFIG=")
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(mine, append(text, config...), 0o600))
	for _, args := range [][]string{{"add"}, {"promote", "42"}, {"retire", "1931667682", "--force"}, {"promote", "7"}, {"list"}} {
		r := s.run(t, append([]string{"keyset"}, args...)...)
		entries, text := read()
		if args[0] == "list" {
			require.Empty(t, entries)
			continue
		}
		require.Len(t, entries, 1, text)
		require.Equal(t, "keyset-"+args[0], entries[0].Action)
		require.Equal(t, r.code == 0, entries[0].Result == "ok", text)
		require.Equal(t, r.code == 0, entries[0].Key != 0, text)
		require.Empty(t, entries[0].Tenant)
	}
}

func TestAnEmptyFlagOfAuditDoesNotShowEverything(t *testing.T) {
	t.Parallel()
	s, _, _ := audited(t, &fake{})
	for _, flag := range []string{"--batch", "--actor", "--action", "--since"} {
		r := s.run(t, "audit", flag, "")
		require.Equal(t, exitUsage, r.code, flag)
		require.Contains(t, r.stderr, flag+" is empty")
	}
}

func TestWhatOnlyLooksHasNoLineInTheAuditLog(t *testing.T) {
	t.Parallel()
	s, _, read := audited(t, &fake{statuses: []message.Status{ended(message.Counts{message.Sent: 5})}})
	for _, args := range [][]string{{"purge", "--dry-run"}, {"status", "b1"}, {"list"}, {"cancel"}, {"cancel", "b1", "--wrong"}, {"cancel", "--help"}} {
		s.run(t, args...)
	}
	entries, text := read()
	require.Empty(t, entries, text)
}

func TestAnAuditLogThatCannotBeWrittenStopsNoCommandAndIsTold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "none", "audit.jsonl")
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", "audit: {file: "+file+"}\n")}}
	r := s.run(t, "pause", "b1")
	require.Zero(t, r.code)
	require.Contains(t, r.stderr, "volley: the audit log cannot be written: open "+file)
}

func TestWhoUsesACommandWithoutAName(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^.+@.+$`, (&app{}).actor())
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", "audit: {file: '-'}\n"), "VOLLEY_ACTOR=" + strings.Repeat("x", 5000)}}
	r := s.run(t, "pause", "b1")
	require.Zero(t, r.code)
	var e audit.Entry
	require.NoError(t, json.Unmarshal([]byte(r.stderr), &e), "with - the line is on stderr: %s", r.stderr)
	require.LessOrEqual(t, len(e.Actor), maxActor)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	s, file, _ := audited(t, &fake{cancel: message.CancelResult{Batch: "b1", Confirmed: true}})
	n := 3
	log := audit.New(audit.Options{File: file, Now: func() time.Time { return moment.Add(-48 * time.Hour) }})
	for _, e := range []audit.Entry{
		{Action: "start", Result: "ok", Tenant: "acme", Actor: "crm", Through: "http", Dialect: "bird", Batch: "b1", Counts: map[string]int{"messages": 5, "rejected": 1}, Remote: "10.0.0.7"},
		{Action: "cancel", Result: "ok", Tenant: "acme", Actor: "crm", Through: "http", Batch: "b1", Selector: []string{"to"}, Selected: &n, Reason: "wrong\x1b[31m price"},
		{Action: "login", Result: "unauthorized", Through: "http", Remote: "10.0.0.9", Unwritten: 7},
		{Action: "redrive", Result: "ok", Tenant: "acme", Actor: "ann", Through: "cli", Batch: "b1", NewBatch: "b2"},
		{Action: "hold", Result: "ok", Tenant: "ops", Actor: "key-1", Through: "http", HeldTenant: "acme"},
		{Action: "cancel", Result: "ok", Tenant: "acme", Actor: "key-2", Through: "http", Dialect: "sinch", Batches: []string{"b3", "b4"}},
	} {
		require.NoError(t, log.Write(e, ""))
	}
	require.NoError(t, os.WriteFile(file+".1", []byte("{\"torn\n"), 0o600))
	golden(t, "audit.text", s.run(t, "audit"))
	golden(t, "audit.json", s.run(t, "audit", "-o", "json"))
	shown := func(args ...string) (actions []string) {
		r := s.run(t, append([]string{"audit", "-o", "json"}, args...)...)
		require.Zero(t, r.code, r.stderr)
		for e, err := range audit.Read(strings.NewReader(r.stdout)) {
			require.NoError(t, err)
			actions = append(actions, e.Action)
		}
		return actions
	}
	require.Equal(t, []string{"start", "cancel", "redrive"}, shown("--batch", "b1"))
	require.Equal(t, []string{"redrive"}, shown("--batch", "b2"))
	require.Equal(t, []string{"cancel"}, shown("--batch", "b4"))
	require.Equal(t, []string{"start", "cancel"}, shown("--actor", "crm"))
	require.Equal(t, []string{"login", "hold"}, shown("--action", "login,hold"))
	require.Equal(t, []string{"start", "cancel", "redrive", "hold", "cancel"}, shown("--tenant", "acme"))
	require.Equal(t, []string{"hold", "cancel"}, shown("--limit", "2"))
	require.Empty(t, shown("--since", "1d"))
	require.Len(t, shown("--since", "3d"), 6)
	require.Len(t, shown("--since", moment.Add(-72*time.Hour).Format(time.RFC3339)), 6)
	require.Len(t, shown(file, file), 12)

	r := s.run(t, "audit", "--limit", "1")
	require.Contains(t, r.stderr, "5 actions before these are left out")
	r = s.run(t, "audit", file+".1")
	require.Zero(t, r.code)
	require.Contains(t, r.stderr, "1 line of the files cannot be read")
	for _, args := range [][]string{{"--action", "frobnicate"}, {"--since", "yesterday"}, {"--limit", "-1"}, {file + ".2"}} {
		require.Equal(t, exitUsage, s.run(t, append([]string{"audit"}, args...)...).code, args)
	}
	require.Equal(t, exitUsage, setting{}.run(t, "audit").code)
}

// A start that does not get to Temporal says of which batch it was.
func TestAStartThatDidNotReachTemporalNamesItsBatch(t *testing.T) {
	t.Parallel()
	s, _, read := audited(t, &fake{})
	s.openErr = starter.ErrUnreachable
	require.NotZero(t, s.run(t, acts(t)["start"]...).code)
	entries, text := read()
	require.Len(t, entries, 1)
	require.Equal(t, []string{"start", "b1", "unreachable"}, []string{entries[0].Action, entries[0].Batch, entries[0].Result}, text)
}
