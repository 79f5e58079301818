package engine

import (
	"container/heap"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// Times and sizes of groups.
const (
	// groupSize is how many messages a group has at most; an account's policy may
	// say fewer.
	groupSize = message.LargestGroup
	// maxGroups is how many groups of one account a segment has under way: one that
	// sends and others that wait for their turn, so that the end of one is no pause.
	maxGroups = 4
	// groupToClose bounds a group; it stops by itself before that.
	groupToClose = 10 * time.Minute
	// groupBeat is how long the server waits for a group's heartbeat.
	groupBeat = 5 * time.Second
	// groupSettle is how long after a group was given up a request of it may still
	// be under way.
	groupSettle = int64(10_000)
	// groupAgain is the wait before messages that a group did not come to are
	// grouped anew.
	groupAgain = int64(1_000)
	// groupAgainMax is that wait at the longest.
	groupAgainMax = int64(30_000)
	// groupVerdict is how long a control waits for groups to stop.
	groupVerdict = 2 * time.Second
)

// grouped reports whether a message's next attempt is made in a group.
func (r *run) grouped(l *accountQueue, i int) bool {
	return r.seg != nil && r.seg.in.Dispatch == message.DispatchGroup && l.Interval == 0 && !l.probing && r.recs[i].Attempts == 0 && r.recs[i].Hop == 0
}

// startGroup begins an attempt at the messages that have been ready longest.
func (r *run) startGroup(l *accountQueue) *inflight {
	size := r.batch.Policies[l.name].Group
	if size <= 0 || size > groupSize {
		size = groupSize
	}
	t := &inflight{group: true}
	for len(t.messages) < size {
		s, ok := l.ready.top(r.stands(l))
		if !ok || !r.grouped(l, s.i) || len(t.messages) > 0 && r.moved(t.messages[0]) != r.moved(s.i) {
			break
		}
		heap.Pop(&l.ready)
		r.start(t, s.i)
	}
	t.i = t.messages[0]
	l.groups++
	return t
}

// moved is the due time that a reschedule gave a message; 0 is none. All of a group have
// the same.
func (r *run) moved(i int) int64 {
	if due := r.recs[i].Due; due != r.lines[i].Due {
		return due
	}
	return 0
}

// sendGroup hands a group to Temporal and deals with its end.
func (r *run) sendGroup(ctx workflow.Context, t *inflight) {
	in := contract.GroupInput{
		V: message.Version, Dir: r.seg.in.Dir, Segment: r.seg.in.Number, Account: r.account(t.i), Due: r.moved(t.i),
		Spans: contract.Spans(t.messages), Guard: r.guard.on,
	}
	last := int64(0)
	for _, i := range t.messages {
		last = max(last, r.recs[i].Expires)
	}
	opts := attemptOptions(contract.GroupQueue(in.Account), time.Duration(max(last-r.Now(), 0))*time.Millisecond+groupToClose, "")
	opts.StartToCloseTimeout, opts.HeartbeatTimeout = groupToClose, groupBeat
	if r.batch.Summaries {
		opts.Summary = message.Plural(len(t.messages), "message") + " via " + in.Account
	}
	var res contract.GroupResult
	err := r.execute(ctx, t, opts, contract.GroupName, in, &res)
	all := len(t.messages)
	switch {
	case err == nil && len(res.Outcomes) == all:
		r.groupEnded(t, contract.GroupProgress{Watermark: all, Outcomes: res.Outcomes}, r.groupWait(t, res.Outcomes), 0)
	case err != nil && !begun(err):
		r.groupEnded(t, contract.GroupProgress{}, againAfter(err), 0)
	default:
		r.groupEnded(t, lastProgress(err, all), groupAgain, groupSettle)
	}
}

// groupEnded deals with what is known of a group. Messages that have certainly not left wait
// for some ms, and requests of the others may be under way for settle ms yet.
func (r *run) groupEnded(t *inflight, p contract.GroupProgress, wait, settle int64) {
	for k, i := range t.messages {
		switch o := p.Outcome(k); {
		case o.Held.By != "":
			r.answered(i, o, false)
		case o.Kind == contract.KindNotStarted:
			r.withdrawn(i, wait)
		case o.Kind == "":
			r.lost(i, settle)
		default:
			r.answered(i, o, false)
		}
	}
}

// groupWait is the wait, in ms, before messages are grouped anew that a group did
// not come to. It grows while groups come back with nothing done.
func (r *run) groupWait(t *inflight, outcomes contract.Outcomes) int64 {
	l := r.queueOf(t.i)
	idle := !slices.ContainsFunc(outcomes, func(o contract.SendResult) bool { return o.Kind != contract.KindNotStarted })
	switch {
	case t.withdrawn:
		return 1
	case !idle:
		l.idle = 0
		return groupAgain
	}
	l.idle++
	return min(groupAgain<<min(max(l.idle-maxGroups, 0), 5), groupAgainMax)
}

// lastProgress is what the last heartbeat tells of a group of so many messages that did not
// come to its end. Nothing leaves before the first one.
func lastProgress(err error, all int) (p contract.GroupProgress) {
	var late *temporal.TimeoutError
	if errors.As(err, &late) && (!late.HasLastHeartbeatDetails() || late.LastHeartbeatDetails(&p) == nil) {
		return p
	}
	return contract.GroupProgress{Watermark: all}
}
