package indexer

import (
	"context"
	"maps"
	"slices"
	"time"

	"volley/internal/index"
	"volley/internal/message"
)

const (
	// campaignsEvery is how often it is told how campaigns do, of the messages that ended
	// within campaignsSpan.
	campaignsEvery = 15 * time.Second
	campaignsSpan  = time.Hour
	// mostCampaigns is of how many that is told, those with the most messages. Each is a
	// series of its own.
	mostCampaigns = 20
	// maxName is how many characters of a campaign's name are told.
	maxName = 80
)

// result is how many messages of a campaign arrived, as far as that is known, and how many did
// not. Canceled and rejected ones are neither.
type result struct{ arrived, missed int }

// tellCampaigns tells how the campaigns do.
func (f *Feed) tellCampaigns(ctx context.Context) error {
	now := f.o.Now()
	if len(f.o.Metadata) == 0 || f.o.Metrics == nil || now.Sub(f.toldAt) < campaignsEvery {
		return nil
	}
	stats, err := f.index.Stats(ctx, index.StatsQuery{By: "meta." + f.o.Metadata[0], Since: now.Add(-campaignsSpan), Now: now})
	if err != nil {
		return err
	}
	f.toldAt = now
	results := map[string]result{}
	for _, s := range stats {
		n := s.Counts
		r := result{
			arrived: n[message.Sent] + n[message.Delivered],
			missed:  n[message.Failed] + n[message.Undelivered] + n[message.Expired] + n[message.Unknown],
		}
		if s.Key == "" || r == (result{}) {
			continue
		}
		if results[clipped(s.Key)] = r; len(results) == mostCampaigns {
			break
		}
	}
	f.showCampaigns(results)
	return nil
}

// clipped is a name as it stands in a series: callers choose it.
func clipped(name string) string {
	runes := []rune(name)
	if len(runes) <= maxName {
		return name
	}
	return string(runes[:maxName-1]) + "…"
}

// showCampaigns replaces what is told of campaigns.
func (f *Feed) showCampaigns(results map[string]result) {
	for _, name := range f.told {
		if _, ok := results[name]; !ok {
			f.metrics.campaign(name, result{})
		}
	}
	for name, r := range results {
		f.metrics.campaign(name, r)
	}
	f.told = slices.Collect(maps.Keys(results))
}
