package main

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/intake"
	"volley/internal/message"
)

// validateDocument is what validate answers. That of a request that is read
// message by message has its messages first, as they come.
type validateDocument struct {
	Total    int              `json:"total"`
	Valid    int              `json:"valid"`
	Problems message.Problems `json:"problems"`
	// Excluded is how many messages are left out as asked, and Warnings are what should
	// be known and what stops nothing.
	Excluded int `json:"excluded"`
	// Suppressed is how many of these would be left out since their recipients want no
	// messages.
	Suppressed int              `json:"suppressed"`
	Warnings   message.Problems `json:"warnings"`
	// Estimate is there when a message is valid.
	Estimate *message.Estimate `json:"estimate,omitempty"`
	// Messages is there with --render.
	Messages *[]rendered `json:"messages,omitempty"`
}

// validateFlags are validate's own flags beside those of the request.
type validateFlags struct {
	input
	render   bool
	problems string
	// limit is how many problems are shown, or kinds of them as text, and rows how many
	// messages of --render; -1 is all.
	limit, rows int
}

func (a *app) validateCommand() *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate --dialect D FILE|-",
		Short: "Check a request without sending anything",
		Long: `Lists every problem of a request with its place. It needs no server; without a
configuration it does not check which account a message would take. A request of any
size is possible: Volley's own JSON lines and CSV are never in memory as a whole.`,
		Example: "  volley validate --dialect volley --render examples/volley.json",
		Args:    needs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(f.check(a.json()), a.readAt(cmd, f.at)); err != nil {
				return err
			}
			return a.validate(cmd.Context(), f, args[0])
		},
	}
	f.flags(a, cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.render, "render", false, "show what each recipient would get, when and through what")
	fl.StringVar(&f.problems, "problems", "", "how many problems to show, or how many kinds of them as text; or all\n(default 100 as text, all as JSON)")
	fl.IntVar(&f.rows, "limit", -1, "how many messages of --render to show; below 0 is all")
	offer(cmd, "problems", "all")
	return cmd
}

func (f *validateFlags) check(json bool) (err error) {
	switch {
	case f.problems != "":
		f.limit, err = problemLimit(f.problems)
	case json:
		f.limit = -1
	default:
		f.limit = 100
	}
	return errors.Join(f.input.check(), err)
}

func (a *app) validate(ctx context.Context, f validateFlags, file string) error {
	c, found, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	if !found {
		a.note("no configuration was found, so routing is not checked and defaults apply")
	}
	if f.input.suppressed, err = a.suppressed(ctx, c); err != nil {
		return err
	}
	r, err := a.request(f.input, false, file, c, found)
	if err != nil {
		return err
	}
	defer r.close()
	if !r.IsBuffered() {
		return a.validateLarge(r, c, found, f)
	}
	d := r.Buffered()
	doc := validateDocument{Total: d.Total(), Excluded: d.Excluded, Suppressed: d.Suppressed, Warnings: listed(d.Warnings)}
	if f.render {
		rows := []rendered{}
		if d.Batch != nil && !d.None {
			rows = a.render(d, r.Dialect().Recipient)
		}
		if f.rows >= 0 {
			rows = rows[:min(f.rows, len(rows))]
		}
		doc.Messages = &rows
	}
	if doc.Valid = d.Valid(); doc.Valid > 0 {
		doc.Estimate = a.newEstimator(c).Whole(d)
		if refused := startRefuses(d.Batch, doc.Estimate); len(refused) > 0 {
			d.Problems = append(d.Problems, refused...)
			doc.Valid, doc.Estimate = 0, nil
		}
	}
	a.warn(d.Warnings)
	if !a.json() {
		a.showValidation(doc, d.Problems, f.limit, func() {
			a.showBatchDue(d.Batch)
			a.validatedEstimate(doc, d.Batch, c, found)
		})
		return invalid(len(d.Problems), d.Refusal())
	}
	doc.Problems = clipped(d.Problems, f.limit)
	return errors.Join(invalid(len(d.Problems), d.Refusal()), a.print(doc))
}

// invalid is the exit of a request with problems, or of which nothing is left.
func invalid(problems int, refusal error) error {
	switch {
	case problems > 0:
		return &exitError{code: exitUsage}
	case refusal != nil: // there is nothing wrong with it, but nothing left either
		return usage("every message is left out, `volley start` would refuse the request")
	}
	return nil
}

