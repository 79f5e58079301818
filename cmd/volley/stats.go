package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/index"
	"volley/internal/message"
)

// statsOutput is what `volley stats -o json` prints, and GET /v1/stats answers.
type statsOutput struct {
	Since time.Time    `json:"since"`
	By    string       `json:"by"`
	Stats []index.Stat `json:"stats"`
}

// maxKey is how many columns what a line is about has at most: callers choose names.
const maxKey = 60

// statsDefault is how far back statistics go where nobody says.
const statsDefault = 7 * 24 * time.Hour

func (a *app) statsCommand() *cobra.Command {
	var q index.StatsQuery
	var scope indexScope
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show how well messages went, by campaign, account, country or day",
		Long: `Shows how many of the messages that ended since a time were sent and delivered, how many
have had no delivery report for a day, and how long they took from when they were due to
when they were sent. success is sent and delivered of all; delivery is delivered of
those of which a report came; reason is that of most of those that did not go well.
--by meta.KEY takes the keys that search_metadata names.`,
		Example: `  volley stats --since 24h --by account
  volley stats --by meta.campaign -o json`,
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := notEmpty(cmd, "by"); err != nil {
				return err
			}
			if q.Tenant, q.Since, err = scope.read(a, cmd); err != nil {
				return err
			}
			q.Now, q.Zone = a.now(), a.shown()
			if q.Since.IsZero() {
				q.Since = q.Now.Add(-statsDefault)
			}
			return a.withIndex(cmd.Context(), func(x *index.Index) error { return a.stats(cmd.Context(), x, q) })
		},
	}
	scope.add(cmd, "messages that ended")
	cmd.Flags().StringVar(&q.By, "by", "", "a line for each `value` of tenant, account, country, channel, code, hour, day, batch or meta.KEY (default: one line)")
	complete(cmd, "by", completeList([]string{"tenant", "account", "country", "channel", "code", "hour", "day", "batch"}))
	return cmd
}

func (a *app) stats(ctx context.Context, x *index.Index, q index.StatsQuery) error {
	stats, err := x.Stats(ctx, q)
	if err != nil {
		return indexError(err)
	}
	if a.json() {
		return a.print(statsOutput{Since: q.Since.UTC(), By: q.By, Stats: stats})
	}
	if len(stats) == 0 {
		a.printf("no messages\n")
		return nil
	}
	t := &table{right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true}}
	t.row(headings(q.By, "messages", "success", "delivery", "no report", "failed", "expired", "p50", "p99", "reason")...)
	for i := range stats {
		s := &stats[i]
		failed := cell{number(s.Counts[message.Failed] + s.Counts[message.Rejected] + s.Counts[message.Undelivered]), 0}
		if failed.text != "0" {
			failed.colour = red
		}
		delivery := cell{"", 0}
		if s.DeliveryRate != nil {
			delivery.text = percent(*s.DeliveryRate)
		}
		key := s.Key
		if key == "" && q.By != "" {
			key = "none"
		}
		t.row(cell{key, 0}, cell{number(s.Total), 0}, cell{percent(s.Success), 0}, delivery, cell{number(s.NoReport), 0}, failed,
			cell{number(s.Counts[message.Expired]), 0}, cell{seconds(s.P50), 0}, cell{seconds(s.P99), 0}, reasonOf(s.Reasons))
	}
	if t.clip(0, maxKey); q.By == "" {
		t.drop(0)
	}
	a.table(t)
	return nil
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

// seconds writes a duration; nil is none.
func seconds(s *float64) string {
	if s == nil {
		return ""
	}
	if *s < 10 {
		return fmt.Sprintf("%.1f s", *s)
	}
	return span(time.Duration(*s * float64(time.Second)))
}
