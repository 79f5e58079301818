package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/message"
)

func (a *app) keysetRetireCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "retire KEY",
		Short: "Take away a key that nothing uses any more",
		Long: `Takes a key out of the keyset, once nothing uses it: no object of the store, and no
workflow that Temporal has, running or within its retention. It reads all of them,
which takes a while. No worker or gateway may seal with it any more, as they say
themselves; commands that start batches say nothing. It cannot know of backups and of
other namespaces that use the same keyset.

With --force it looks at nothing. What the key sealed can then never be read again:
batches that wait or run stand still until the key is back, and results are gone.`,
		Example:           "  volley keyset retire 1931667682",
		Args:              needs("KEY"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			look := a.unused
			if force {
				look = nil
			}
			s, id, printed, err := a.changeKey(cmd.Context(), args[0], (*encryption.Keyset).Without, look)
			if err != nil {
				return err
			}
			done := fmt.Sprintf("key %d is retired", id)
			if force {
				done += " unseen: what it sealed cannot be read unless the key comes back,"
			}
			return a.showKeyset(s, id, printed, done, nextKeyset(s))
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "do not look what uses the key: that can never be read again")
	return cmd
}

// unused is an error where something uses a key.
func (a *app) unused(ctx context.Context, id uint32) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	if err := a.sealIndex(ctx, c); err != nil {
		return fmt.Errorf("key %d stays: %w", id, err)
	}
	u, err := a.keyUses(ctx, a, c, id)
	if err != nil {
		return fmt.Errorf("key %d stays: %w", id, err)
	}
	switch use := u.of(id); {
	case use.Objects > 0 && use.Folder != "":
		return fmt.Errorf("key %d stays: %s of the store %s sealed with it, as in %s; objects go with their batches (volley purge)", id, plural(use.Objects, "object"), message.Verb(use.Objects, "is", "are"), use.Folder)
	case use.Objects > 0:
		return fmt.Errorf("key %d stays: the store's marker is sealed with it; a worker or gateway that starts with the new keyset seals it anew", id)
	case use.Workflows > 0:
		return fmt.Errorf("key %d stays: workflows use it, as %s; Temporal forgets them when they have ended and its retention is over", id, use.Workflow)
	}
	all, err := a.keyReports(ctx, a, c)
	if err != nil {
		return fmt.Errorf("key %d stays: %w", id, err)
	}
	for i := range all {
		switch r := &all[i]; {
		case r.Silent:
			return fmt.Errorf("key %d stays: %s does not say which key it seals with, as an earlier version does not", id, r)
		case r.Primary == id:
			return fmt.Errorf("key %d stays: %s still seals with it, since %s", id, r, r.Since.UTC().Format(time.RFC3339))
		}
	}
	if !u.store {
		a.note("there is no store that could be read, so only Temporal was asked")
	}
	return nil
}