// validateLarge validates a request that is read message by message.
func (a *app) validateLarge(r *request, c *config.Config, routed bool, f validateFlags) error {
	log := a.problemLog(f.limit)
	defer log.close()
	in, err := a.incoming(r, log)
	if err != nil {
		return err
	}
	defer in.Close()
	w := bufio.NewWriterSize(a.stdout, 64<<10)
	if a.json() && f.render {
		_, _ = w.WriteString(`{"messages":[`) // Flush tells of every error
	}
	foretold, err := a.readThrough(in, r.Dialect().Recipient, c, w, f)
	if err != nil {
		_ = w.Flush() // the first error counts
		return err
	}
	doc := validateDocument{
		Total: in.Total(), Valid: in.Valid(), Problems: message.Problems{}, Excluded: in.Excluded(), Suppressed: in.Suppressed(), Warnings: listed(in.Warnings()),
	}
	if doc.Valid > 0 {
		doc.Estimate = foretold.Estimate(in.Header(), in.Total(), in.Bytes(), true)
		refused := startRefuses(in.Header(), doc.Estimate)
		if err := log.Add(refused...); err != nil {
			return err
		}
		if len(refused) > 0 {
			doc.Valid, doc.Estimate = 0, nil
		}
	}
	a.warn(doc.Warnings)
	if a.json() {
		if err := a.endDocument(w, doc, log, f.render); err != nil {
			return err
		}
		return invalid(log.found, in.Refusal())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.validated(doc, log.found)
	log.show(a)
	a.showBatchDue(in.Header())
	a.validatedEstimate(doc, in.Header(), c, routed)
	return invalid(log.found, in.Refusal())
}

// endDocument writes what follows the messages, which stand first.
func (a *app) endDocument(w *bufio.Writer, doc validateDocument, log *problemLog, render bool) error {
	if render {
		_, _ = w.WriteString("],")
	}
	if err := writeWith(w, doc, log, render); err != nil {
		return err
	}
	return w.Flush()
}

// readThrough reads all messages, shows them where they are wanted, and estimates
// the batch.
func (a *app) readThrough(in *intake.Streamed, recipient func(int) string, c *config.Config, w io.Writer, f validateFlags) (*intake.Estimator, error) {
	foretold := a.newEstimator(c)
	if in.Header() == nil {
		return foretold, in.Rest()
	}
	one := []message.Message{{}}
	for in.Read(&one[0]) {
		i := in.Total() - 1
		b := *in.Header()
		b.Messages = one
		if f.render {
			if err := a.renderNext(in, recipient, &b, i, w, f.rows < 0 || i < f.rows); err != nil {
				return nil, err
			}
		}
		foretold.Add(&b, &one[0])
		one[0] = message.Message{}
	}
	return foretold, in.Rest()
}

// renderNext renders the only message of b, which has the index i, and shows it if
// that is wanted.
func (a *app) renderNext(in *intake.Streamed, recipient func(int) string, b *message.Batch, i int, w io.Writer, show bool) error {
	sound := len(b.Messages[0].Problems) == 0
	row := a.renderOne(b, 0, i, recipient)
	if sound && row.State == message.Rejected {
		if err := in.Reject(b.Messages[0].Problems); err != nil {
			return err
		}
	}
	switch {
	case !show:
		return nil
	case !a.json():
		a.showRendered(row)
		return nil
	}
	if i > 0 {
		if _, err := io.WriteString(w, ","); err != nil {
			return err
		}
	}
	return encode(w, row)
}

// validated is the line that says how a validation went.
func (a *app) validated(doc validateDocument, problems int) {
	excluded := leftOutNote(doc.Excluded, doc.Suppressed, "")
	a.printf("%s, %s valid%s, %s\n", plural(doc.Total, "message"), number(doc.Valid), excluded, plural(problems, "problem"))
}

func (a *app) showValidation(doc validateDocument, problems message.Problems, limit int, estimate func()) {
	a.validated(doc, len(problems))
	a.showProblems(problems, limit)
	estimate()
	if doc.Messages == nil {
		return
	}
	for _, m := range *doc.Messages {
		a.showRendered(m)
	}
}

// validatedEstimate shows the estimate; without routing nobody knows the rates.
func (a *app) validatedEstimate(doc validateDocument, b *message.Batch, c *config.Config, routed bool) {
	if doc.Estimate == nil {
		return
	}
	if !routed {
		a.showSize(doc.Estimate)
		return
	}
	a.showEstimate(doc.Estimate, limited(b, c.Rates()))
}
