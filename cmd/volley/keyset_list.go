package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/keywatch"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

// keyUse is what one key sealed.
type keyUse struct {
	// Objects are those of the store, and Folder is where one of them is; empty is the
	// marker.
	Objects int
	Folder  string
	// Workflows are runs of workflows, and Workflow is one of them.
	Workflows int
	Workflow  string
}

// keyUses is what the keys sealed.
type keyUses struct {
	byKey map[uint32]keyUse
	// clear is how many objects of the store are in clear.
	clear int
	// store is false where there is no store.
	store bool
}

func (u keyUses) of(key uint32) keyUse { return u.byKey[key] }

// readKeyUses reads what the keys sealed. Where first is not 0 it ends as soon as it knows
// of a use of that key. Before that it makes the canaries those of the primary key.
func readKeyUses(ctx context.Context, a *app, c *config.Config, first uint32) (keyUses, error) {
	u := keyUses{byKey: map[uint32]keyUse{}}
	log, err := a.logger("warn")
	if err != nil {
		return u, err
	}
	keyset, err := keysetOf(c)
	if err != nil {
		return u, err
	}
	o := temporalclient.Options{Log: log, EnvLookup: a.env, Keyset: keyset}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return u, err
	}
	tc, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return u, err
	}
	defer tc.Close()
	if err := temporalclient.CheckKeyset(ctx, tc, c.TaskQueue, o); err != nil {
		return u, err
	}
	st, err := store.Open(ctx, c.Store, store.Options{Log: log, Keyset: keyset, Namespace: settings.Namespace})
	if err != nil {
		return u, err
	}
	defer func() { _ = st.Close() }() // nothing is under way
	so := starterOptions(c, settings, log)
	so.Store = st
	switch err := u.readStore(ctx, st); {
	case errors.Is(err, store.ErrAway):
		// One that nobody made yet has nothing that could be sealed.
		if err := starter.New(tc, so).StoreIsNew(ctx); err != nil {
			return u, err
		}
	case err != nil:
		return u, err
	default:
		u.store = true
	}
	if u.byKey[first].Objects > 0 {
		return u, nil
	}
	runs, err := temporalclient.KeyUses(ctx, tc, settings.Namespace, first)
	for key, use := range runs {
		of := u.byKey[key]
		of.Workflows, of.Workflow = use.Runs, use.Workflow
		u.byKey[key] = of
	}
	return u, err
}

// readKeyReports is what the workers and gateways say of their keys.
func readKeyReports(ctx context.Context, a *app, c *config.Config) ([]keywatch.Report, error) {
	o := temporalclient.Options{EnvLookup: a.env}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return nil, err
	}
	tc, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	defer tc.Close()
	return keywatch.Reports(ctx, tc.WorkflowService(), settings.Namespace, c.TaskQueue, a.now())
}

// readStore reads what the keys sealed in the store.
func (u *keyUses) readStore(ctx context.Context, st *store.Store) error {
	if err := st.Present(ctx); err != nil {
		return err // another store than the batches' has nothing of theirs
	}
	if err := st.Unlock(ctx); err != nil {
		return err
	}
	objects, clear, err := st.KeyUses(ctx)
	for key, use := range objects {
		u.byKey[key] = keyUse{Objects: use.Objects, Folder: use.Folder}
	}
	u.clear = clear
	return err
}

// keysDocument is what `volley keyset list -o json` prints.
type keysDocument struct {
	// File is where the keyset is, empty where it is in no file.
	File string        `json:"file"`
	Keys []keyDocument `json:"keys"`
	// Clear is how many objects of the store are not encrypted; null without --count.
	Clear *int `json:"clear"`
}

// keyDocument is one key. Without --count, Objects and Workflows are null.
type keyDocument struct {
	ID      uint32 `json:"id"`
	Primary bool   `json:"primary"`
	Enabled bool   `json:"enabled"`
	// Missing means that the keyset does not have the key, although something uses it.
	Missing   bool `json:"missing"`
	Objects   *int `json:"objects"`
	Workflows *int `json:"workflows"`
}

func (a *app) keysetListCommand() *cobra.Command {
	var count bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys, and what uses each",
		Long: `Lists the keys of the keyset: the one that seals, and those that only open what they
sealed before. With --count it reads the whole store and all that Temporal has, which
takes a while, and says how many objects and workflows still use each.`,
		Example:           "  volley keyset list --count",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.keysetSource()
			if err != nil {
				return err
			}
			k, err := s.load()
			if err != nil {
				return err
			}
			doc := keysDocument{File: s.file}
			for _, key := range k.Keys() {
				doc.Keys = append(doc.Keys, keyDocument{ID: key.ID, Primary: key.Primary, Enabled: key.Enabled})
			}
			if count {
				if err := a.countUses(cmd.Context(), &doc); err != nil {
					return err
				}
			}
			if a.json() {
				return a.print(doc)
			}
			a.showKeys(&doc)
			return nil
		},
	}
	cmd.Flags().BoolVar(&count, "count", false, "say how many objects and workflows use each key")
	return cmd
}

// countUses adds what uses each key, and the keys that are used and not there.
func (a *app) countUses(ctx context.Context, doc *keysDocument) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	u, err := a.keyUses(ctx, a, c, 0)
	if err != nil {
		return err
	}
	doc.Clear = &u.clear
	left := maps.Clone(u.byKey)
	for i := range doc.Keys {
		use := u.of(doc.Keys[i].ID)
		delete(left, doc.Keys[i].ID)
		doc.Keys[i].Objects, doc.Keys[i].Workflows = &use.Objects, &use.Workflows
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		use := left[id]
		doc.Keys = append(doc.Keys, keyDocument{ID: id, Missing: true, Objects: &use.Objects, Workflows: &use.Workflows})
	}
	return nil
}

func (a *app) showKeys(doc *keysDocument) {
	counted := doc.Clear != nil
	t := &table{right: map[int]bool{0: true, 2: true, 3: true}}
	names := []string{"key", "does"}
	if counted {
		names = append(names, "objects", "workflows")
	}
	t.row(headings(names...)...)
	for _, k := range doc.Keys {
		does := "opens"
		switch {
		case k.Missing:
			does = "is missing"
		case k.Primary:
			does = "seals"
		case !k.Enabled:
			does = "is disabled"
		}
		cells := []string{strconv.FormatUint(uint64(k.ID), 10), does}
		if counted {
			cells = append(cells, number(*k.Objects), number(*k.Workflows))
		}
		t.texts(cells...)
	}
	a.table(t)
	if counted && *doc.Clear > 0 {
		a.printf("%s of the store are not encrypted: they were written before there was a keyset\n", plural(*doc.Clear, "object"))
	}
}
