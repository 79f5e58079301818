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
	var chosen starter.ResultQuery
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a batch, or single messages of it",
		Long: `Cancels a batch, or the messages that are named or selected, and prints what became of
each. After the answer no request leaves for a message that is not in flight.`,
		Example: `  volley cancel spring-sale --message 17 --message c-4001 --reason 'wrong price'
  volley cancel spring-sale --state waiting,scheduled --account hook`,
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(notEmpty(cmd, selectNames...), checkSelection(chosen.State, chosen.Selector)); err != nil {
				return err
			}
			selects := chosen != starter.ResultQuery{}
			if selects && q.Messages != nil {
				return usage("--message names messages, and other flags select them: give one of both")
			}
			return a.on(cmd.Context(), func(b batches) error {
				if selects {
					var err error
					if q.Messages, err = b.Select(cmd.Context(), a.ref(args[0]), chosen); err != nil {
						return err
					}
				}
				res, err := b.Cancel(cmd.Context(), a.ref(args[0]), q)
				if err != nil && !errors.Is(err, starter.ErrNoWorker) || res.Batch == "" {
					return err
				}
				return errors.Join(err, a.showCancel(res), confirmed(res, err))
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&q.Messages, "message", nil, "cancel only this `message`, by id, index, recipient or reference; may be repeated")
	selectFlags(cmd, &chosen.State, &chosen.Code, &chosen.Selector)
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
