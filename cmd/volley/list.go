package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) listCommand() *cobra.Command {
	var q starter.ListQuery
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List batches, newest first",
		Long: `Lists batches, newest first: how many of their messages were sent, and their
metadata. The list may lag by seconds. The share of open batches is shown with --counts.`,
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
				if len(page.Batches) == 0 && q.Meta != "" && !a.configured() {
					a.unsearchable(q.Meta)
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

// aboutWidth is the least that the metadata of batches gets of a line.
const aboutWidth = 5

// showList writes a line for each batch, in the width of the terminal or in 80 columns. Ids
// are never cut, since they are what other commands need.
func (a *app) showList(page starter.Batches) {
	if len(page.Batches) == 0 {
		a.printf("no batches\n")
		return
	}
	now := a.now()
	t := &table{right: map[int]bool{2: true, 3: true, 5: true}}
	t.row(headings("batch", "state", "total", "sent", "about", "age")...)
	for _, st := range page.Batches {
		share, shade := successOf(st)
		t.row(
			cell{st.ID, 0}, cell{string(st.State), batchColour(st)}, cell{number(st.Total), 0},
			cell{share, shade}, cell{}, cell{age(now.Sub(st.CreatedAt)), 0},
		)
	}
	room := max(terminalWidth(a.stdout)-t.width(), aboutWidth)
	if !a.terminal(a.stdout) {
		room = math.MaxInt // nothing is cut off for a program
	}
	any := false
	for i, st := range page.Batches {
		text := about(st, room)
		t.rows[i+1][4].text = text
		any = any || text != ""
	}
	if !any {
		t.drop(4)
	}
	a.table(t)
	if page.Next != "" {
		a.printf("more with --cursor %s\n", page.Next)
	}
}

// successOf is the share of a batch's messages that were sent, delivered ones among
// them. It is 100% only where all were.
func successOf(st message.Status) (share string, shade colour) {
	if st.Counts == nil || st.Total == 0 {
		return "-", 0
	}
	sent := st.Counts[message.Sent] + st.Counts[message.Delivered]
	if batchColour(st) == red {
		shade = red
	}
	if sent == st.Total {
		return "100%", shade
	}
	return fmt.Sprintf("%.1f%%", math.Floor(float64(sent)*1000/float64(st.Total))/10), shade
}

// about is what a batch says of itself in room columns: its metadata, without the keys
// where they do not fit.
func about(st message.Status, room int) string {
	var pairs, values []string
	if st.RedriveOf != nil {
		pairs, values = append(pairs, "redrive of "+*st.RedriveOf), append(values, "redrive of "+*st.RedriveOf)
	}
	d := json.NewDecoder(bytes.NewReader(st.Metadata))
	if open, err := d.Token(); err == nil && open == json.Delim('{') {
		for d.More() {
			var value json.RawMessage
			key, err := d.Token()
			if err != nil || d.Decode(&value) != nil {
				break
			}
			text := string(value)
			_ = json.Unmarshal(value, &text) // what is no text stays JSON
			pairs, values = append(pairs, fmt.Sprintf("%s=%s", key, text)), append(values, text)
		}
	}
	text := printable(strings.Join(pairs, ", "))
	if uniseg.StringWidth(text) > room {
		text = printable(strings.Join(values, ", "))
	}
	return clipWidth(text, room)
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
