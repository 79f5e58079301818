package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/doctor"
)

func TestWhatTheDoctorFoundIsShown(t *testing.T) {
	t.Parallel()
	report := doctor.Report{OK: false, Checks: []doctor.Finding{
		{Check: "temporal", Level: doctor.OK, Detail: "server 1.32.1 at localhost:7233, namespace default keeps ended batches for 3 d"},
		{Check: "search attributes", Level: doctor.Wrong, Detail: "no batch can start without VolleyDue", Do: "volley setup"},
		{Check: "workers", Level: doctor.Warning, Detail: "nobody serves volley-send-hook; nothing waits there", Do: "volley worker"},
	}}
	for _, output := range []string{"text", "json"} {
		var out bytes.Buffer
		a := &app{stdout: &out, output: output, terminal: isTerminal}
		err := a.showReport(report)
		require.Equal(t, exitFailed, exitCode(err))
		require.Empty(t, sentence(err), "all has been said")
		golden(t, "doctor."+output, result{stdout: out.String()})
	}
	var out bytes.Buffer
	a := &app{stdout: &out, output: "text", terminal: isTerminal}
	report.OK = true
	require.NoError(t, a.showReport(report), "warnings are no failure")
}

// Where the configuration cannot be read nobody knows which keyset and which store are
// meant, and neither counts as a fault beside it.
func TestABrokenConfigurationIsOneFault(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"it cannot be read":            "store: [\n",
		"the keyset's variable is not": "encryption: {keyset: \"${NO_SUCH_KEYSET}\"}\n",
	} {
		a := &app{env: environment{"VOLLEY_CONFIG=" + write(t, "volley.yaml", text), "TEMPORAL_ADDRESS=127.0.0.1:1", "TEMPORAL_CONFIG_FILE=/none"}, now: time.Now}
		checks, end, err := a.checks(t.Context(), true, "")
		require.NoError(t, err)
		t.Cleanup(end)
		for _, c := range checks {
			if c.Name == "config" {
				require.Equal(t, doctor.Wrong, c.Run(t.Context())[0].Level, name)
			}
			if c.Name == "store" && name == "it cannot be read" {
				require.Equal(t, "not looked at, as config is wrong", c.Run(t.Context())[0].Detail)
			}
		}
		report := doctor.Run(t.Context(), checks, 5*time.Second)
		for _, f := range report.Checks {
			if f.Check == "keyset" {
				require.Equal(t, doctor.Warning, f.Level, name)
			}
		}
	}
}
