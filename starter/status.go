package starter

import (
	"context"
	"errors"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Status says where a batch stands. An open batch is asked through a worker, a
// closed one is read from its result, or from the store when Temporal no longer
// has it. A workflow is asked again only once its history has grown, so that looking
// at batches that wait takes no worker's time. The running segments of a large batch
// are asked side by side; where one does not answer, the batch's own last count stands.
//
// Errors: ErrNotFound, ErrNoWorker, ErrUnreachable, ErrInvalid (a bad id).
func (s *Starter) Status(ctx context.Context, ref Ref) (message.Status, error) {
	st, err := s.status(ctx, ref)
	if err != nil {
		return message.Status{}, err
	}
	switch {
	case st.large:
		return s.viewOf(ref, st).LiveStatus(ctx), nil
	case st.open:
		// The worker has seen all of the history; its own clock stands at the last
		// thing that happened.
		st.Status.AsOf = s.o.Now().UTC()
		st.Status.Forecast(s.o.Rates[st.Status.Account], 0)
		return st.Status, nil
	}
	res, err := s.reported(ctx, ref, message.Result{Status: st.Status}, false)
	return res.Status, err
}

// status finds out how a batch stands.
func (s *Starter) status(ctx context.Context, ref Ref) (cachedStatus, error) {
	last, _ := s.statuses.all.Get(ref)
	if last.large && last.Status.State == message.BatchRunning {
		// Something has happened since, so that asking where the history ends is one
		// call more for nothing.
		st, err := s.statuses.refresh(ctx, ref, last, s.o.Now(), func(ctx context.Context) (cachedStatus, error) {
			return s.queryStatus(ctx, ref, true, server.HistoryPosition{})
		})
		if err == nil || errors.Is(err, ErrNoWorker) || errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return st, err
		}
	}
	d, err := s.server.DescribeOrStored(ctx, ref)
	switch {
	case err != nil:
		return cachedStatus{}, err
	case d.End != nil:
		return endedStatus(*d.End), nil
	case d.At.Known() && d.At == last.at:
		last.asked = s.o.Now()
		return last, nil
	}
	return s.queryStatus(ctx, ref, d.Memo.Dir != "", d.At)
}

// queryStatus asks a batch how it stands, or reads how it ended, and remembers that. Its
// history ended at a position before, if that is known.
func (s *Starter) queryStatus(ctx context.Context, ref Ref, large bool, at server.HistoryPosition) (cachedStatus, error) {
	asked := s.o.Now()
	st := cachedStatus{large: large, open: true}
	question, answer := contract.QueryStatus, any(&st.Status)
	if large {
		question, answer = contract.QueryOverview, &st.Overview
	}
	closed, err := s.server.Query(ctx, WorkflowID(ref), answer, question)
	if err != nil {
		return cachedStatus{}, s.server.WorkerError(ctx, "batch "+ref.ID, err)
	}
	if closed {
		res, err := s.result(ctx, ref)
		if err != nil {
			return cachedStatus{}, err
		}
		st = endedStatus(res)
	}
	st.at, st.asked = at, asked
	s.statuses.add(ref, st)
	return st, nil
}

// endedStatus is how a batch stands that has ended.
func endedStatus(res message.Result) cachedStatus {
	st := cachedStatus{large: res.Large != nil, Overview: message.Overview{Status: res.Status}}
	if st.large {
		st.Large = *res.Large
	}
	return st
}
