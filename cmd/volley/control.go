package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

// listedIDs is how many ids of one set are written for a person.
const listedIDs = 20

func (a *app) cancelCommand() *cobra.Command {
	var q message.CancelRequest
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a batch, or single messages of it",
		Long: `Cancels a batch, or the messages that are named, and prints what became of each.
After the answer no request leaves for a message that is not in flight.`,
		Example:           "  volley cancel spring-sale --message 17 --message 18 --reason 'wrong price'",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				res, err := b.Cancel(cmd.Context(), a.ref(args[0]), q)
				if err != nil && !errors.Is(err, starter.ErrNoWorker) || res.Batch == "" {
					return err
				}
				return errors.Join(err, a.showCancel(res), confirmed(res, err))
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&q.Messages, "message", nil, "cancel only this message, an id or an index; may be repeated")
	f.StringVar(&q.Reason, "reason", "", "why, kept with the batch")
	return cmd
}

// confirmed is the error of a cancel that no worker has answered.
func confirmed(res message.CancelResult, err error) error {
	if res.Confirmed || err != nil {
		return nil
	}
	return errors.New("the cancel is recorded but not confirmed: no worker answered within 10s")
}

func (a *app) showCancel(res message.CancelResult) error {
	if a.json() {
		return a.print(res)
	}
	c := res.Counts
	if !res.Confirmed {
		a.printf("batch %s: the cancel is recorded\n", res.Batch)
		return nil
	}
	a.printf("batch %s: %s canceled, %s sent before, %s in flight, %s ended before\n", res.Batch,
		number(c.Canceled), number(c.Sent), number(c.InFlight), number(c.Ended))
	t := &table{}
	for _, set := range []struct {
		name string
		ids  []string
	}{{"canceled", res.Canceled}, {"sent", res.Sent}, {"in flight", res.InFlight}, {"ended", res.Ended}} {
		t.rows = append(t.rows, idRows(set.name, set.ids)...)
	}
	a.table(t)
	return nil
}

// idRows lists the first ids of a set, one a row.
func idRows(name string, ids []string) [][]cell {
	var rows [][]cell
	for i, id := range ids {
		if i == listedIDs {
			return append(rows, []cell{{"", 0}, {"… and " + number(len(ids)-i) + " more", 0}})
		}
		rows = append(rows, []cell{{name, faint}, {id, 0}})
		name = ""
	}
	return rows
}

func (a *app) pauseCommand() *cobra.Command {
	return a.control("pause", "Pause a batch", "Stops new attempts; what is in flight is followed to its end and validity runs on.",
		func(ctx context.Context, b batches, ref starter.Ref) error {
			res, err := b.Pause(ctx, ref)
			if done, err := a.recorded(res, res.Batch, err); done {
				return err
			}
			if a.json() {
				if res.InFlight == nil {
					res.InFlight = []string{}
				}
				return a.print(res)
			}
			a.printf("batch %s is paused, %s in flight\n", res.Batch, number(len(res.InFlight)))
			if len(res.InFlight) <= listedIDs {
				a.table(&table{rows: idRows("in flight", res.InFlight)})
			}
			return nil
		})
}

// recorded ends a control that failed. One that no worker has answered names its batch
// all the same, and its document is printed.
func (a *app) recorded(doc any, batch string, err error) (done bool, failure error) {
	if batch == "" || !errors.Is(err, starter.ErrNoWorker) || !a.json() {
		return err != nil, err
	}
	return true, errors.Join(err, a.print(doc))
}

func (a *app) resumeCommand() *cobra.Command {
	return a.control("resume", "Let a paused batch go on", "Lets a paused batch go on.",
		func(ctx context.Context, b batches, ref starter.Ref) error {
			res, err := b.Resume(ctx, ref)
			if done, err := a.recorded(res, res.Batch, err); done {
				return err
			}
			if a.json() {
				return a.print(res)
			}
			a.printf("batch %s goes on\n", res.Batch)
			return nil
		})
}

func (a *app) control(name, short, long string, do func(context.Context, batches, starter.Ref) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " ID", Short: short, Long: long, Example: "  volley " + name + " spring-sale",
		Args: needs("ID"), ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.on(cmd.Context(), func(b batches) error { return do(cmd.Context(), b, a.ref(args[0])) })
		},
	}
}

