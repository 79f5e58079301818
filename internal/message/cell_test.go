package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestACellIsNoFormulaAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a": "a", "a=b": "a=b", "'": "'", "'a'": "'a'", "Zoë": "Zoë",
		"=1+1": "'=1+1", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "@SUM(1)": "'@SUM(1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		"+49 (0)151 / 123-4": "+49 (0)151 / 123-4", "+15550001111": "+15550001111", "-12": "-12", "-1.5e-3": "-1.5e-3", "+1,5": "+1,5", "-": "-", "+": "+",
		"+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0", "-2+3+cmd|x": "'-2+3+cmd|x", "+1e": "'+1e", "-A1": "'-A1",
		"'=1": "''=1", "''=1": "'''=1", "'+49": "'+49", "'+x": "''+x",
	} {
		require.Equal(t, want, message.EscapeCell(text), "%q", text)
		require.Equal(t, text, message.UnescapeCell(want), "%q", text)
	}
}

func FuzzCells(f *testing.F) {
	for _, s := range []string{"=a", "'=a", "''", "+1", "-x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, s, message.UnescapeCell(message.EscapeCell(s)))
	})
}

func TestResultColumns(t *testing.T) {
	t.Parallel()
	require.True(t, message.IsResultColumns(message.RowColumns()))
	require.True(t, message.IsResultColumns([]string{"to", "reference"}))
	require.False(t, message.IsResultColumns([]string{"to", "name"}))
	require.False(t, message.IsResultColumns(nil))
}
