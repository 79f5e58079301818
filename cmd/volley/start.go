package main

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// startFlags are start's own flags beside those of the request.
type startFlags struct {
	input
	confirmFlags
	id, problems        string
	strict, wait, watch bool
	limit               int
	// testTo is the address that gets samples in place of the batch; empty is no test.
	testTo string
	sample int
}

// startDocument is what start and redrive answer.
type startDocument struct {
	starter.Started
	// Excluded is how many of the rejected messages are left out as asked.
	Excluded int `json:"excluded"`
	// Suppressed is how many of these are left out since their recipients want no messages.
	Suppressed int `json:"suppressed"`
	// Warnings are what should be known and what stops nothing.
	Warnings message.Problems `json:"warnings"`
	// SameAs is the batch with the same content that went out before; null is none, or
	// that it is not known.
	SameAs *string `json:"sameAs"`
	// Status is there once the batch has been waited for.
	Status *message.Status `json:"status,omitempty"`
}

func (a *app) startCommand() *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start --dialect D FILE|-",
		Short: "Validate and start a batch",
		Long: `Reads a request of any size, refuses what is wrong with it and starts the rest as a
batch. Volley's own JSON lines and CSV are never in memory as a whole. The same --id
with the same content answers with the batch that is there. What went out within a
day to the same recipients is named, whatever its id. At a terminal it asks before
more than confirm_above messages (1,000); VOLLEY_NO_INPUT=1 and CI ask nothing.`,
		Example: `  volley start --dialect volley --id reminders --wait examples/volley.json
  volley start --dialect volley --text 'Hi ${name}' --at 'tomorrow 09:00' --tz Europe/Berlin examples/volley.csv
  volley start --dialect volley --test-to +15550009999 --wait examples/volley.json`,
		Args: needs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(f.check(), f.checkTest(cmd), a.readAt(cmd, f.at)); err != nil {
				return err
			}
			return unstarted(a.start(cmd, f, args[0]))
		},
	}
	f.input.flags(a, cmd)
	f.confirmFlags.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.id, "id", "", "the batch's `id` (default a new one)")
	fl.BoolVar(&f.strict, "strict", false, "start nothing if any message has a problem")
	fl.BoolVar(&f.wait, "wait", false, "wait for the end")
	fl.BoolVar(&f.watch, "watch", false, "show live progress until the end")
	fl.StringVar(&f.problems, "problems", "100", "how many problems to show, or how many kinds of them as text; or all")
	fl.StringVar(&f.testTo, "test-to", "", "send samples of the request to this `address`, as a batch of their own, and start nothing else")
	fl.IntVar(&f.sample, "sample", 3, "how many messages --test-to sends: the longest, the shortest, odd parameters first")
	offer(cmd, "problems", "all")
	return cmd
}

func (f *startFlags) check() (err error) {
	if f.sample < 1 || f.sample > intake.MaxSamples {
		return usage("--sample %d, expected 1 to %d", f.sample, intake.MaxSamples)
	}
	if f.id != "" && !starter.ValidID(f.id) {
		return usage("--id %q, expected %s", f.id, message.NameRule)
	}
	if err := errors.Join(f.input.check(), f.confirmFlags.check()); err != nil {
		return err
	}
	f.limit, err = problemLimit(f.problems)
	return err
}

// problemLimit reads a number of problems; -1 is all.
func problemLimit(s string) (int, error) {
	if s == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, usage("--problems %q, expected a number or all", s)
	}
	return n, nil
}

func (a *app) start(cmd *cobra.Command, f startFlags, file string) error {
	if f.testTo == "" {
		a.batch = f.id
	}
	if a.batch != "" {
		a.record.Set(func(e *audit.Entry) { e.Batch = a.batch })
	}
	c, found, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	if !found {
		a.note("no configuration was found (--config, VOLLEY_CONFIG or ./volley.yaml), so there are no accounts")
	}
	if f.suppressed, err = a.suppressed(cmd.Context(), c); err != nil {
		return err
	}
	r, err := a.request(f.input, f.strict, file, c, true)
	if err != nil {
		return err
	}
	defer r.close()
	if f.testTo != "" {
		return a.startTest(cmd.Context(), f, r, c)
	}
	q := a.confirmation(f.confirmFlags, file, c)
	if !r.IsBuffered() {
		return a.startLarge(cmd, f, r, c, q)
	}
	d := r.Buffered()
	a.warn(d.Warnings)
	if err := d.Refusal(); err != nil {
		return a.refused(f, d, err)
	}
	ctx := cmd.Context()
	b, done, err := a.open(ctx, a, c)
	if err != nil {
		return err
	}
	defer done()
	o := &startContext{limited: limited(d.Batch, c.Rates()), accounts: accountsOf(d.Batch), excluded: d.Excluded, suppressed: d.Suppressed, warnings: d.Warnings}
	q.before = func() {
		o.shown = true
		a.showProblems(d.Problems, f.limit)
	}
	q.estimate = func() *message.Estimate { return a.newEstimator(c).Whole(d) }
	s, err := b.Start(ctx, starter.Request{Ref: a.ref(f.id), Body: d.Body, Flags: r.definingFlags(cmd.Flags()), Batch: d.Batch, Ask: q.confirm})
	if err != nil {
		return a.refusedLater(f, d.Total(), err)
	}
	if s.Estimate == nil && !s.Existing {
		s.Estimate = a.newEstimator(c).Whole(d)
	}
	s.Problems = d.Problems // a large batch answers with its first ones only, and has those that are left out
	a.warnUnsearchable(c.SearchMetadata, d.Batch.Metadata)
	return a.started(ctx, b, s, f, o)
}

