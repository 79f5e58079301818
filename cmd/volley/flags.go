package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return usage("%w, `%s --help` shows what there is", err, cmd.CommandPath())
	}
	f := invalid.GetFlag()
	what := ""
	switch f.Value.Type() {
	case "int", "int64":
		what = "expected a whole number"
	case "bool":
		what = "expected true or false"
	case "duration":
		what = "expected a duration such as 90s, 2h or 3d"
	default:
		what = invalid.Unwrap().Error()
	}
	return usage("--%s %q: %s", f.Name, invalid.GetValue(), what)
}

// wrapFlags makes help fit the width of the terminal, or 80 columns.
func (a *app) wrapFlags(root *cobra.Command) {
	wrapped := fmt.Sprintf("Flags.FlagUsagesWrapped %d |", terminalWidth(a.stdout))
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages |", wrapped))
}
