package closeout_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter/internal/closeout"
	"volley/workflows/contract"
)

const (
	begun = int64(1_000_000)
	ended = int64(2_000_000)
	later = int64(9_000_000)
)

var (
	living = message.UnrunOutcome{State: message.Failed, Code: "segment_lost", Detail: "its workflow was ended"}
	closed = message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: "temporal ended the workflow"}
)

func batchOf(n int) *message.Batch {
	return &message.Batch{
		Hops:     [][]message.Hop{{{Account: "one"}, {Account: "two"}}},
		Policies: map[string]message.Policy{"one": {}, "two": {Attempts: 2}},
		Messages: make([]message.Message, n),
	}
}

func runOf(rest message.UnrunOutcome, records ...message.Record) closeout.Run {
	return closeout.Run{
		Batch: batchOf(len(records)), Records: records, Ended: ended, Rev: 70, Rest: rest,
	}
}

// sending is a message whose first attempt is under way.
func sending() message.Record {
	return message.Record{State: message.Sending, Attempts: 1, HopAttempts: 1, Due: begun, Expires: later, Began: begun, Rev: 7}
}

func attempt(started bool) func(*closeout.Run) {
	return func(r *closeout.Run) {
		r.InFlight = []contract.InFlight{{ID: "0.1", Spans: [][2]int{{0, 1}}}}
		r.Pending = map[string]closeout.Pending{"0.1": {Started: started, Progress: contract.GroupProgress{Watermark: 1}}}
	}
}

