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
	s := setting{fake: &fake{held: starter.HeldMessages{Known: true, Waiting: 12_400, Expiring: 310, Sending: 48}}}
	r := s.run(t, "hold", "--account", "bird-main", "--for", "1h", "--priority", "3-5", "--reason", "rotation")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "account bird-main, priority 3-5: held\n12,400 wait, 310 expire before 16:00\n48 are with workers: what has not left waits as well\n", r.stdout)
	require.Equal(t, starter.HoldRequest{
		Selector: starter.Selector{Account: "bird-main", From: 3, To: 5}, Reason: "rotation", Until: moment.Add(time.Hour),
	}, s.fake.asked)

	r = s.run(t, "hold", "--all", "-o", "json")
	require.JSONEq(t, `{"held":{"all":true,"by":"person","reason":"","since":"2026-11-20T15:00:00Z","until":null},"waiting":12400,"expiring":310,"sending":48}`, r.stdout)

	s.fake.held = starter.HeldMessages{Known: true, Partial: true, Waiting: 5, FirstExpiry: moment.Add(2 * time.Hour)}
	r = s.run(t, "hold", "--tenant", "acme")
	require.Equal(t, "tenant acme: held\nat least 5 wait, the first expires in 2 h (2026-11-20 17:00:00 UTC)\n", r.stdout)

	s.fake.held = starter.HeldMessages{Known: true, Waiting: 1, Expiring: 1, Sending: 1}
	r = s.run(t, "hold", "--account", "bird-main", "--for", "1h")
	require.Equal(t, "account bird-main: held\n1 waits, 1 expires before 16:00\n1 is with workers: what has not left waits as well\n", r.stdout)

	s.fake.held = starter.HeldMessages{}
	r = s.run(t, "hold", "--meta", "campaign=spring")
	require.Equal(t, 0, r.code, "it needs no worker")
	require.Equal(t, "metadata campaign=spring: held\nhow many wait is not known, no worker answered\n", r.stdout)
	r = s.run(t, "hold", "--meta", "campaign=spring", "-o", "json")
	require.Contains(t, r.stdout, `"waiting":null`)
}

func TestAnAccountThatIsNotInTheConfigIsHeldAndNoted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		note string
		bare bool
	}{
		"in the config":     {args: []string{"--account", "hook"}},
		"not in the config": {args: []string{"--account", "hok"}, note: "volley: account hok is held, but the configuration has no such account: volley release --account hok, if the name is wrong\n"},
		"no config":         {args: []string{"--account", "hok"}, bare: true},
		"no account":        {args: []string{"--all"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withConfig(t, &fake{held: starter.HeldMessages{Known: true}})
			if c.bare {
				s.env = nil
			}
			r := s.run(t, append([]string{"hold"}, c.args...)...)
			require.Equal(t, 0, r.code)
			require.Contains(t, r.stdout, "held\n0 wait\n")
			require.Equal(t, c.note, r.stderr)
		})
	}
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
	for want, args := range map[string][]string{
		"--all is every message: leave it out, or leave out --account, --tenant and --meta": {"hold", "--all", "--account", "a"},
		"say what: --account A, --tenant T, --meta key=value, or --all":                     {"release", "--priority", "1-2"},
	} {
		r := setting{}.run(t, args...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.stdout)
		require.Contains(t, r.stderr, want)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	limit, used := "500/s", 12.5
	s := setting{fake: &fake{accounts: starter.AccountList{Accounts: []starter.AccountHealth{
		{Name: "a", Provider: "bird", Rate: &limit, Used: &used, Workers: 2, InFlight: new(3), Breaker: new(starter.BreakerOpen), LastReport: new(moment.Add(-time.Hour)), AsOf: new(moment.Add(-20 * time.Second)), Errors: []starter.AccountError{{Code: "http_500", Count: 1200, Last: moment}, {Code: "timeout", Count: 1, Last: moment}}},
		{Name: "b", Provider: "webhook", Held: &message.HoldView{By: message.HeldByAccount, Reason: "the credentials were refused", Since: moment.Add(-time.Minute)}, Groups: true},
		{Name: "nosuch"},
	}, Holds: []starter.HoldDocument{
		{Selector: starter.Selector{Account: "b"}, By: message.HeldByAccount, Since: moment},
		{Selector: starter.Selector{Meta: "campaign=spring", From: 3, To: 5}, By: message.HeldByPerson, Reason: "rotation", Since: moment.Add(-time.Hour), Until: new(moment.Add(time.Hour))},
	}}}}
	r := s.run(t, "accounts")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "500/s")
	require.Contains(t, r.stdout, "12.5/s")
	require.Contains(t, r.stdout, "by its account itself 1 min ago: the credentials were refused")
	require.Contains(t, r.stdout, "in groups")
	require.Contains(t, r.stdout, "in flight  breaker  last report")
	require.Contains(t, r.stdout, "open")
	require.Contains(t, r.stdout, "1 h ago")
	require.Contains(t, r.stdout, "1,200 http_500, 1 timeout")
	require.Contains(t, r.stdout, "as of 20 s ago")
	require.Contains(t, r.stdout, "nosuch   not in the config")
	require.Contains(t, r.stdout, "held: metadata campaign=spring, priority 3-5, by a person 1 h ago, until 16:00: rotation\n")
	require.NotContains(t, r.stdout, "held: account b")
	r = s.run(t, "accounts", "-o", "json")
	require.JSONEq(t, `{"accounts":[
		{"name":"a","provider":"bird","held":null,"rate":"500/s","used":12.5,"groups":false,"queued":null,"workers":2,"breaker":"open","inFlight":3,"lastReport":"2026-11-20T14:00:00Z",
		 "errors":[{"code":"http_500","count":1200,"last":"2026-11-20T15:00:00Z"},{"code":"timeout","count":1,"last":"2026-11-20T15:00:00Z"}],"asOf":"2026-11-20T14:59:40Z"},
		{"name":"b","provider":"webhook","held":{"by":"account","reason":"the credentials were refused","since":"2026-11-20T14:59:00Z"},
		 "rate":null,"used":null,"groups":true,"queued":null,"workers":0,"breaker":null,"inFlight":null,"lastReport":null,"errors":null,"asOf":null},
		{"name":"nosuch","provider":"","held":null,"rate":null,"used":null,"groups":false,"queued":null,"workers":0,"breaker":null,"inFlight":null,"lastReport":null,"errors":null,"asOf":null}],
		"holds":[{"account":"b","by":"account","reason":"","since":"2026-11-20T15:00:00Z","until":null},
		{"meta":"campaign=spring","from":3,"to":5,"by":"person","reason":"rotation","since":"2026-11-20T14:00:00Z","until":"2026-11-20T16:00:00Z"}]}`, r.stdout)
}

func TestAnEmptyFlagDoesNotChooseMoreThanWasMeant(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"hold", "--account", "hook", "--priority", ""},
		{"hold", "--all", "--meta", ""},
		{"release", "--account", "hook", "--priority", ""},
		{"release", "--account", "", "--all"},
		{"messages", "b1", "--to", ""},
		{"messages", "b1", "--state", ""},
		{"results", "b1", "--reference", ""},
	} {
		r := with(fake{})().run(t, args...)
		require.Equal(t, exitUsage, r.code, args)
		require.Contains(t, r.stderr, "is empty", args)
	}
}
