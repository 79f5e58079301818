package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChaosRefusesWhatMakesNoRun(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"chaos --messages 9":         "volley: --messages 9, expected 10 to 1000000\n",
		"chaos --faults lots":        "volley: --faults \"lots\", expected a share such as 20% or 0.2\n",
		"chaos --faults 120%":        "volley: --faults \"120%\", expected a share such as 20% or 0.2\n",
		"chaos --dispatch singly":    "volley: --dispatch \"singly\", expected message, group or both\n",
		"chaos --json /none/x.json":  "volley: --json: open /none/x.json: no such file or directory\n",
		"chaos --messages 1000000 x": "volley: unexpected argument \"x\": volley chaos [flags]\n",
	} {
		got := setting{}.run(t, strings.Fields(args)...)
		require.Equal(t, exitUsage, got.code, args)
		require.Equal(t, want, got.stderr, args)
	}
}

func TestSharesAreReadAsPercentOrNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"20%": 0.2, "0.2": 0.2, "0": 0, "100%": 1, "0.5%": 0.005} {
		got, err := parseShare(text)
		require.NoError(t, err)
		require.InDelta(t, want, got, 1e-9, text)
	}
	for _, text := range []string{"", "%", "20", "-1%", "101%", "nan", "x"} {
		_, err := parseShare(text)
		require.Error(t, err, text)
	}
}