func report(s message.State) *message.EarlyReport {
	return &message.EarlyReport{State: s, At: begun + 5, Code: "gone", Detail: "so it was said"}
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	t.Parallel()
	with := func(change func(*message.Record)) message.Record {
		rec := sending()
		change(&rec)
		return rec
	}
	waiting := func(change func(*message.Record)) message.Record {
		return with(func(rec *message.Record) {
			rec.State, rec.Attempts, rec.HopAttempts, rec.Began = message.Scheduled, 0, 0, 0
			change(rec)
		})
	}
	type run = closeout.Run
	for name, tt := range map[string]struct {
		record message.Record
		setup  func(*run)
		// states in a batch that lives on, and in one that Temporal ended.
		living, closed message.State
		attempts       int
		code           string // where the two agree
	}{
		"it has ended":           {with(func(r *message.Record) { r.State, r.Code = message.Failed, "http_400" }), nil, message.Failed, message.Failed, 1, "http_400"},
		"it was not due":         {waiting(func(*message.Record) {}), nil, message.Failed, message.Canceled, 0, ""},
		"it waited for its turn": {waiting(func(r *message.Record) { r.State = message.Accepted }), nil, message.Failed, message.Canceled, 0, ""},
		"it waited for a retry": {with(func(r *message.Record) {
			r.State, r.Code = message.Retrying, "http_503"
		}), nil, message.Failed, message.Canceled, 1, ""},
		"its validity had ended":    {waiting(func(r *message.Record) { r.Expires = ended - 1 }), nil, message.Expired, message.Expired, 0, "expired"},
		"an attempt that had begun": {sending(), attempt(true), message.Unknown, message.Unknown, 1, "lost"},
		"an attempt that waited":    {sending(), attempt(false), message.Failed, message.Canceled, 0, ""},
		"an attempt that waited past its validity": {
			with(func(r *message.Record) { r.Expires = ended }), attempt(false), message.Expired, message.Expired, 0, "expired",
		},
		"an attempt that the server never heard of": {sending(), func(r *run) {
			attempt(true)(r)
			r.Pending = nil
		}, message.Failed, message.Canceled, 0, ""},
		"an attempt of which nothing is known": {sending(), nil, message.Unknown, message.Unknown, 1, "lost"},
		"a canceled attempt that had begun": {with(func(r *message.Record) {
			r.Stop, r.Code, r.Detail = true, "canceled", "enough"
		}), attempt(true), message.Unknown, message.Unknown, 1, "lost"},
		"a canceled attempt that waited": {with(func(r *message.Record) {
			r.Stop, r.Code, r.Detail = true, "canceled", "enough"
		}), attempt(false), message.Canceled, message.Canceled, 0, "canceled"},
		"in doubt": {with(func(r *message.Record) { r.Doubt = begun }), nil, message.Unknown, message.Unknown, 1, "lost"},
		"in doubt and asked about": {with(func(r *message.Record) { r.Doubt = begun }), func(r *run) {
			r.InFlight = []contract.InFlight{{ID: "0.1?1", Spans: [][2]int{{0, 1}}, Question: true}}
			r.Pending = map[string]closeout.Pending{"0.1?1": {Started: true}}
		}, message.Unknown, message.Unknown, 1, "lost"},
		"in doubt and never asked about": {with(func(r *message.Record) { r.Doubt = begun }), func(r *run) {
			r.InFlight = []contract.InFlight{{ID: "0.1?1", Spans: [][2]int{{0, 1}}, Question: true}}
		}, message.Unknown, message.Unknown, 1, "lost"},
		"awaiting its report": {with(func(r *message.Record) {
			r.Await, r.Sent, r.ProviderID, r.Code = later, begun, "p", "canceled"
		}), nil, message.Sent, message.Sent, 1, ""},
		"canceled by name, and it waited": {waiting(func(*message.Record) {}), func(r *run) {
			r.Canceled = map[int]*message.Cancellation{0: {At: ended, Reason: "enough"}}
		}, message.Canceled, message.Canceled, 0, "canceled"},
		"canceled by name, and an attempt had begun": {sending(), func(r *run) {
			attempt(true)(r)
			r.Canceled = map[int]*message.Cancellation{0: {At: ended, Reason: "enough"}}
		}, message.Unknown, message.Unknown, 1, "lost"},
		"canceled by name when its validity had ended": {waiting(func(r *message.Record) { r.Expires = ended - 1 }), func(r *run) {
			r.Canceled = map[int]*message.Cancellation{0: {At: ended}}
		}, message.Expired, message.Expired, 0, "expired"},
		"reported delivered before its answer":   {with(func(r *message.Record) { r.Early = report(message.Delivered) }), attempt(true), message.Delivered, message.Delivered, 1, ""},
		"reported undelivered before its answer": {with(func(r *message.Record) { r.Early = report(message.Undelivered) }), attempt(true), message.Undelivered, message.Undelivered, 1, "gone"},
		"reported delivered before an attempt that waited": {with(func(r *message.Record) {
			r.Attempts, r.HopAttempts, r.Early = 2, 2, report(message.Delivered)
		}), attempt(false), message.Delivered, message.Delivered, 1, ""},
		"reported undelivered before an attempt that waited": {with(func(r *message.Record) {
			r.Attempts, r.HopAttempts, r.Early = 2, 2, report(message.Undelivered)
		}), attempt(false), message.Failed, message.Canceled, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for rest, want := range map[message.UnrunOutcome]message.State{living: tt.living, closed: tt.closed} {
				r := runOf(rest, tt.record)
				if tt.setup != nil {
					tt.setup(&r)
				}
				records, counts, rev := r.Close()
				rec := records[0]
				require.Equal(t, want, rec.State)
				require.Equal(t, 1, counts[want])
				require.Equal(t, 1, counts.Total())
				require.Equal(t, tt.attempts, rec.Attempts)
				if tt.code != "" || tt.living == tt.closed {
					require.Equal(t, tt.code, rec.Code)
				} else {
					require.Equal(t, rest.Code, rec.Code)
					require.Equal(t, rest.Detail, rec.Detail)
				}
				require.Zero(t, rec.Doubt+rec.Await)
				if tt.record.State.Final() {
					require.Equal(t, tt.record, rec, "it is as it was")
					continue
				}
				require.Equal(t, int64(71), rev)
				require.Equal(t, rev, rec.Rev)
				if want == message.Expired {
					require.Equal(t, rec.Expires, rec.Finished)
				} else {
					require.Equal(t, ended, rec.Finished)
				}
			}
		})
	}
}

