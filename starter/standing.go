package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/message"
	"volley/workflows"
)

// maxStandings is of how many batches it is kept how they stood, and maxStanding how
// much one of them may say of itself, about, in bytes.
const (
	maxStandings = 2000
	maxStanding  = 16 << 10
)

// moment is a place in a workflow's history: its end, when it had so many events.
// The zero value is not known, and equal to none.
type moment struct {
	run    string
	events int64
}

func (m moment) known() bool { return m.run != "" && m.events > 0 }

// standing is how a batch stands. Only a large one has more than the Status of its
// Overview.
type standing struct {
	// at is where its history ended before it was asked, if known: while it still
	// ends there, all of this holds.
	at          moment
	large, open bool
	message.Overview
}

// standing finds out how a batch stands.
func (s *Starter) standing(ctx context.Context, ref Ref) (standing, error) {
	last, _ := s.stood.Get(ref)
	if last.large && last.Status.State == message.BatchRunning {
		// Something has happened since, so that asking where the history ends is one
		// call more for nothing.
		st, err := s.ask(ctx, ref, true)
		if err == nil {
			s.keep(ref, st)
		}
		if err == nil || errors.Is(err, ErrNoWorker) || errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return st, err
		}
	}
	d, err := s.recall(ctx, ref)
	switch {
	case err != nil:
		return standing{}, err
	case d.end != nil:
		return ended(*d.end, true)
	case d.at.known() && d.at == last.at:
		return last, nil
	}
	st, err := s.ask(ctx, ref, d.memo.Dir != "")
	if err != nil {
		return standing{}, err
	}
	if st.open || d.status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		// One that Temporal ended is told from what its segments did, which may go on.
		st.at = d.at
	}
	s.keep(ref, st)
	return st, nil
}

// keep remembers how a batch stands, unless that takes much memory.
func (s *Starter) keep(ref Ref, st standing) {
	n := len(st.Status.Metadata) + len(st.Large.Segments) + 8*len(st.Large.Canceled)
	for _, r := range st.Large.Reasons {
		n += len(r)
	}
	if n <= maxStanding {
		s.stood.Add(ref, st)
	}
}

// ask asks a batch how it stands, or reads how it ended.
func (s *Starter) ask(ctx context.Context, ref Ref, large bool) (standing, error) {
	st := standing{large: large, open: true}
	question, answer := workflows.QueryStatus, any(&st.Status)
	if large {
		question, answer = workflows.QueryOverview, &st.Overview
	}
	closed, err := s.query(ctx, WorkflowID(ref), answer, question)
	if err != nil {
		return standing{}, s.workerError(ctx, "batch "+ref.ID, err)
	}
	if !closed {
		st.Status.AsOf = s.o.Now().UTC()
		return st, nil
	}
	res, err := s.result(ctx, ref)
	if err != nil {
		return standing{}, err
	}
	return ended(res, large)
}

// ended is how a batch stands that has ended.
func ended(res message.Result, large bool) (standing, error) {
	st := standing{large: large, Overview: message.Overview{Status: res.Status}}
	if !large {
		return st, nil
	}
	if res.Large == nil {
		return standing{}, fmt.Errorf("batch %s: its result does not say where its messages are", res.Status.ID)
	}
	st.Large = *res.Large
	return st, nil
}
