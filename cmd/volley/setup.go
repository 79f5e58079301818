package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/starter"
)

// setupDocument is what `volley setup -o json` prints.
type setupDocument struct {
	// Added are the search attributes that the server lacked.
	Added []string `json:"added"`
	// StoreMade means that the store was not there before.
	StoreMade bool `json:"storeMade"`
}

func (a *app) setupCommand() *cobra.Command {
	var newStore bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Add what the Temporal server and the store lack",
		Long: `Adds the search attributes that the Temporal server lacks, and makes the store of the
configuration: its directory and the marker by which Volley knows it again. It can be
repeated. A store without a marker is not made while batches run out of the store, as it
is not mounted then, or another bucket; --new-store is for a store that is lost for good.`,
		Example:           "  volley setup",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				added, err := b.Setup(cmd.Context())
				if err != nil {
					return err
				}
				if len(added) > 0 && !a.json() {
					a.printf("added the search attributes %s\n", strings.Join(added, ", "))
				}
				made, err := b.SetupStore(cmd.Context(), newStore)
				if err != nil && !a.worksWithoutStore(err) {
					return err
				}
				if err != nil {
					a.note("the default store cannot be made, so there are no large batches; `store` in the configuration names another one: %v", err)
				}
				switch {
				case a.json():
					return a.print(setupDocument{append([]string{}, added...), made})
				case made:
					a.printf("made the store of large batches\n")
				case len(added) == 0 && err == nil:
					a.printf("nothing to add: the server has every search attribute\n")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&newStore, "new-store", false, "make a store that was lost: what running batches\nhave not sent of it ends failed")
	return cmd
}

// worksWithoutStore reports whether an error of making the store does no harm: not
// everybody has made room for the default one.
func (a *app) worksWithoutStore(err error) bool {
	c, _, cerr := a.config(config.LoadWithoutSecrets)
	return cerr == nil && c.Store == config.Default().Store && !errors.Is(err, starter.ErrStoreAway) && !errors.Is(err, starter.ErrUnreachable)
}
