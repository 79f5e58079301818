package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) listCommand() *cobra.Command {
	var q starter.ListQuery
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List batches, newest first",
		Long: `Lists batches, newest first: the share of their messages that were sent, the metadata
under the first key of search_metadata, why messages did not arrive, and when they ended;
a wide terminal shows more. The list may lag by seconds. The share of open batches is
shown with --counts.`,
		Example:           "  volley list --state running --meta campaign=spring --counts",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkList(q); err != nil {
				return err
			}
			q.Tenant = a.tenant
			c, _, err := a.config(config.LoadWithoutSecrets)
			if err != nil {
				return err
			}
			return a.on(cmd.Context(), func(b batches) error {
				page, err := b.List(cmd.Context(), q)
				if err != nil {
					return err
				}
				if page.Batches == nil {
					page.Batches = []message.Status{}
				}
				if len(page.Batches) == 0 && q.Meta != "" && !a.configured() {
					a.unsearchable(q.Meta)
				}
				if a.json() {
					return a.print(page)
				}
				a.showList(page, c.SearchMetadata)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only batches in these `states`, such as running,paused")
	f.StringVar(&q.Dialect, "dialect", "", "only batches of this `dialect`")
	f.StringVar(&q.Meta, "meta", "", "only batches with this metadata, `key=value`; the key must be in search_metadata")
	f.IntVar(&q.Limit, "limit", 20, "how many")
	f.StringVar(&q.Cursor, "cursor", "", "where the list before ended")
	f.BoolVar(&q.Counts, "counts", false, "ask open batches for their counts")
	complete(cmd, "state", completeList(batchStates()))
	offer(cmd, "dialect", dialectNames()...)
	return cmd
}

func checkList(q starter.ListQuery) error {
	if q.State != "" {
		for name := range strings.SplitSeq(q.State, ",") {
			if !slices.Contains(batchStates(), strings.TrimSpace(name)) {
				return usage("--state %q, expected one or more of %v with commas between them", q.State, batchStates())
			}
		}
	}
	if q.Dialect != "" {
		if _, err := dialect.Named(q.Dialect); err != nil {
			return usage("--dialect: %w", err)
		}
	}
	if key, _, ok := strings.Cut(q.Meta, "="); q.Meta != "" && (!ok || key == "") {
		return usage("--meta %q, expected key=value", q.Meta)
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return usage("--limit %d, expected 1 to 1000", q.Limit)
	}
	return nil
}

// unsearchable says why a list by metadata is empty, where it is not known which
// metadata can be searched.
func (a *app) unsearchable(meta string) {
	key, _, _ := strings.Cut(meta, "=")
	a.note("batches are found by %s only if it was in search_metadata of the configuration that they were started with; here there is no configuration", key)
}

// warnUnsearchable says that `list --meta` will not find a batch, where there is metadata
// to search for.
func (a *app) warnUnsearchable(searchable []string, metadata json.RawMessage) {
	var keys map[string]json.RawMessage
	if len(searchable) == 0 || json.Unmarshal(metadata, &keys) != nil || len(keys) == 0 {
		return
	}
	for _, key := range searchable {
		if _, ok := keys[key]; ok {
			return
		}
	}
	a.note("`volley list --meta` will not find this batch: search_metadata has none of its metadata's keys (%s)",
		clipWidth(strings.Join(slices.Sorted(maps.Keys(keys)), ", "), 60))
}
