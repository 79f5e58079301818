package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/intake"
	"volley/starter"
)

// checkTest refuses flags that mean nothing without --test-to. Others are the batch's own:
// --id, --send-after and what is asked before a start count for nothing in a test.
func (f *startFlags) checkTest(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	switch {
	case given("test-to") && f.testTo == "":
		return usage("--test-to is empty, expected the address that gets the samples")
	case f.testTo == "" && given("sample"):
		return usage("--sample is for --test-to")
	}
	return nil
}

// testDocument is what a test answers.
type testDocument struct {
	startDocument
	// Samples are the messages that were chosen, as they were rendered.
	Samples []intake.Rendered `json:"samples"`
}

// startTest sends samples of a request to one address. Nothing of the request itself is
// started, and nobody is asked.
func (a *app) startTest(ctx context.Context, f startFlags, r *request, c *config.Config) error {
	check := intake.NewCheck(intake.CheckOptions{Problems: f.limit, Samples: f.sample, Estimates: c.Estimates(), Now: a.now()})
	if err := a.readCheck(r, check); err != nil {
		return err
	}
	a.warn(check.Warnings)
	if !a.json() {
		a.showGroups(&check.Groups, f.limit)
	}
	if check.Refusal != nil {
		if a.json() {
			return errors.Join(check.Refusal, a.print(a.testDocument(check, starter.Started{}, nil)))
		}
		return check.Refusal
	}
	test, err := check.TestBatch(f.testTo)
	if err != nil {
		return usage("--test-to: %w", err)
	}
	body, err := json.Marshal(test.Messages)
	if err != nil {
		return err
	}
	b, done, err := a.open(ctx, a, c)
	if err != nil {
		return err
	}
	defer done()
	ref := a.ref(starter.TestID("", a.tenant, test.Dialect, a.now()))
	a.batch = ref.ID
	s, err := b.Start(ctx, starter.Request{Ref: ref, Body: body, Batch: test, Flags: map[string]string{"test": "true"}})
	if err != nil {
		return err
	}
	return a.tested(ctx, b, f, check, a.testDocument(check, s, check.Rendered(r.Dialect().Recipient)))
}

// readCheck reads a request to its end.
func (a *app) readCheck(r *request, check *intake.Check) error {
	if r.IsBuffered() {
		return check.Buffered(r.Buffered())
	}
	a.limitMemory()
	in, err := r.Streamed(check)
	if err != nil {
		return r.file.failed(err)
	}
	defer in.Close()
	return check.Streamed(in)
}

func (a *app) testDocument(check *intake.Check, s starter.Started, samples []intake.Rendered) testDocument {
	if s.ID == "" {
		s.Total, s.Rejected = check.Total, check.Total-check.Valid
	}
	s.Problems = check.Problems
	return testDocument{startDocument{Started: s, Excluded: check.Excluded, Warnings: listed(check.Warnings)}, append([]intake.Rendered{}, samples...)}
}

// tested shows what became of the start of a test, at once or at its end.
func (a *app) tested(ctx context.Context, b batches, f startFlags, check *intake.Check, doc testDocument) error {
	if !a.json() {
		a.printf("test %s: %s of %s, to %s\n", doc.ID, number(doc.Total), plural(check.Total, "message"), f.testTo)
		t := &table{}
		for _, m := range doc.Samples {
			sms := ""
			if m.SMS != nil {
				sms = smsText(*m.SMS)
			}
			t.row(cell{m.Why, faint}, cell{number(m.Index), 0}, cell{sms, 0}, cell{*m.Text, 0})
		}
		a.table(t)
	}
	a.noteUnserved(ctx, b, accountsOf(check.Header))
	var failed error
	if f.wait || f.watch {
		st, err := a.end(ctx, b, a.ref(doc.ID), f.watch)
		if failed = interrupted(ctx, doc.ID, err); err == nil {
			doc.Status, failed = &st, unsent(st, 0)
		}
	}
	if a.json() {
		return errors.Join(failed, a.print(doc))
	}
	if doc.Status != nil {
		a.showStatus(*doc.Status)
	}
	return failed
}
