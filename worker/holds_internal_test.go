package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/message"
	"volley/workflows/contract"
)

// gauges keeps the last value of every gauge, by name and account.
type gauges struct {
	client.MetricsHandler
	account string
	values  map[string]float64
}

func (g gauges) WithTags(tags map[string]string) client.MetricsHandler {
	g.account = " " + tags["account"]
	return g
}

func (g gauges) Gauge(name string) client.MetricsGauge {
	return gauge(func(v float64) { g.values[name+g.account] = v })
}

type gauge func(float64)

func (g gauge) Update(v float64) { g(v) }

// It is internal because a worker tells it beside its work, from the history of a server.
func TestAHeldAccountIsMeasuredAndLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	g := gauges{values: map[string]float64{}}
	h := &holds{metrics: g, log: zap.New(core)}
	now := time.Now().UnixMilli()
	account := contract.Hold{Selector: contract.Selector{Account: "a"}, By: message.HeldByAccount, Reason: "a: http_401", Since: now}
	part := contract.Hold{Selector: contract.Selector{Account: "b", Tenant: "acme"}, By: message.HeldByTenant, Since: now}
	h.tell(contract.Holds{account, part})
	const since = "volley_account_held_since_timestamp_seconds a"
	require.Equal(t, map[string]float64{"volley_holds": 2, "volley_account_held a": 1, since: float64(now) / 1000}, g.values)
	require.Len(t, logs.FilterLevelExact(zap.WarnLevel).All(), 2)
	h.tell(contract.Holds{account, part})
	require.Len(t, logs.FilterLevelExact(zap.WarnLevel).All(), 2, "once")

	byHand := contract.Hold{Selector: account.Selector, By: message.HeldByPerson, Since: now}
	h.tell(contract.Holds{byHand, part})
	require.InDelta(t, 1, g.values["volley_account_held a"], 0, "somebody else holds it now")
	h.tell(nil)
	require.Equal(t, map[string]float64{"volley_holds": 0, "volley_account_held a": 0, since: 0}, g.values)
}
