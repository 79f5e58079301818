package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "setup",
		Short:             "Add what the Temporal server lacks",
		Long:              "Adds the search attributes that the Temporal server lacks. It can be repeated.",
		Example:           "  volley setup",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				added, err := b.Setup(cmd.Context())
				if err != nil {
					return err
				}
				switch {
				case a.json():
					if added == nil {
						added = []string{}
					}
					return a.print(map[string][]string{"added": added})
				case len(added) == 0:
					a.printf("nothing to add: the server has every search attribute\n")
				default:
					a.printf("added the search attributes %s\n", strings.Join(added, ", "))
				}
				return nil
			})
		},
	}
}
