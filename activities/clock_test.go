package activities_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/workflows/contract"
)

// The validity of a message and the end of an attempt count by the server's clock,
// wherever this machine's stands.
func TestValidityCountsByTheServersClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server, valid time.Duration
		kind          string
	}{
		"this clock is behind: the validity is over":    {20 * time.Second, 19 * time.Second, contract.KindExpired},
		"this clock is ahead: the validity is not over": {-20 * time.Second, -time.Second, contract.KindSent},
		"this clock is right: the validity is over":     {0, -time.Second, contract.KindExpired},
		"this clock is behind: the attempt is over":     {20 * time.Second, time.Hour, contract.KindNotStarted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, in := &sender{}, input()
				in.Expires = time.Now().Add(c.valid).UnixMilli()
				now := func() time.Time { return time.Now().Add(c.server) }
				res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": s}, ServerNow: now}).Send, in)
				require.NoError(t, err)
				require.Equal(t, c.kind, res.Kind)
				require.Equal(t, c.kind == contract.KindSent, s.requests() == 1)
				require.Equal(t, now().UnixMilli(), res.At)
			})
		})
	}
}
