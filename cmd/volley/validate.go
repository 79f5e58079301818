package main

import (
	"bufio"
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
	// Estimate is there when a message is valid.
	Estimate *message.Estimate `json:"estimate,omitempty"`
	// Messages is there with --render.
	Messages *[]rendered `json:"messages,omitempty"`
}

func (a *app) validateCommand() *cobra.Command {
	var in input
	var render bool
	cmd := &cobra.Command{
		Use:   "validate --dialect D FILE|-",
		Short: "Check a request without sending anything",
		Long: `Lists every problem of a request with its place. It needs no server; without a
configuration it does not check which account a message would take. A request of any
size is possible: Volley's own JSON lines and CSV are never in memory as a whole.`,
		Example: "  volley validate --dialect sinch --render batch.json",
		Args:    needs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := in.check(); err != nil {
				return err
			}
			return a.validate(in, args[0], render)
		},
	}
	in.flags(a, cmd)
	cmd.Flags().BoolVar(&render, "render", false, "show what each recipient would get, when and through what")
	return cmd
}

func (a *app) validate(in input, file string, render bool) error {
	c, found, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	if !found {
		a.note("no configuration was found, so routing is not checked and defaults apply")
	}
	r, err := a.request(in, false, file, c, found)
	if err != nil {
		return err
	}
	defer r.close()
	if !r.Small() {
		return a.validateLarge(r, c, found, render)
	}
	d := r.Whole()
	doc := validateDocument{Total: d.Total()}
	if render {
		rows := []rendered{}
		if d.Batch != nil && !d.None {
			rows = a.render(d, r.Dialect().Recipient)
		}
		doc.Messages = &rows
	}
	doc.Valid, doc.Problems, doc.Estimate = d.Valid(), clipped(d.Problems, -1), a.foretell(c).whole(d)
	if a.json() {
		err = a.print(doc)
	} else {
		a.showValidation(doc, func() { a.validatedEstimate(doc, d.Batch, c, found) })
	}
	return errors.Join(invalid(len(doc.Problems)), err)
}

// invalid is the exit of a request with problems.
func invalid(problems int) error {
	if problems > 0 {
		return &exitError{code: exitUsage}
	}
	return nil
}

// validateLarge validates a request that is read message by message.
func (a *app) validateLarge(r *request, c *config.Config, routed, render bool) error {
	log := a.problemLog(-1)
	defer log.close()
	in, err := a.incoming(r, log)
	if err != nil {
		return err
	}
	defer in.Close()
	w := bufio.NewWriterSize(a.stdout, 64<<10)
	if a.json() && render {
		_, _ = w.WriteString(`{"messages":[`) // Flush tells of every error
	}
	foretold, err := a.readThrough(in, r.Dialect().Recipient, c, w, render)
	if err != nil {
		_ = w.Flush() // the first error counts
		return err
	}
	doc := validateDocument{Total: in.Total(), Valid: in.Valid(), Problems: message.Problems{}}
	if doc.Valid > 0 {
		doc.Estimate = foretold.estimate(in.Header(), in.Total(), in.Bytes(), true)
	}
	if a.json() {
		if err := a.endDocument(w, doc, log, render); err != nil {
			return err
		}
		return invalid(log.found)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	log.flush()
	a.validated(doc, log.found)
	a.validatedEstimate(doc, in.Header(), c, routed)
	return invalid(log.found)
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

// readThrough reads all messages, shows them where they are wanted, and foretells
// the batch.
func (a *app) readThrough(in *intake.Incoming, recipient func(int) string, c *config.Config, w io.Writer, render bool) (*foreteller, error) {
	foretold := a.foretell(c)
	if in.Header() == nil {
		return foretold, in.Rest()
	}
	one := []message.Message{{}}
	for in.Read(&one[0]) {
		i := in.Total() - 1
		b := *in.Header()
		b.Messages = one
		if render {
			if err := a.renderNext(in, recipient, &b, i, w); err != nil {
				return nil, err
			}
		}
		foretold.add(&b, 0)
		one[0] = message.Message{}
	}
	return foretold, in.Rest()
}

// renderNext shows the only message of b, which has the index i.
func (a *app) renderNext(in *intake.Incoming, recipient func(int) string, b *message.Batch, i int, w io.Writer) error {
	sound := len(b.Messages[0].Problems) == 0
	row := a.renderOne(b, 0, i, recipient)
	if sound && row.State == message.Rejected {
		if err := in.Reject(b.Messages[0].Problems); err != nil {
			return err
		}
	}
	if !a.json() {
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
	a.printf("%s, %d valid, %s\n", plural(doc.Total, "message"), doc.Valid, plural(problems, "problem"))
}

func (a *app) showValidation(doc validateDocument, estimate func()) {
	a.validated(doc, len(doc.Problems))
	a.showProblems(doc.Problems, -1)
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
