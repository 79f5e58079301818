package main

import (
	"context"
	"errors"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) purgeCommand() *cobra.Command {
	var olderThan string
	var dry bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Remove what is old from the store",
		Long: `Removes from the store what belongs to no open batch and has not changed for
longer than --older-than, of all tenants, and what starts that were cut off have
left there. Small batches leave nothing in the store.`,
		Example:           "  volley purge --older-than 30d --dry-run",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("tenant") {
				return usage("--tenant does not limit a purge, which is of the whole store")
			}
			age, err := a.age(olderThan)
			if err != nil {
				return err
			}
			return a.on(cmd.Context(), func(b batches) error {
				gone, err := b.Purge(cmd.Context(), age, dry)
				if err != nil {
					return err
				}
				return a.showPurged(gone, dry)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&olderThan, "older-than", "", "how long ago `D` it must have changed last, as 12h or 30d (default store_retention)")
	fl.BoolVar(&dry, "dry-run", false, "only count what would be removed")
	return cmd
}

// age is --older-than, or what the configuration has in its place.
func (a *app) age(olderThan string) (time.Duration, error) {
	if olderThan == "" {
		c, _, err := a.config(config.LoadWithoutSecrets)
		if err != nil {
			return 0, err
		}
		return c.StoreRetention, nil
	}
	d, err := message.ParseDuration(olderThan)
	if err != nil || d < 0 {
		return 0, usage("--older-than %q must be a duration such as 30s, 15m, 12h or 30d", olderThan)
	}
	return d, nil
}

func (a *app) showPurged(p starter.Purged, dry bool) error {
	if a.json() {
		if p.List == nil {
			p.List = []starter.PurgedFolder{}
		}
		return a.print(p)
	}
	if p.Folders == 0 {
		a.printf("nothing to remove\n")
		return nil
	}
	t := &table{right: map[int]bool{2: true, 3: true}}
	t.row(headings("batch", "tenant", "objects", "size", "last written", "why")...)
	now := a.now()
	for _, f := range p.List {
		t.texts(f.Batch, f.Tenant, number(f.Objects), size(f.Bytes), when(f.Written, now), f.Reason)
	}
	a.table(t)
	verb := "removed"
	if dry {
		verb = "would remove"
	}
	a.printf("%s %s with %s, %s\n", verb, plural(p.Folders, "folder"), plural(p.Objects, "object"), size(p.Bytes))
	return nil
}

func size(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }

func (a *app) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Remove a batch that has ended, everywhere",
		Long: `Removes a batch that has ended from Temporal, from the store and from the index, its
share of the statistics with it; the audit keeps who did what. Nothing of it can be read
afterwards, and its id is free again. Where the index does not answer, a worker takes the
batch out of it later. It does not ask first.`,
		Example:           "  volley delete spring-sale",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !starter.ValidID(args[0]) {
				return usage("%q is no batch's id: expected %s", args[0], message.NameRule)
			}
			return a.on(cmd.Context(), func(b batches) error {
				ref := a.ref(args[0])
				err := b.Delete(cmd.Context(), ref)
				lingers, none := errors.Is(err, starter.ErrDeletionPending), errors.Is(err, starter.ErrNotFound)
				if err != nil && !lingers && !none {
					return err
				}
				had, ierr := a.deleteFromIndex(cmd.Context(), ref)
				switch {
				case none && !had: // the index may have what Temporal keeps no longer
					return errors.Join(err, ierr)
				case ierr != nil:
					a.note("%v: a worker takes the batch out of it later", ierr)
				}
				if a.json() {
					return a.print(struct {
						Batch   string `json:"batch"`
						Deleted bool   `json:"deleted"`
						// Lingers means that Temporal has yet to forget it, and the id is not free.
						Lingers bool `json:"lingers,omitempty"`
						// Indexed means that the index does not answer, and has yet to forget it.
						Indexed bool `json:"indexed,omitempty"`
					}{args[0], true, lingers, ierr != nil})
				}
				a.printf("batch %s is deleted\n", args[0])
				if lingers {
					a.note("Temporal takes longer to forget it; until then it is still shown, and its id is not free")
				}
				return nil
			})
		},
	}
}

// deleteFromIndex takes a batch out of the index that was deleted, and reports whether the index
// had it. Without an index there is nothing to do.
func (a *app) deleteFromIndex(ctx context.Context, ref starter.Ref) (had bool, err error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return false, err
	}
	if c.Index.URL.IsZero() && !c.Index.URLUnset {
		return false, nil
	}
	err = a.withIndex(ctx, func(x *index.Index) (err error) {
		had, err = x.Delete(ctx, ref.Tenant, ref.ID, a.now())
		return err
	})
	return had, err
}