// startLarge starts a request that is read message by message.
func (a *app) startLarge(cmd *cobra.Command, f startFlags, r *request, c *config.Config, q *confirmation) error {
	log := a.problemLog(f.limit)
	defer log.close()
	in, err := a.incoming(r, log)
	if err != nil {
		return err
	}
	defer in.Close()
	if in.Header() == nil {
		return a.refusedLarge(f, in, log)
	}
	ctx := cmd.Context()
	b, done, err := a.open(ctx, a, c)
	if err != nil {
		return err
	}
	defer done()
	shown := false
	q.before = func() {
		shown = true
		log.show(a)
		a.warn(in.Warnings())
	}
	s, err := b.StartLarge(ctx, starter.Request{Ref: a.ref(f.id), Body: r.Body(), Flags: r.definingFlags(cmd.Flags()), Ask: q.confirm}, in)
	if err != nil && in.Refused() {
		return a.refusedLarge(f, in, log)
	}
	if err != nil {
		return a.refusedLater(f, in.Total(), err)
	}
	a.warnUnsearchable(c.SearchMetadata, in.Header().Metadata)
	if shown {
		log.groups = nil
	} else {
		a.warn(in.Warnings())
	}
	return a.started(ctx, b, s, f, &startContext{
		limited: limited(in.Header(), c.Rates()), accounts: accountsOf(in.Header()),
		log: log, excluded: in.Excluded(), suppressed: in.Suppressed(), warnings: in.Warnings(),
	})
}

// accountsOf are the first accounts of a batch's ways.
func accountsOf(b *message.Batch) (names []string) {
	for _, way := range b.Hops {
		if len(way) > 0 && !slices.Contains(names, way[0].Account) {
			names = append(names, way[0].Account)
		}
	}
	return names
}

// problemLog keeps problems for a document, or shows them as they are found.
func (a *app) problemLog(limit int) *problemLog {
	log := &problemLog{limit: limit}
	if !a.json() {
		log.groups = &intake.ProblemGroups{}
	}
	return log
}

// refused shows the problems of a request that does not start.
func (a *app) refused(f startFlags, d *intake.Buffered, why error) error {
	if !a.json() {
		a.showProblems(d.Problems, f.limit)
		return why
	}
	doc := startDocument{Started: starter.Started{
		ID: f.id, Total: d.Total(), Rejected: d.Total() - d.Valid(), Problems: clipped(d.Problems, f.limit),
	}, Excluded: d.Excluded, Suppressed: d.Suppressed, Warnings: listed(d.Warnings)}
	return errors.Join(why, a.print(doc))
}

// refusedLarge does that for one that is read message by message, to its end.
func (a *app) refusedLarge(f startFlags, in *intake.Streamed, log *problemLog) error {
	if err := in.Rest(); err != nil {
		return err
	}
	why := in.Refusal()
	a.warn(in.Warnings())
	if !a.json() {
		log.show(a)
		return why
	}
	doc := startDocument{
		Started:  starter.Started{ID: f.id, Total: in.Total(), Rejected: in.Total() - in.Valid(), Problems: message.Problems{}},
		Excluded: in.Excluded(), Suppressed: in.Suppressed(), Warnings: listed(in.Warnings()),
	}
	return errors.Join(why, a.printWith(doc, log))
}

// startContext is what is known of a start beside the starter's answer.
type startContext struct {
	// limited is true where an account has a rate.
	limited bool
	// log has the problems of a request that was read message by message; nil means
	// that they are in the answer.
	log *problemLog
	// accounts are those that messages go through.
	accounts []string
	// shown means that a person has seen them before the answer.
	shown bool
	// excluded, suppressed and warnings are the document's.
	excluded, suppressed int
	warnings             message.Problems
}

// started shows what became of a start, at once or at the batch's end.
func (a *app) started(ctx context.Context, b batches, s starter.Started, f startFlags, o *startContext) error {
	a.warnOfExpiry(s.Estimate)
	if s.Unopened {
		a.note("no worker has opened batch %s yet, it waits for one: start `volley worker`; `volley status %s` shows how it goes on", s.ID, s.ID)
	}
	if s.SendAfter == nil {
		a.noteUnserved(ctx, b, o.accounts)
	}
	if !a.json() {
		a.startedText(s, f.limit, o)
	}
	doc := startDocument{Started: s, Excluded: o.excluded, Suppressed: o.suppressed, Warnings: listed(o.warnings)}
	if s.Same != nil {
		doc.SameAs = &s.Same.ID
	}
	var failed error
	if f.wait || f.watch {
		var st message.Status
		st, failed = a.end(ctx, b, a.ref(s.ID), f.watch)
		if failed == nil {
			doc.Status = &st
		} else {
			failed = interrupted(ctx, s.ID, failed)
		}
	}
	if a.json() {
		if err := a.startedJSON(doc, f.limit, o); err != nil {
			return err
		}
	} else if doc.Status != nil {
		a.showStatus(*doc.Status)
	}
	if failed != nil || doc.Status == nil {
		return failed
	}
	return unsent(*doc.Status, o.excluded)
}
