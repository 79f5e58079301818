package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// formulas are what a spreadsheet would run, and what it shows as it is.
func formulas() []message.Row {
	formula, plain, quoted := "=cmd|' /C calc'!A0", "-12", "'=1"
	return []message.Row{
		{Index: 0, ID: "id-0", To: "@SUM(1+9)", Reference: &formula, State: message.Failed, Detail: "\t=1"},
		{Index: 1, ID: "id-1", To: "+15550001111", Reference: &plain, State: message.Failed, Detail: "+HYPERLINK(1)"},
		{Index: 2, ID: "id-2", To: "x", Reference: &quoted, State: message.Failed},
	}
}

func TestNoCellOfResultsIsAFormula(t *testing.T) {
	t.Parallel()
	s := with(fake{rows: formulas()})()
	r := s.run(t, "results", "b1", "--format", "csv", "--columns", "to,reference,detail")
	require.Equal(t, "to,reference,detail\n'@SUM(1+9),'=cmd|' /C calc'!A0,'\t=1\n+15550001111,-12,'+HYPERLINK(1)\nx,''=1,\n", r.stdout)
	r = s.run(t, "results", "b1", "--format", "csv", "--columns", "to,reference", "--raw")
	require.Equal(t, "to,reference\n@SUM(1+9),=cmd|' /C calc'!A0\n+15550001111,-12\nx,'=1\n", r.stdout)
	require.Contains(t, s.run(t, "results", "b1").stdout, `"to":"@SUM(1+9)"`, "JSON lines are for programs")
	require.Equal(t, exitUsage, s.run(t, "results", "b1", "--raw").code)
}

func TestResultsAreReadAsWhatTheyWere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.csv")
	s := with(fake{rows: formulas()})()
	require.Equal(t, 0, s.run(t, "results", "b1", "--format", "csv", "--out", file).code)
	r := s.run(t, "validate", "--dialect", "volley", "--account", "hook", "--text", "about ${detail}", "--ignore-columns", "all", "--render", "-o", "json", file)
	require.Equal(t, 0, r.code, r.stderr+r.stdout)
	var got []string
	for _, m := range document(t, r)["messages"].([]any) {
		m := m.(map[string]any)
		got = append(got, m["to"].(string)+" "+m["reference"].(string)+" "+m["text"].(string))
	}
	require.Equal(t, []string{
		"@SUM(1+9) =cmd|' /C calc'!A0 about \t=1", "+15550001111 -12 about +HYPERLINK(1)", "x '=1 about ",
	}, got)

	configured := withConfig(t, &fake{})
	r = configured.run(t, "start", "--dialect", "volley", "--account", "hook", "--text", "Hi", "-o", "json", file)
	require.Equal(t, 0, r.code, r.stderr+r.stdout)
	warnings := document(t, r)["warnings"].([]any)
	require.Len(t, warnings, 1, "what results have beside recipients needs no flag and is told once")
	require.Contains(t, warnings[0].(map[string]any)["detail"], "index, id, account, state, dueAt, expiresAt")
	some := write(t, "some.csv", "to,dueAt\n+15550001111,2026-12-01T09:00:00Z\n")
	r = configured.run(t, "start", "--dialect", "volley", "--account", "hook", "--text", "Hi", some)
	require.Equal(t, exitUsage, r.code, "a send time in a file of somebody else is not passed over")

	other := filepath.Join(t.TempDir(), "customers.csv")
	require.NoError(t, os.WriteFile(other, []byte("to,name\nx,'=1\n"), 0o600))
	r = s.run(t, "validate", "--dialect", "volley", "--account", "hook", "--text", "${name}", "--render", "-o", "json", other)
	require.Contains(t, r.stdout, `"text":"'=1"`, "a file of somebody else is read as it is")
	r = s.run(t, "validate", "--dialect", "volley", "--text", "Hi", "--exclude", file, "-o", "json", write(t, "all.csv", "to\n@SUM(1+9)\ny\n"))
	require.EqualValues(t, 1, document(t, r)["excluded"], strings.TrimSpace(r.stdout))
}
