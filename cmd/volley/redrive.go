package main

import (
	"errors"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) redriveCommand() *cobra.Command {
	var f startFlags
	var q starter.RedriveQuery
	cmd := &cobra.Command{
		Use:   "redrive ID",
		Short: "Send messages that did not go out again, as a new batch",
		Long: `Sends messages of a batch again, as a new batch: those that failed or expired, and those
that are canceled only since Temporal ended their batch, if no states are named. The
batch may still run; then those of its messages that have ended are meant. A message that
is due later stays so, all others are due at once, or all at the time that is given.

Nothing is sent again twice: what another redrive of the batch took is left out, whatever
was asked for there, unless --again. The same command answers with the batch that is there
as long as there is nothing more to send. Messages that are unknown may have arrived, and
are sent again only if that state is named.`,
		Example: `  volley redrive spring-sale --code http_500
  volley redrive spring-sale --state not-sent --at 'tomorrow 09:00' --tz Europe/Berlin
  volley redrive spring-sale --from-account bird-main --account sinch-eu`,
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.readRedrive(cmd, &f, &q)
			if err != nil {
				return err
			}
			c, _, err := a.config(config.LoadWithoutSecrets)
			if err != nil {
				return err
			}
			caller := c.Caller(a.tenant)
			if caller.MaxPriority > 0 {
				q.Allow = func(b *message.Batch) error {
					caller.LowerPriority(b)
					return nil
				}
			}
			if q.Through != "" {
				if err := caller.Router.Known(q.Through); err != nil {
					return usage("--account: %w", err)
				}
				q.Reroute = caller.Reroute
			}
			if ask := a.confirmation(f.confirmFlags, "", c); ask.asks {
				q.Ask = ask.confirm
			}
			return unstarted(a.on(cmd.Context(), func(b batches) error {
				s, err := b.Redrive(cmd.Context(), a.ref(args[0]), q)
				if err != nil {
					return err
				}
				a.leftOut(s)
				return a.started(cmd.Context(), b, s, f, &startContext{limited: a.anyRate()})
			}))
		},
	}
	f.limit = 100
	fl := cmd.Flags()
	fl.StringSliceVar(&q.States, "state", nil, "which messages, by `states`, or not-sent or not-delivered, without those that were rejected or are unknown\n(default failed,expired)")
	fl.StringVar(&q.Code, "code", "", "only messages that ended with this `code`")
	recipientFlags(cmd, &q.Selector)
	fl.StringVar(&q.Account, "from-account", "", "only messages that went through this `account`")
	fl.StringVar(&q.Through, "account", "", "send them through this `account` instead")
	fl.BoolVar(&q.Again, "again", false, "also send what redrives before have taken")
	fl.StringVar(&q.ID, "id", "", "the new batch's `id` (default one that follows from the batch and what is selected)")
	fl.StringVar(&f.sendAfter, "send-after", "", "due `T`: an RFC 3339 time or a duration from now such as 10m or 3d (default at once,\nor as it was where that is later)")
	atFlag(cmd, &f.at)
	fl.BoolVar(&f.wait, "wait", false, "wait for the end")
	fl.BoolVar(&f.watch, "watch", false, "show live progress until the end")
	f.yesFlag(cmd)
	complete(cmd, "state", completeList(message.StateWords()))
	return cmd
}

// guardedFrom is from how many messages on a batch may pause itself (docs/operations.md).
const guardedFrom = 200

// leftOut says which messages a redrive left out, and which of it may arrive twice.
func (a *app) leftOut(s starter.Started) {
	if s.Redriven == nil {
		return
	}
	if n := s.Redriven.Unknown; n > 0 {
		a.note("%s unknown left out: may have arrived (--state unknown sends them again)", number(n))
	}
	if n := s.AlreadyRedriven; n > 0 {
		a.note("%s left out: other redrives have taken them (--again sends them again)", number(n))
	}
	if s.Total-s.Rejected >= guardedFrom && !s.Existing {
		a.note("it pauses itself where more than a fifth of them are refused alike again, as `volley status %s` says then; `volley resume %s` lets it go on", s.ID, s.ID)
	}
	if n := s.Doubtful; n > 0 && !s.Existing {
		a.note("%s of them %s unknown: %s may have arrived before, and do so twice", number(n), message.Verb(n, "was", "were"), message.Verb(n, "it", "they"))
	}
}

func (a *app) readRedrive(cmd *cobra.Command, f *startFlags, q *starter.RedriveQuery) error {
	for _, s := range q.States {
		if err := checkState(s); err != nil {
			return err
		}
	}
	if err := errors.Join(notEmpty(cmd, "to", "reference", "meta", "from-account", "account", "code"), checkSelection("", q.Selector)); err != nil {
		return err
	}
	if q.ID != "" && !starter.ValidID(q.ID) {
		return usage("--id %q, expected %s", q.ID, message.NameRule)
	}
	if err := a.readAt(cmd, f.at); err != nil || f.sendAfter == "" {
		return err
	}
	var err error
	q.SendAfter, err = parseTime("send-after", f.sendAfter, a.now())
	return err
}