func TestAMessageThatLeftInAGroup(t *testing.T) {
	t.Parallel()
	outcome := func(kind string) contract.SendResult {
		return contract.SendResult{Kind: kind, At: begun + 9, ProviderID: "p", Code: "why", Detail: "as it was said"}
	}
	progress := func(watermark int, outcomes ...contract.SendResult) closeout.Pending {
		return closeout.Pending{Started: true, Progress: contract.GroupProgress{V: 1, Watermark: watermark, Outcomes: outcomes}}
	}
	for name, tt := range map[string]struct {
		pending  closeout.Pending
		change   func(*message.Record)
		state    message.State
		attempts int
		code     string
	}{
		"no worker had taken it":                {pending: closeout.Pending{}, state: message.Failed, code: "segment_lost"},
		"no heartbeat":                          {pending: closeout.Pending{Started: true}, state: message.Failed, code: "segment_lost"},
		"a heartbeat that cannot be read":       {pending: progress(message.LargestGroup), state: message.Unknown, attempts: 1, code: "lost"},
		"above the watermark":                   {pending: progress(0), state: message.Failed, code: "segment_lost"},
		"below the watermark":                   {pending: progress(1), state: message.Unknown, attempts: 1, code: "lost"},
		"below it with no outcome":              {pending: progress(1, contract.SendResult{}), state: message.Unknown, attempts: 1, code: "lost"},
		"sent":                                  {pending: progress(1, outcome("sent")), state: message.Sent, attempts: 1},
		"sent and reported":                     {pending: progress(1, outcome("sent")), change: func(r *message.Record) { r.Early = report(message.Undelivered) }, state: message.Undelivered, attempts: 1, code: "gone"},
		"not started":                           {pending: progress(1, outcome("not_started")), state: message.Failed, code: "segment_lost"},
		"expired":                               {pending: progress(1, outcome("expired")), change: func(r *message.Record) { r.Expires = ended }, state: message.Expired, code: "expired"},
		"ambiguous":                             {pending: progress(1, outcome("ambiguous")), state: message.Unknown, attempts: 1, code: "lost"},
		"to be retried":                         {pending: progress(1, outcome("throttled")), state: message.Failed, attempts: 1, code: "segment_lost"},
		"to be retried, but canceled":           {pending: progress(1, outcome("unavailable")), change: func(r *message.Record) { r.Stop = true }, state: message.Canceled, attempts: 1, code: "canceled"},
		"refused with a hop left":               {pending: progress(1, outcome("rejected")), state: message.Failed, attempts: 1, code: "segment_lost"},
		"refused with a hop left, but canceled": {pending: progress(1, outcome("rejected")), change: func(r *message.Record) { r.Stop = true }, state: message.Canceled, attempts: 1, code: "canceled"},
		"refused with a hop left and no time":   {pending: progress(1, outcome("rejected")), change: func(r *message.Record) { r.Expires = ended }, state: message.Failed, attempts: 1, code: "why"},
		"refused on the last hop":               {pending: progress(1, outcome("invalid")), change: func(r *message.Record) { r.Hop = 1 }, state: message.Failed, attempts: 1, code: "why"},
		"attempts used up on the last hop":      {pending: progress(1, outcome("throttled")), change: func(r *message.Record) { r.Hop, r.HopAttempts = 1, 2 }, state: message.Failed, attempts: 1, code: "why"},
		"refused and delivered after all":       {pending: progress(1, outcome("rejected")), change: func(r *message.Record) { r.Early = report(message.Delivered) }, state: message.Delivered, attempts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := sending()
			if tt.change != nil {
				tt.change(&rec)
			}
			r := runOf(living, rec)
			r.InFlight = []contract.InFlight{{ID: "g0.1", Spans: [][2]int{{0, 1}}, Group: true}}
			r.Pending = map[string]closeout.Pending{"g0.1": tt.pending}
			records, _, _ := r.Close()
			require.Equal(t, tt.state, records[0].State)
			require.Equal(t, tt.attempts, records[0].Attempts)
			require.Equal(t, tt.code, records[0].Code)
		})
	}
}

func TestTheTrailOfAnotherIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	rec := sending()
	rec.Trail = make([]message.Entry, 1, 8)
	r := runOf(closed, rec)
	r.Close()
	require.Zero(t, rec.Trail[:2][1])
	require.Equal(t, message.Sending, r.Records[0].State)
}

