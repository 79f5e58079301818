package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

// What --if-same may be.
const (
	ifSameWarn   = "warn"
	ifSameRefuse = "refuse"
)

// confirmFlags are the answers to what a start asks.
type confirmFlags struct {
	yes, again bool
	ifSame     string
}

func (f *confirmFlags) yesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask before many messages leave")
}

func (f *confirmFlags) flags(cmd *cobra.Command) {
	f.yesFlag(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.ifSame, "if-same", ifSameWarn, "`what` to do if the same recipients and texts went out within a day: warn or refuse")
	fl.BoolVar(&f.again, "again", false, "send also what went out before")
	offer(cmd, "if-same", ifSameWarn, ifSameRefuse)
}

func (f *confirmFlags) check() error {
	if f.ifSame != ifSameWarn && f.ifSame != ifSameRefuse {
		return usage("--if-same %q, expected warn or refuse", f.ifSame)
	}
	return nil
}

// confirmation asks before a known batch starts.
type confirmation struct {
	app   *app
	flags confirmFlags
	// above is how many messages need no question; 0 is any number.
	above int
	// asks is true where there is a person to ask.
	asks bool
	// before shows problems and warnings that have not been shown; nil is nothing.
	before func()
	// estimate is that of a batch for which the starter makes none; nil is none.
	estimate func() *message.Estimate
}

// confirmation is that of a command that reads a file.
func (a *app) confirmation(f confirmFlags, file string, c *config.Config) *confirmation {
	return &confirmation{app: a, flags: f, above: c.ConfirmAbove, asks: file != "-" && a.canAsk()}
}

// canAsk reports whether somebody reads a question and can answer it.
func (a *app) canAsk() bool {
	return !a.json() && !a.set("CI") && !a.set("VOLLEY_NO_INPUT") && isTerminalInput(a.stdin) && a.terminal(a.stderr)
}

// set reports whether a variable of the environment says yes.
func (a *app) set(name string) bool {
	v, _ := a.env.LookupEnv(name)
	return v != "" && v != "0" && !strings.EqualFold(v, "false")
}

func isTerminalInput(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// sameError refuses a start because the same went out, as text says.
type sameError struct{ text string }

func (e *sameError) Error() string {
	return e.text + ", nothing was started; --again sends it once more"
}

// errNotStarted is a question that was answered with no.
var errNotStarted = errors.New("nothing was started")

// confirm decides whether a batch starts.
func (q *confirmation) confirm(ctx context.Context, p *starter.Proposal) error {
	a := q.app
	sends := p.Total - p.Rejected
	same := ""
	if p.Same != nil && !q.flags.again {
		same = sameText(*p.Same, a.now())
	}
	refuses := q.flags.ifSame == ifSameRefuse && !q.flags.again
	switch {
	case refuses && p.Same != nil:
		return &sameError{same}
	case refuses && p.SameErr != nil:
		return fmt.Errorf("whether the same went out before is not known, nothing was started; --again sends it anyway: %w", p.SameErr)
	case q.asks && q.above > 0 && sends > q.above && (!q.flags.yes || same != ""):
		return q.ask(ctx, p, same)
	case same != "":
		a.note("%s", same)
	case p.SameErr != nil && !q.flags.again:
		q.noteUnknown(p.SameErr)
	}
	return nil
}

// noteUnknown says why nobody can tell whether the same content went out. On a server
// that cannot search for it, a worker says so when it starts.
func (q *confirmation) noteUnknown(err error) {
	var missing *starter.MissingAttributesError
	if errors.As(err, &missing) {
		if log, lerr := q.app.logger("warn"); lerr == nil {
			log.Debug("whether the same went out before is not known", zap.Error(err))
		}
		return
	}
	q.app.note("whether the same went out before is not known: %s", err)
}

// sameText is what is said of a batch with the same content.
func sameText(same starter.Same, now time.Time) string {
	at := relative(same.At, now)
	switch {
	case at == "now":
		at = "just now"
	case same.At.After(now):
		return fmt.Sprintf("the same goes out %s as %s", at, same.ID)
	}
	return fmt.Sprintf("the same went out %s as %s", at, same.ID)
}

// ask shows a person what is about to start and takes the answer.
func (q *confirmation) ask(ctx context.Context, p *starter.Proposal, same string) error {
	if q.before != nil {
		q.before()
	}
	a := q.app
	var out strings.Builder
	for _, line := range q.lines(p, same) {
		out.WriteString(printable(line) + "\n")
	}
	return a.askPerson(ctx, out.String()+"Send them? [y/N] ", &exitError{code: exitFailed, err: errNotStarted})
}

// askPerson asks a question, and returns refused for whatever is not a yes.
func (a *app) askPerson(ctx context.Context, question string, refused error) error {
	fmt.Fprint(a.stderr, question)
	answer, err := a.line(ctx)
	if err != nil {
		fmt.Fprintln(a.stderr) // nobody has ended the line
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))):
		return nil
	}
	return refused
}

// line reads a line of what a person types, until ctx ends.
func (a *app) line(ctx context.Context) (string, error) {
	type typed struct {
		text string
		err  error
	}
	got := make(chan typed, 1)
	go func() { // a terminal cannot be told to stop reading; the process ends before
		text, err := bufio.NewReader(a.stdin).ReadString('\n')
		got <- typed{text, err}
	}()
	select {
	case t := <-got:
		if t.err != nil {
			t.text = "" // a line that did not end is no answer
		}
		return t.text, t.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lines are what a person should know before many messages leave.
func (q *confirmation) lines(p *starter.Proposal, same string) []string {
	now := q.app.now()
	head := plural(p.Total-p.Rejected, "message") + " through " + throughOf(p.Header)
	if p.Rejected > 0 {
		head += fmt.Sprintf("; %s rejected", isAre(p.Rejected, "other"))
	}
	first := "the first one to " + p.First.Recipient()
	if _, text, err := p.Header.Template.Render(&p.First); err == nil && text != "" {
		first += ": " + text
	}
	lines := []string{head, clipWidth(printable(first), terminalWidth(q.app.stderr)), "starts " + when(latest(p.Due, now), now)}
	e := p.Estimate
	if e == nil && q.estimate != nil {
		e = q.estimate()
	}
	if e != nil && e.EndsAt != nil && e.EndsAt.After(now) {
		lines = append(lines, "ends about "+when(*e.EndsAt, now))
	}
	if e != nil && e.Expiring > 0 {
		lines = append(lines, plural(e.Expiring, "message")+beforeTurn(e.Expiring))
	}
	switch {
	case same != "":
		lines = append(lines, same)
	case p.SameErr != nil:
		lines = append(lines, "whether the same went out before is not known")
	}
	return lines
}

// throughOf lists the hops of a batch's messages, each in the order in which they are
// tried.
func throughOf(b *message.Batch) string {
	const most = 3
	var ways []string
	for _, way := range b.Hops {
		if text := strings.Join(hopNames(way), ", then "); !slices.Contains(ways, text) {
			ways = append(ways, text)
		}
	}
	if len(ways) > most {
		ways = append(ways[:most], "…")
	}
	return strings.Join(ways, "; ")
}
