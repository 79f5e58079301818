package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"volley/internal/message"
	"volley/starter"
)

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a batch until it ends",
		Long: `Follows a batch until it ends: a bar on a terminal, else a line a second; with
-o json a status document a second.`,
		Example:           "  volley watch spring-sale",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				show := a.live(a.stdout)
				if a.json() {
					show = documents{a.stdout}
				}
				st, err := a.follow(cmd.Context(), b, a.ref(args[0]), show)
				if err != nil {
					return interrupted(cmd.Context(), args[0], err)
				}
				if !a.json() {
					a.showStatus(st)
				}
				excluded, err := leftOut(cmd.Context(), b, a.ref(args[0]), st)
				if err != nil {
					return err
				}
				return unsent(st, excluded)
			})
		},
	}
}

// leftOut counts the messages of a batch that has ended which were left out as asked. It
// looks only where nothing else was not sent.
func leftOut(ctx context.Context, b batches, ref starter.Ref, st message.Status) (n int, err error) {
	c := st.Counts
	if c == nil || c[message.Rejected] == 0 || c[message.Sent]+c[message.Delivered]+c[message.Rejected] != st.Total {
		return 0, nil
	}
	for row, err := range b.Results(ctx, ref, starter.ResultQuery{State: message.Rejected.String()}) {
		if err != nil {
			return 0, err
		}
		if row.Code == message.CodeExcluded || row.Code == message.CodeSuppressed || row.Code == message.CodeDuplicate {
			n++
		}
	}
	return n, nil
}

// live shows a batch while it runs.
type live interface {
	show(message.Status) error
	// end comes once, whether or not the batch has ended.
	end()
}

// live is a bar on a terminal and lines elsewhere.
func (a *app) live(w io.Writer) live {
	if a.terminal(w) {
		return &bar{w: w, now: a.now}
	}
	return &lines{w: w, now: a.now}
}

// follow shows a batch until it has ended. A server or worker that is away for a
// while is waited for.
func (a *app) follow(ctx context.Context, b batches, ref starter.Ref, show live) (message.Status, error) {
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	defer show.end()
	var told time.Time // that nobody answers; zero is not yet
	for {
		st, err := b.Status(ctx, ref)
		switch {
		case err == nil:
			told = time.Time{}
			if err := show.show(st); err != nil {
				return st, err
			}
			if st.State.Closed() {
				return st, nil
			}
		case ctx.Err() != nil:
			return st, ctx.Err()
		case errors.Is(err, starter.ErrUnreachable), errors.Is(err, starter.ErrBusy), errors.Is(err, starter.ErrNoWorker), errors.Is(err, context.DeadlineExceeded):
			if now := a.now(); told.IsZero() || now.Sub(told) >= reminder {
				a.noteAbsence(ref, err, "watching")
				told = now
			}
		default:
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-tick.C:
		}
	}
}

// interrupted says that ending the program does not end the batch.
func interrupted(ctx context.Context, id string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return &exitError{code: exitFailed, err: fmt.Errorf("interrupted, batch %s goes on", id)}
}

// summary is a status in one line, as seen from now: a status can be as old as
// the batch's last change.
func summary(st message.Status, now time.Time) string {
	return strings.Join(append(tallies(st, now, message.States()), pace(st, now)...), ", ")
}

// tallies are the counts of states that are not 0, with the largest reason of each.
func tallies(st message.Status, now time.Time, states []message.State) (parts []string) {
	if st.Counts == nil {
		return nil
	}
	for _, s := range states {
		n := st.Counts[s]
		if n == 0 {
			continue
		}
		text := number(n) + " " + s.Text()
		if s == message.Retrying && st.RetryUntil != nil && st.EstimatedEnd == nil { // nothing else tells when it ends
			text = number(n) + " retry until " + clock(*st.RetryUntil, now)
		}
		i := slices.IndexFunc(st.Reasons, func(r message.Reason) bool { return r.State == s })
		switch {
		case i < 0 || !s.Final():
		case st.Reasons[i].Count == n:
			text += " (" + st.Reasons[i].Code + ")"
		default:
			text += " (" + st.Reasons[i].Code + " " + number(st.Reasons[i].Count) + ")"
		}
		parts = append(parts, text)
	}
	return parts
}

// pace is how fast a batch is, and when it ends or goes on.
func pace(st message.Status, now time.Time) (parts []string) {
	p := progressOf(st)
	if st.Held != nil {
		parts = append(parts, "held by "+heldBy(st.Held)+": "+st.Held.Reason)
	}
	if p.rate > 0 {
		parts = append(parts, rate(p.rate))
	}
	if p.ends != nil {
		parts = append(parts, "ends "+relative(latest(*p.ends, now), now))
	} else if st.NextDueAt != nil && st.NextDueAt.After(now) {
		parts = append(parts, "next due "+relative(*st.NextDueAt, now))
	}
	if st.AwaitingReports > 0 {
		parts = append(parts, plural(st.AwaitingReports, "report")+" awaited")
	}
	return parts
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lines writes a line for every status.
type lines struct {
	w   io.Writer
	now func() time.Time
}

func (l *lines) show(st message.Status) error {
	now := l.now()
	_, err := fmt.Fprintf(l.w, "%s %s %s/%s: %s\n", now.Format(time.TimeOnly), st.State, number(progressOf(st).done), number(st.Total), summary(st, now))
	return err
}

func (l *lines) end() {}

// documents writes a JSON document for every status.
type documents struct{ w io.Writer }

func (d documents) show(st message.Status) error { return encode(d.w, st) }

func (d documents) end() {}

// besideBar is the room that a bar's numbers take on a line. A narrow terminal
// gets a short bar without how many have ended, so that what became of them has room.
const (
	besideBar      = 30
	wideBar        = 30
	besideShortBar = 10
	shortBar       = 8
	wideScreen     = 110
)

// bar draws a bar on a terminal.
type bar struct {
	w   io.Writer
	now func() time.Time
	p   *progressbar.ProgressBar
	// beside is the room that all but the words takes.
	beside int
}

func (b *bar) show(st message.Status) error {
	columns := terminalWidth(b.w)
	if b.p == nil {
		width := wideBar
		b.beside = besideBar + width
		shown := progressbar.OptionShowCount()
		if columns < wideScreen {
			width = shortBar
			b.beside, shown = besideShortBar+width, func(*progressbar.ProgressBar) {}
		}
		// A batch without messages is done when it is seen; the bar wants one.
		b.p = progressbar.NewOptions(max(st.Total, 1),
			progressbar.OptionSetWriter(b.w), progressbar.OptionSetWidth(width), shown,
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionUseANSICodes(true),
		)
	}
	b.p.Describe(" " + clipWidth(barWords(st, b.now()), columns-b.beside))
	return b.p.Set(progressOf(st).done)
}

// barWords says what matters first: what is cut off at the end of a line is how many wait.
func barWords(st message.Status, now time.Time) string {
	words := []string{string(st.State)}
	first := []message.State{
		message.Sent, message.Delivered, message.Failed, message.Undelivered, message.Unknown, message.Expired, message.Retrying,
	}
	words = append(words, tallies(st, now, first)...)
	words = append(words, pace(st, now)...)
	rest := slices.DeleteFunc(message.States(), func(s message.State) bool { return slices.Contains(first, s) })
	return strings.Join(append(words, tallies(st, now, rest)...), ", ")
}

func (b *bar) end() {
	if b.p != nil {
		fmt.Fprintln(b.w)
	}
}