// TestAnyClosedRunAddsUp makes up runs, and knows of each message whether it may have
// left.
func TestAnyClosedRunAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		r, left := anyRun(rnd)
		records, counts, rev := r.Close()
		require.Equal(t, len(r.Records), counts.Total(), "seed %d", seed)
		require.Zero(t, counts.Open(), "seed %d", seed)
		for i := range records {
			rec, was := &records[i], &r.Records[i]
			require.True(t, rec.State.Final(), "seed %d message %d", seed, i)
			require.LessOrEqual(t, rec.Rev, rev)
			if was.State.Final() {
				require.Equal(t, *was, *rec)
				continue
			}
			require.NotZero(t, rec.Finished, "seed %d message %d", seed, i)
			require.Greater(t, rec.Rev, was.Rev, "whoever follows sees it as new")
			if left[i] {
				require.NotContains(t, []message.State{message.Canceled, message.Expired, message.Failed}, rec.State, "seed %d message %d may have left: %+v", seed, i, *was)
			} else {
				require.NotEqual(t, message.Unknown, rec.State, "seed %d message %d has not left: %+v", seed, i, *was)
			}
		}
	}
}

// anyRun makes up a run, and says which of its messages may have left with nothing known of
// what became of them.
func anyRun(rnd *rand.Rand) (closeout.Run, map[int]bool) {
	n := 1 + rnd.IntN(40)
	records, left := make([]message.Record, n), map[int]bool{}
	r := runOf([]message.UnrunOutcome{living, closed}[rnd.IntN(2)], records...)
	r.Rev, r.Pending = int64(n), map[string]closeout.Pending{}
	for i := 0; i < n; i++ {
		rec := &records[i]
		*rec = sending()
		rec.Rev, rec.Stop = int64(i), rnd.IntN(4) == 0
		rec.Expires = []int64{ended - 1, later}[rnd.IntN(2)]
		switch rnd.IntN(6) {
		case 0:
			rec.State = message.States()[rnd.IntN(12)]
			left[i] = rec.State == message.Sending
		case 1:
			rec.Doubt, left[i] = begun, true
		case 2:
			rec.Await = later
		case 3:
			rec.State, rec.Attempts, rec.HopAttempts = message.Scheduled, 0, 0
		case 4:
			left[i] = anyAttempt(&r, rnd, i)
		default:
			i = anyGroup(&r, rnd, i, left)
		}
	}
	r.Records = records
	return r, left
}

func anyAttempt(r *closeout.Run, rnd *rand.Rand, i int) bool {
	id := fmt.Sprintf("%d.1", i)
	r.InFlight = append(r.InFlight, contract.InFlight{ID: id, Spans: [][2]int{{i, i + 1}}})
	if rnd.IntN(3) == 0 {
		return false
	}
	started := rnd.IntN(2) == 0
	r.Pending[id] = closeout.Pending{Started: started, Progress: contract.GroupProgress{Watermark: 1}}
	return started
}

func anyGroup(r *closeout.Run, rnd *rand.Rand, from int, left map[int]bool) int {
	records := r.Records
	to := min(from+1+rnd.IntN(10), len(records))
	f := contract.InFlight{ID: fmt.Sprintf("g%d.1", from), Spans: [][2]int{{from, to}}, Group: true}
	p := closeout.Pending{Started: rnd.IntN(4) > 0}
	progress := contract.GroupProgress{V: 1, Watermark: rnd.IntN(to - from + 1), Outcomes: make(contract.Outcomes, to-from)}
	beats := rnd.IntN(4) > 0
	if beats {
		p.Progress = progress
	}
	for i := from; i < to; i++ {
		records[i] = sending()
		records[i].Rev = int64(i)
		k := i - from
		if k >= progress.Watermark {
			continue
		}
		kinds := []string{"", "sent", "ambiguous", "not_started", "expired", "throttled", "rejected"}
		progress.Outcomes[k].Kind = kinds[rnd.IntN(len(kinds))]
		kind := progress.Outcomes[k].Kind
		left[i] = p.Started && beats && (kind == "" || kind == "ambiguous")
	}
	r.InFlight = append(r.InFlight, f)
	r.Pending[f.ID] = p
	return to - 1
}
