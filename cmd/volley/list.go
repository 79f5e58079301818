package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) listCommand() *cobra.Command {
	var q starter.ListQuery
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "List batches, newest first",
		Long:              "Lists batches, newest first. The list may lag by seconds.",
		Example:           "  volley list --state running --meta campaign=spring --counts",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkList(q); err != nil {
				return err
			}
			q.Tenant = a.tenant
			return a.on(cmd.Context(), func(b batches) error {
				page, err := b.List(cmd.Context(), q)
				if err != nil {
					return err
				}
				if page.Batches == nil {
					page.Batches = []message.Status{}
				}
				if a.json() {
					return a.print(page)
				}
				a.showList(page)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only batches in this `state`")
	f.StringVar(&q.Dialect, "dialect", "", "only batches of this `dialect`")
	f.StringVar(&q.Meta, "meta", "", "only batches with this metadata, `key=value`")
	f.IntVar(&q.Limit, "limit", 20, "how many")
	f.StringVar(&q.Cursor, "cursor", "", "where the list before ended")
	f.BoolVar(&q.Counts, "counts", false, "ask open batches for their counts")
	offer(cmd, "state", batchStates()...)
	offer(cmd, "dialect", dialectNames()...)
	return cmd
}

func checkList(q starter.ListQuery) error {
	if q.State != "" && !slices.Contains(batchStates(), q.State) {
		return usage("--state %q, expected one of %v", q.State, batchStates())
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

func (a *app) showList(page starter.Batches) {
	if len(page.Batches) == 0 {
		a.printf("no batches\n")
		return
	}
	now := a.now()
	t := &table{right: map[int]bool{3: true, 4: true, 5: true}}
	t.row(headings("batch", "state", "dialect", "total", "sent", "other ends", "created")...)
	for _, st := range page.Batches {
		sent, ended := "-", "-"
		if st.Counts != nil {
			n := st.Counts[message.Sent] + st.Counts[message.Delivered]
			sent, ended = strconv.Itoa(n), strconv.Itoa(st.Total-n-st.Counts.Open())
		}
		t.row(
			cell{st.ID, 0}, cell{string(st.State), batchColour(st.State)}, cell{st.Dialect, 0}, cell{strconv.Itoa(st.Total), 0},
			cell{sent, 0}, cell{ended, 0}, cell{when(st.CreatedAt, now), 0},
		)
	}
	a.table(t)
	if page.Next != "" {
		a.printf("more with --cursor %s\n", page.Next)
	}
}
