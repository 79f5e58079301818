package indexer_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"volley/internal/index"
	"volley/internal/indexer"
	"volley/internal/message"
)

// campaigns are what is told of campaigns, by name and result.
type campaigns struct {
	client.MetricsHandler
	mu   *sync.Mutex
	all  map[[2]string]float64
	tags map[string]string
}

func newCampaigns() campaigns {
	return campaigns{MetricsHandler: client.MetricsNopHandler, mu: &sync.Mutex{}, all: map[[2]string]float64{}}
}

func (c campaigns) WithTags(tags map[string]string) client.MetricsHandler {
	c.tags = tags
	return c
}

func (c campaigns) Gauge(name string) client.MetricsGauge {
	if name != "volley_campaign_messages" {
		return c.MetricsHandler.Gauge(name)
	}
	return c
}

func (c campaigns) Update(v float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[[2]string{c.tags["campaign"], c.tags["result"]}] = v
}

func (c campaigns) told(name string) [2]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return [2]float64{c.all[[2]string{name, "arrived"}], c.all[[2]string{name, "missed"}]}
}

func TestAFeedTellsHowCampaignsDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stat := func(name string, n int) index.Stat {
			return index.Stat{Key: name, Counts: message.Counts{
				message.Sent: n, message.Delivered: 1, message.Failed: 2, message.Undelivered: 3, message.Expired: 1, message.Unknown: 1, message.Canceled: 7, message.Rejected: 7,
			}}
		}
		x, m := newIndex(), newCampaigns()
		x.campaigns = []index.Stat{stat("", 1000), stat("spring", 100)}
		for i := range 30 {
			x.campaigns = append(x.campaigns, stat(fmt.Sprint("c", i), 50))
		}
		run(t, newBatches(), x, func(o *indexer.Options) { o.Metadata, o.Metrics = []string{"campaign", "store"}, m })
		after(14 * time.Second)
		require.Equal(t, [2]float64{101, 7}, m.told("spring"))
		m.mu.Lock()
		require.Len(t, m.all, 2*20, "those with the most, and none without a name")
		m.mu.Unlock()
		x.set(func() {
			require.Len(t, x.stats, 1, "not with every pass")
			require.Equal(t, "meta.campaign", x.stats[0].By)
			require.Equal(t, time.Hour, x.stats[0].Now.Sub(x.stats[0].Since))
			x.campaigns = nil
		})
		after(2 * time.Minute)
		require.Zero(t, m.told("spring"), "nothing of it has ended any more")

		x.set(func() { x.campaigns = []index.Stat{stat("spring", 100)} })
		after(2 * time.Minute)
		require.Equal(t, [2]float64{101, 7}, m.told("spring"))
		x.set(func() { x.owner, x.until = "another process", time.Now().Add(time.Hour) })
		after(time.Minute)
		require.Zero(t, m.told("spring"), "who has the lease tells")
	})
}
