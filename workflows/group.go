package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
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
func (r *run) grouped(l *lane, i int) bool {
	return r.seg != nil && r.seg.in.Dispatch == dispatchGroup && l.Interval == 0 && r.recs[i].Attempts == 0 && r.recs[i].Hop == 0
}

// departGroup begins the trip of the messages that have been ready longest.
func (r *run) departGroup(l *lane) *trip {
	size := r.batch.Policies[l.name].Group
	if size <= 0 || size > groupSize {
		size = groupSize
	}
	t := &trip{}
	stands := r.stands(l)
	for len(t.group) < size {
		s, ok := l.ready.top(stands)
		if !ok || !r.grouped(l, s.i) || len(t.group) > 0 && !r.alike(t.group[0], s.i) {
			break
		}
		l.ready.take(stands)
		r.begins(s.i, t)
		t.group = append(t.group, s.i)
	}
	t.i = t.group[0]
	l.groups++
	return t
}

// alike reports whether two messages may stand in one group: both of one segment
// and both with their own due times, or both with the one that a reschedule gave.
func (r *run) alike(a, b int) bool {
	x, y := &r.seg.lines[a], &r.seg.lines[b]
	return x.Segment == y.Segment && r.moved(a) == r.moved(b)
}

// moved is the due time that a reschedule gave a message; 0 is none.
func (r *run) moved(i int) int64 {
	if due := r.recs[i].Due; due != r.seg.lines[i].Due {
		return due
	}
	return 0
}

// sendGroup hands a group to Temporal and deals with its end.
func (r *run) sendGroup(ctx workflow.Context, t *trip) {
	in := activities.GroupInput{
		V: message.Version, Dir: r.seg.in.Dir, Segment: r.seg.lines[t.i].Segment, Account: r.account(t.i), Due: r.moved(t.i),
	}
	last := int64(0)
	for _, i := range t.group {
		last = max(last, r.recs[i].Expires)
		p := r.seg.lines[i].Pos
		if k := len(in.Spans) - 1; k >= 0 && in.Spans[k][1] == p {
			in.Spans[k][1]++
			continue
		}
		in.Spans = append(in.Spans, [2]int{p, p + 1})
	}
	opts := attemptOptions(GroupQueue(in.Account), time.Duration(max(last-r.now(), 0))*time.Millisecond+groupToClose, "")
	opts.StartToCloseTimeout, opts.HeartbeatTimeout = groupToClose, groupBeat
	if r.batch.Summaries {
		opts.Summary = fmt.Sprintf("%d messages via %s", len(t.group), in.Account)
	}
	var res activities.GroupResult
	err := r.travel(ctx, t, opts, GroupName, in, &res)
	switch {
	case err == nil && len(res.Outcomes) == len(t.group):
		r.groupEnded(t, res.Outcomes)
	case err != nil && !begun(err):
		for _, i := range t.group {
			r.withdrawn(i, 1)
		}
	default:
		r.groupLost(t, err)
	}
}

// groupEnded deals with what a group reported.
func (r *run) groupEnded(t *trip, outcomes activities.Outcomes) {
	again := r.groupWait(t, outcomes)
	for k, i := range t.group {
		switch outcomes[k].Kind {
		case activities.KindNotStarted:
			r.withdrawn(i, again)
		case "": // which is no outcome
			r.doubt(i, "lost", "the worker did not report what became of the attempt")
		default:
			r.answered(i, outcomes[k], false)
		}
	}
}

// groupWait is the wait, in ms, before messages are grouped anew that a group did
// not come to. It grows while groups come back with nothing done.
func (r *run) groupWait(t *trip, outcomes activities.Outcomes) int64 {
	l := r.lane(t.i)
	idle := !slices.ContainsFunc(outcomes, func(o activities.SendResult) bool { return o.Kind != activities.KindNotStarted })
	switch {
	case t.recalled:
		return 1
	case !idle:
		l.idle = 0
		return groupAgain
	}
	l.idle++
	return min(groupAgain<<min(max(l.idle-maxGroups, 0), 5), groupAgainMax)
}

// groupLost deals with a group that did not come to its end: its last heartbeat
// says what is known. Messages that it let leave and has no outcome of may have
// left until now, and requests may be under way for a while yet.
func (r *run) groupLost(t *trip, err error) {
	watermark, outcomes := len(t.group), activities.Outcomes(nil)
	var late *temporal.TimeoutError
	if errors.As(err, &late) {
		watermark = 0 // nothing leaves before the first heartbeat
		var p activities.GroupProgress
		if late.HasLastHeartbeatDetails() {
			if late.LastHeartbeatDetails(&p) == nil {
				watermark, outcomes = p.Watermark, p.Outcomes
			} else {
				watermark = len(t.group)
			}
		}
	}
	for k, i := range t.group {
		kind := ""
		if k < len(outcomes) {
			kind = outcomes[k].Kind
		}
		switch {
		case kind == activities.KindNotStarted, kind == "" && k >= watermark:
			r.withdrawn(i, groupAgain)
		case kind != "":
			r.answered(i, outcomes[k], false)
		default:
			r.doubt(i, "lost", "the worker did not report what became of the attempt")
			if rec := &r.recs[i]; !rec.State.Final() {
				rec.Next += groupSettle
				r.hold(i)
			}
		}
	}
}

// awaitGroups waits until groups that were asked back have stopped, or for
// groupVerdict: each hears of it with its next heartbeat.
func (r *run) awaitGroups(ctx workflow.Context) {
	stopping := func() bool {
		return slices.ContainsFunc(r.all(), func(i int) bool {
			t := r.open[i]
			return t != nil && t.group != nil && t.recalled
		})
	}
	if !stopping() {
		return
	}
	tctx, cancel := workflow.WithCancel(ctx)
	timer := workflow.NewTimerWithOptions(tctx, groupVerdict, workflow.TimerOptions{Summary: "groups that stop"})
	_ = workflow.Await(ctx, func() bool { return timer.IsReady() || !stopping() })
	cancel()
	yield(ctx)
}
