package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestHold(t *testing.T) {
	t.Parallel()
	s := setting{fake: &fake{held: starter.HeldMessages{Known: true, Waiting: 12_400, Expiring: 310}}}
	r := s.run(t, "hold", "--account", "bird-main", "--for", "1h", "--priority", "3-5", "--reason", "rotation")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "account bird-main, priority 3-5: held\n12,400 wait, 310 expire before 16:00\n", r.stdout)
	require.Equal(t, starter.HoldRequest{
		Selector: starter.Selector{Account: "bird-main", From: 3, To: 5}, Reason: "rotation", Until: moment.Add(time.Hour),
	}, s.fake.asked)

	r = s.run(t, "hold", "--all", "-o", "json")
	require.JSONEq(t, `{"held":{"all":true,"by":"person","reason":"","since":"2026-11-20T15:00:00Z","until":null},"waiting":12400,"expiring":310}`, r.stdout)

	s.fake.held = starter.HeldMessages{Known: true, Partial: true, Waiting: 5, FirstExpiry: moment.Add(2 * time.Hour)}
	r = s.run(t, "hold", "--tenant", "acme")
	require.Equal(t, "tenant acme: held\nat least 5 wait, the first expires in 2 h (2026-11-20 17:00:00 UTC)\n", r.stdout)

	s.fake.held = starter.HeldMessages{}
	r = s.run(t, "hold", "--meta", "campaign=spring")
	require.Equal(t, 0, r.code, "it needs no worker")
	require.Equal(t, "metadata campaign=spring: held\nhow many wait is not known, no worker answered\n", r.stdout)
	r = s.run(t, "hold", "--meta", "campaign=spring", "-o", "json")
	require.Contains(t, r.stdout, `"waiting":null`)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	s := setting{fake: &fake{held: starter.HeldMessages{Known: true, Leaving: 12_090, Late: 90 * time.Minute}}}
	r := s.run(t, "release", "--account", "bird-main")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "account bird-main: released\n12,090 leave now, up to 1 h 30 min late\n", r.stdout)
	r = s.run(t, "release", "--account", "bird-main", "-o", "json")
	require.JSONEq(t, `{"released":[{"account":"bird-main","by":"account","reason":"","since":"1970-01-01T00:00:00Z","until":null}],"leaving":12090,"lateSeconds":5400}`, r.stdout)
	s.fake.err = starter.ErrNotFound
	require.Equal(t, 4, s.run(t, "release", "--account", "bird-main").code)
}

func TestReleaseAsksBeforeManyMessagesLeave(t *testing.T) {
	t.Parallel()
	many := func() setting { return setting{fake: &fake{held: starter.HeldMessages{Known: true, Leaving: 1_001}}} }
	for name, c := range map[string]struct {
		dialog
		args  []string
		asks  bool
		calls int
	}{
		"no":                    {dialog: dialog{setting: many(), typed: "n\n"}, asks: true},
		"yes":                   {dialog: dialog{setting: many(), typed: "y\n"}, asks: true, calls: 1},
		"-y":                    {dialog: dialog{setting: many()}, args: []string{"-y"}, calls: 1},
		"few":                   {dialog: dialog{setting: setting{fake: &fake{held: starter.HeldMessages{Known: true, Leaving: 1_000}}}}, calls: 1},
		"nobody knows how many": {dialog: dialog{setting: setting{fake: &fake{}}, typed: "n\n"}, asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.run(t, append([]string{"release", "--all"}, c.args...)...)
			if c.asks {
				require.Contains(t, r.stderr, "Release them? [y/N] ")
			} else {
				require.Empty(t, r.stderr)
			}
			require.Equal(t, c.calls, c.fake.calls)
			require.Equal(t, c.calls == 1, r.code == 0)
		})
	}
}

func TestWrongHolds(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"hold"},
		{"hold", "--priority", "1-2"},
		{"hold", "--all", "--account", "a"},
		{"hold", "--account", "a", "--priority", "0-2"},
		{"hold", "--account", "a", "--priority", "high"},
		{"hold", "--meta", "campaign"},
		{"hold", "--account", "a", "--for", "soon"},
		{"release"},
		{"accounts", "a"},
	} {
		r := setting{}.run(t, args...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.stdout)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	limit, used := "500/s", 12.5
	s := setting{fake: &fake{accounts: starter.AccountList{Accounts: []starter.AccountHealth{
		{Name: "a", Provider: "bird", Rate: &limit, Used: &used, Workers: 2, Errors: []struct{}{}},
		{Name: "b", Provider: "webhook", Held: &message.HoldView{By: message.HeldByAccount, Reason: "the credentials were refused", Since: moment.Add(-time.Minute)}, Errors: []struct{}{}},
	}}}}
	r := s.run(t, "accounts")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "500/s")
	require.Contains(t, r.stdout, "12.5/s")
	require.Contains(t, r.stdout, "by its account itself 1 min ago: the credentials were refused")
	r = s.run(t, "accounts", "-o", "json")
	require.JSONEq(t, `{"accounts":[
		{"name":"a","provider":"bird","held":null,"breaker":null,"rate":"500/s","used":12.5,"inFlight":null,"workers":2,"lastReport":null,"errors":[]},
		{"name":"b","provider":"webhook","held":{"by":"account","reason":"the credentials were refused","since":"2026-11-20T14:59:00Z"},
		 "breaker":null,"rate":null,"used":null,"inFlight":null,"workers":0,"lastReport":null,"errors":[]}]}`, r.stdout)
}
