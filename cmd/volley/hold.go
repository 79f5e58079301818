package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// holdFlags say what to hold or release.
type holdFlags struct {
	account, meta, priority string
	all                     bool
}

func (f *holdFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.account, "account", "", "messages through this `account`")
	fl.StringVar(&f.meta, "meta", "", "messages of batches with this metadata, `key=value`")
	fl.BoolVar(&f.all, "all", false, "every message")
	fl.StringVar(&f.priority, "priority", "", "only those of these priorities, as `3-5`")
}

// selector reads them; --tenant, which all commands have, counts only where it is given.
func (f *holdFlags) selector(cmd *cobra.Command) (s starter.Selector, err error) {
	if err := notEmpty(cmd, "account", "tenant", "meta", "priority"); err != nil {
		return s, err
	}
	s = starter.Selector{Account: f.account, Meta: f.meta, All: f.all}
	if cmd.Flags().Changed("tenant") {
		s.Tenant = cmd.Flags().Lookup("tenant").Value.String()
	}
	if s.From, s.To, err = message.ParsePriorities(f.priority); err != nil {
		return s, usage("--priority %s", err)
	}
	switch err := s.Check(); {
	case s.All && (s.Account != "" || s.Tenant != "" || s.Meta != ""):
		return s, usage("--all is every message: leave it out, or leave out --account, --tenant and --meta")
	case s == (starter.Selector{From: s.From, To: s.To}):
		return s, usage("say what: --account A, --tenant T, --meta key=value, or --all")
	case err != nil:
		return s, usage("%s", err)
	}
	return s, nil
}

func (a *app) holdCommand() *cobra.Command {
	var f holdFlags
	var q starter.HoldRequest
	var span string
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Hold messages back, of an account, a tenant or all",
		Long: `Holds messages back until release: nothing of them leaves, they wait, and their
validity runs on. A message that has another account to take takes it when its
account is held. It needs no worker; workers obey within two seconds, and before
they send anything when they start. What has left is followed to its end.`,
		Example: `  volley hold --account bird-main --reason 'key rotation' --for 30m
  volley hold --meta campaign=spring --priority 3-5`,
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Selector, err = f.selector(cmd); err != nil {
				return err
			}
			if span != "" {
				d, err := parseSpan("for", span)
				if err != nil {
					return err
				}
				q.Until = a.now().Add(d)
			}
			return a.on(cmd.Context(), func(b batches) error {
				res, err := b.Hold(cmd.Context(), q)
				if err != nil {
					return err
				}
				a.noteUnknownAccount(q.Account)
				return a.showHold(&res)
			})
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&span, "for", "", "release by itself after `D`, a duration such as 1h")
	fl.StringVar(&q.Reason, "reason", "", "why, shown wherever it is")
	return cmd
}

// noteUnknownAccount says that an account is not in the configuration, where there is one.
// The account may be in that of the workers, so it is held all the same.
func (a *app) noteUnknownAccount(name string) {
	c, found, err := a.config(config.LoadWithoutSecrets)
	known := func(x provider.Account) bool { return x.Name == name }
	if name != "" && found && err == nil && !slices.ContainsFunc(c.Accounts(), known) {
		a.note("account %s is held, but the configuration has no such account: volley release --account %s, if the name is wrong", name, name)
	}
}

func (a *app) showHold(res *starter.HoldResult) error {
	n, now := res.Messages, a.now()
	if a.json() {
		return a.print(res.Document())
	}
	a.printf("%s: held\n", res.Hold.Selector)
	switch {
	case !n.Known:
		a.printf("how many wait is not known, no worker answered\n")
		return nil
	case res.Hold.Until != 0:
		a.printf("%s%s, %s before %s\n", atLeast(n), waits(n.Waiting), does(n.Expiring, "expires", "expire"), clockTime(time.UnixMilli(res.Hold.Until), now))
	case n.Waiting > 0 && !n.FirstExpiry.IsZero():
		a.printf("%s%s, the first expires %s\n", atLeast(n), waits(n.Waiting), when(n.FirstExpiry, now))
	default:
		a.printf("%s%s\n", atLeast(n), waits(n.Waiting))
	}
	if n.Sending > 0 {
		a.printf("%s%s with workers: what has not left waits as well\n", atLeast(n), does(n.Sending, "is", "are"))
	}
	return nil
}

func atLeast(n starter.HeldMessages) string {
	if n.Partial {
		return "at least "
	}
	return ""
}

// clockTime is a time of today without its date.
func clockTime(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

func (a *app) releaseCommand() *cobra.Command {
	var f holdFlags
	var confirm confirmFlags
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Let messages go on that are held",
		Long: `Lets messages go on that hold keeps back, or an account by itself. What is named
must be what was held: a hold of an account is released with --account. It says
how many messages leave now, and asks first where there are many (confirm_above).`,
		Example:           "  volley release --account bird-main",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q := starter.ReleaseRequest{}
			if q.Selector, err = f.selector(cmd); err != nil {
				return err
			}
			c, _, err := a.config(config.LoadWithoutSecrets)
			if err != nil {
				return err
			}
			if a.canAsk() && !confirm.yes && c.ConfirmAbove > 0 {
				q.Ask = func(ctx context.Context, n starter.HeldMessages) error { return a.askRelease(ctx, n, c.ConfirmAbove) }
			}
			return a.on(cmd.Context(), func(b batches) error {
				res, err := b.Release(cmd.Context(), q)
				if err != nil {
					return err
				}
				return a.showRelease(&res)
			})
		},
	}
	f.add(cmd)
	confirm.yesFlag(cmd)
	return cmd
}

// askRelease asks a person where more messages would leave than need no question, or
// nobody knows how many.
func (a *app) askRelease(ctx context.Context, n starter.HeldMessages, above int) error {
	if n.Known && !n.Partial && n.Leaving <= above {
		return nil
	}
	return a.askPerson(ctx, leaving(n)+"\nRelease them? [y/N] ", &exitError{code: exitFailed, err: errors.New("nothing was released")})
}

// does is a number of messages and their verb.
func does(n int, one, many string) string { return number(n) + " " + message.Verb(n, one, many) }

func waits(n int) string { return does(n, "waits", "wait") }

// leaving says how many messages leave at a release, and how late.
func leaving(n starter.HeldMessages) string {
	switch {
	case !n.Known:
		return "how many leave now is not known, no worker answered"
	case n.Leaving == 0:
		return "none leave now"
	case n.Late < time.Second:
		return atLeast(n) + does(n.Leaving, "leaves", "leave") + " now"
	}
	return fmt.Sprintf("%s%s now, up to %s late", atLeast(n), does(n.Leaving, "leaves", "leave"), span(n.Late))
}

func (a *app) showRelease(res *starter.ReleaseResult) error {
	n := res.Messages
	if a.json() {
		return a.print(res.Document())
	}
	for i := range res.Released {
		a.printf("%s: released\n", res.Released[i].Selector)
	}
	a.printf("%s\n", leaving(n))
	return nil
}