func (a *app) rescheduleCommand() *cobra.Command {
	var after, wall string
	cmd := a.control("reschedule", "Move every message without an attempt to another time",
		"Makes every message that has had no attempt due at T; each keeps its time to live.",
		func(ctx context.Context, b batches, ref starter.Ref) error {
			at, err := parseTime("send-after", after, a.now())
			if err != nil {
				return err
			}
			res, err := b.Reschedule(ctx, ref, message.RescheduleRequest{SendAfter: at.UTC().Format(time.RFC3339Nano)})
			if done, err := a.recorded(res, res.Batch, err); done {
				return err
			}
			if a.json() {
				return a.print(res)
			}
			now := a.now() // a time in the past is due at once
			a.printf("batch %s: %s now due %s; %s unchanged\n", res.Batch, isAre(res.Rescheduled, "message"), dueAt(latest(at, now), now), number(res.Unchanged))
			return nil
		})
	cmd.Example = `  volley reschedule spring-sale --send-after 2h
  volley reschedule spring-sale --at 'tomorrow 09:00' --tz Europe/Berlin`
	cmd.Flags().StringVar(&after, "send-after", "", "due `T`: an RFC 3339 time or a duration from now such as 10m or 3d")
	atFlag(cmd, &wall)
	do := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.readAt(cmd, wall); err != nil {
			return err
		}
		if after == "" {
			return usage("--send-after or --at is missing")
		}
		return do(cmd, args)
	}
	return cmd
}

// anyRate reports whether an account of the configuration has a rate.
func (a *app) anyRate() bool {
	c, _, err := a.config(config.LoadWithoutSecrets)
	return err == nil && len(c.Rates()) > 0
}

func (a *app) redriveCommand() *cobra.Command {
	var f startFlags
	var q starter.RedriveQuery
	cmd := &cobra.Command{
		Use:   "redrive ID",
		Short: "Send messages of an ended batch again, as a new batch",
		Long: `Sends messages of an ended batch again, as a new batch, at once or at the time that
is given: those that failed, expired or are unknown, if no states are named. Of the
unknown ones some may have arrived. The same command answers with the batch that is
there, also with another time; reschedule moves it. Commands that overlap, as one for
failed,expired and one for failed, send again what they share.`,
		Example: `  volley redrive spring-sale --state failed,unknown --code http_500
  volley redrive spring-sale --state not-sent --at 'tomorrow 09:00' --tz Europe/Berlin`,
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
			if ask := a.confirmation(f.confirmFlags, "", c); ask.asks {
				q.Ask = ask.confirm
			}
			return unstarted(a.on(cmd.Context(), func(b batches) error {
				s, err := b.Redrive(cmd.Context(), a.ref(args[0]), q)
				if err != nil {
					return err
				}
				if s.Unknown > 0 && !s.Existing {
					a.note("%s of them were unknown: they may have arrived before, and do so twice", number(s.Unknown))
				}
				return a.started(cmd.Context(), b, s, f, &startContext{limited: a.anyRate()})
			}))
		},
	}
	f.limit = 100
	fl := cmd.Flags()
	fl.StringSliceVar(&q.States, "state", nil, "which messages, by `states`, or not-sent or not-delivered, without those that were rejected\n(default failed,expired,unknown)")
	fl.StringVar(&q.Code, "code", "", "only messages that ended with this `code`")
	fl.StringVar(&q.ID, "id", "", "the new batch's `id` (default one that follows from the batch, the states and the code)")
	fl.StringVar(&f.sendAfter, "send-after", "", "due `T`: an RFC 3339 time or a duration from now such as 10m or 3d (default at once)")
	atFlag(cmd, &f.at)
	fl.BoolVar(&f.wait, "wait", false, "wait for the end")
	fl.BoolVar(&f.watch, "watch", false, "show live progress until the end")
	f.yesFlag(cmd)
	complete(cmd, "state", completeList(message.StateWords()))
	return cmd
}

func (a *app) readRedrive(cmd *cobra.Command, f *startFlags, q *starter.RedriveQuery) error {
	for _, s := range q.States {
		if err := checkState(s); err != nil {
			return err
		}
	}
	if q.ID != "" && !starter.ValidID(q.ID) {
		return usage("--id %q, expected 1 to 100 letters, digits, dots, hyphens and underscores", q.ID)
	}
	if err := a.readAt(cmd, f.at); err != nil || f.sendAfter == "" {
		return err
	}
	var err error
	q.SendAfter, err = parseTime("send-after", f.sendAfter, a.now())
	return err
}
