package main

// This test is inside the package because a command has nothing to import.

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlagsAreReadOrRefused(t *testing.T) {
	t.Parallel()
	o, err := parse("compare", []string{
		"--shapes", "bare, group", "--messages", "group=1_000,loop=5", "--delay", "0,50",
		"--server", "memory", "--postgres", "postgres://u@h/d",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"bare", "group"}, o.shapes)
	require.Equal(t, []time.Duration{0, 50 * time.Millisecond}, o.delays)
	require.Equal(t, []string{inMemory, inPostgres}, o.servers, "one that is named is used")
	require.Equal(t, 1000, o.count("group", 7))
	require.Equal(t, 7, o.count("bare", 7))

	for name, x := range map[string]struct {
		args []string
		want string
	}{
		"an unknown shape":           {[]string{"--shapes", "fast"}, `unknown shape "fast"`},
		"an unknown server":          {[]string{"--server", "cloud"}, `"cloud", expected memory, file or postgres`},
		"PostgreSQL without a place": {[]string{"--server", "postgres"}, "--postgres must say where"},
		"messages without a number":  {[]string{"--messages", "group"}, `"group", expected shape=number`},
		"a delay that is none":       {[]string{"--delay", "-1"}, `"-1" is not a number of milliseconds`},
		"no requests at once":        {[]string{"--in-flight", "0"}, "expected at least 1"},
		"no rounds":                  {[]string{"--rounds", "0"}, "expected at least 1"},
		"something that is no flag":  {[]string{"group"}, `unexpected argument "group"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse("compare", x.args)
			require.ErrorContains(t, err, x.want)
		})
	}
	_, err = parse("pacing", []string{"--dispatch", "slow"})
	require.ErrorContains(t, err, `"slow", expected message, group or mixed`)
}

func TestMediansAreTakenColumnByColumn(t *testing.T) {
	t.Parallel()
	m := medians([]sample{
		{Messages: 5, Speed: 10, Loop: .3, Memory: 100, P99: 9},
		{Messages: 5, Speed: 30, Loop: .1, Memory: 300, P99: 7},
		{Messages: 5, Speed: 20, Loop: .2, Memory: 200, P99: 8},
	})
	require.Equal(t, sample{Messages: 5, Speed: 20, Loop: .2, Memory: 200, P99: 8}, m)
	require.Zero(t, medians(nil))
}
