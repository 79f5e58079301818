package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/chaos"
	"volley/internal/message"
)

// noon is when the batch of the tests was started and due.
var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// evidence is a batch of three messages of which one each was sent, refused and canceled, as it should be.
func evidence() *chaos.Evidence {
	b := chaos.Batch{ID: "b", Account: "asked", Final: message.Status{State: message.BatchCompleted, Total: 3, AsOf: noon, Counts: &message.Counts{}}}
	for i, state := range []message.State{message.Sent, message.Failed, message.Canceled} {
		ref := string('a' + rune(i))
		due, expires, finished := noon, noon.Add(time.Hour), noon.Add(time.Minute)
		b.Messages = append(b.Messages, chaos.Message{Reference: ref, Due: due, Expires: expires})
		b.Rows = append(b.Rows, message.Row{Index: i, ID: "id-" + ref, Reference: &ref, State: state, DueAt: &due, ExpiresAt: &expires, FinishedAt: &finished, Attempts: 1})
		b.Final.Counts[state]++
	}
	b.Rows[0].ProviderID = "receipt"
	b.Rows[2].Attempts = 0
	b.Cancels = []chaos.Cancel{{
		Named: []string{"0", "1", "2"}, Answered: noon.Add(10 * time.Second),
		Result: message.CancelResult{
			Canceled: []string{"id-c"}, Sent: []string{"id-a"}, InFlight: []string{}, Ended: []string{"id-b"}, Confirmed: true,
			Counts: message.CancelCounts{Canceled: 1, Sent: 1, Ended: 1},
		},
	}}
	b.Pauses = []chaos.Pause{{Answered: noon.Add(5 * time.Second), Until: noon.Add(8 * time.Second), Listed: true}}
	b.Polls = []message.Status{{State: message.BatchRunning, Total: 3, Counts: &message.Counts{message.Accepted: 3}}}
	return &chaos.Evidence{
		Accounts: map[string]chaos.Account{"asked": {Asked: true}, "resend": {Resends: true}},
		Batches:  []chaos.Batch{b},
		Requests: []chaos.Request{sent("a", time.Second), refused("b", time.Second)},
		Holds:    []chaos.HoldWindow{{Account: "asked", From: noon.Add(6 * time.Second), Until: noon.Add(9 * time.Second)}},
	}
}

func sent(ref string, after time.Duration) chaos.Request {
	r := refused(ref, after)
	r.Answer, r.Accepted, r.Receipt = "taken", true, "receipt"
	return r
}

func refused(ref string, after time.Duration) chaos.Request {
	at := noon.Add(after)
	return chaos.Request{Arrived: at, Stamped: at, Account: "asked", Batch: "b", ID: "id-" + ref, Reference: ref, Index: int(ref[0] - 'a'), Answer: "refused"}
}

func TestWhatIsAsItShouldBeIsNoViolation(t *testing.T) {
	t.Parallel()
	require.Empty(t, chaos.Check(evidence()))
}

// broken is evidence against each rule. Each case changes one thing of what is as it should
// be.
var broken = []struct {
	name, rule string
	// index is the message's, -1 the batch's.
	index  int
	change func(e *chaos.Evidence, b *chaos.Batch)
}{
	{"a batch that never ends", "ended", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Open = "still open" }},
	{"a batch whose last state is not an end", "ended", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Final.State = message.BatchRunning }},
	{"a status on the way that does not add up", "counts", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Polls[0].Counts[message.Sent]++ }},
	{"a status on the way without counts", "counts", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Polls[0].Counts = nil }},
	{"a status of another number of messages", "counts", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Polls[0].Total = 4 }},
	{"a last status that does not add up", "counts", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Final.Counts[message.Sent]++ }},
	{"a last status that is not what the results are", "counts", -1, func(_ *chaos.Evidence, b *chaos.Batch) {
		b.Final.Counts[message.Sent], b.Final.Counts[message.Failed] = 2, 0
	}},
	{"a message without a row", "rows", 2, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows = b.Rows[:2] }},
	{"a message with two rows", "rows", 1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows = append(b.Rows, b.Rows[1]) }},
	{"a row of no message", "rows", 7, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[1].Index = 7 }},
	{"a row that has not ended", "rows", 1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[1].State = message.Retrying }},
	{"a row of another message", "rows", 1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[1].Reference = b.Rows[0].Reference }},
	{"sent, and the sink has it not", "sent", 0, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests = e.Requests[1:] }},
	{"sent, and the sink refused it", "sent", 0, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[0].Accepted = false }},
	{"failed, and the sink has it", "lost", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[1].Accepted = true }},
	{"canceled, and the sink has it", "lost", 2, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests = append(e.Requests, sent("c", time.Second)) }},
	{"taken twice", "twice", 0, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests = append(e.Requests, sent("a", 2*time.Second)) }},
	{"taken once more by a redrive", "twice", 0, func(e *chaos.Evidence, _ *chaos.Batch) {
		again := sent("a", 2*time.Second)
		again.ID, again.Batch = "another", "b-again"
		e.Requests = append(e.Requests, again)
	}},
	{"before it is due", "early", 0, func(e *chaos.Evidence, _ *chaos.Batch) {
		e.Requests[0].Arrived = noon.Add(-2 * time.Second)
	}},
	{"before the time to which it was moved", "early", 0, func(_ *chaos.Evidence, b *chaos.Batch) {
		moved := noon.Add(time.Minute)
		b.Reschedules, b.Rows[0].DueAt = []chaos.Reschedule{{At: moved}}, &moved
	}},
	{"after its validity", "late", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[1].Stamped = noon.Add(time.Hour + 2*time.Second) }},
	{"after the validity that a confirmed reschedule gave it", "late", 1, func(e *chaos.Evidence, b *chaos.Batch) {
		e.Requests[1].Stamped, b.Rows[1].ExpiresAt = noon.Add(time.Hour+12*time.Second), nil
		b.Reschedules = []chaos.Reschedule{{At: noon.Add(5 * time.Second), Answered: noon.Add(10 * time.Second), Confirmed: true}}
		b.Cancels = nil
	}},
	{"expired before its validity ends", "expired early", 1, func(_ *chaos.Evidence, b *chaos.Batch) {
		b.Rows[1].State = message.Expired
	}},
	{"a receipt of the sink's for no message", "receipt", 0, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[0].ProviderID = "made up" }},
	{"unknown, and nobody asked", "resolved", 0, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[0].State, b.Cancels = message.Unknown, nil }},
	{"more requests than attempts", "attempts", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests = append(e.Requests, refused("b", 2*time.Second)) }},
	{"sets that leave out a message", "cancel sets", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Cancels[0].Result.Counts.Sent = 0 }},
	{"a list that is shorter than its count", "cancel sets", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Cancels[0].Result.Ended = []string{} }},
	{"a message in two sets", "cancel sets", 0, func(_ *chaos.Evidence, b *chaos.Batch) { b.Cancels[0].Result.Ended[0] = "id-a" }},
	{"a set with a message of nobody", "cancel sets", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Cancels[0].Result.Ended[0] = "other" }},
	{"ended by the cancel, and it failed", "cancel sets", 2, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[2].State = message.Failed }},
	{"sent before the cancel, and it failed", "cancel sets", 0, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[0].State = message.Failed }},
	{"canceled by nobody", "cancel sets", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Rows[1].State = message.Canceled }},
	{"in flight long before it was due", "cancel sets", 2, func(_ *chaos.Evidence, b *chaos.Batch) {
		inFlight(b, "id-c")
		b.Messages[2].Due = noon.Add(time.Minute)
	}},
	{"a request after the cancel", "cancel", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[1].Stamped = noon.Add(11 * time.Second) }},
	{"two requests after the cancel of what was in flight", "cancel", 2, func(e *chaos.Evidence, b *chaos.Batch) {
		inFlight(b, "id-c")
		e.Requests = append(e.Requests, refused("c", 11*time.Second), refused("c", 12*time.Second))
	}},
	{"a batch that goes on after the cancel of all", "cancel", -1, func(_ *chaos.Evidence, b *chaos.Batch) { b.Cancels[0].Named = nil }},
	{"a request while the batch is paused", "pause", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[1].Stamped = noon.Add(5500 * time.Millisecond) }},
	{"a request through an account that is held", "hold", 1, func(e *chaos.Evidence, _ *chaos.Batch) { e.Requests[1].Stamped = noon.Add(8500 * time.Millisecond) }},
}

// inFlight makes a message one that was in flight when the batch was canceled.
func inFlight(b *chaos.Batch, id string) {
	res := &b.Cancels[0].Result
	res.Canceled, res.InFlight = []string{}, []string{id}
	res.Counts.Canceled, res.Counts.InFlight = 0, 1
}

func TestEachBrokenPromiseIsAViolation(t *testing.T) {
	t.Parallel()
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := evidence()
			c.change(e, &e.Batches[0])
			found := chaos.Check(e)
			i := slices.IndexFunc(found, func(v chaos.Violation) bool { return v.Rule == c.rule && v.Index == c.index })
			require.GreaterOrEqual(t, i, 0, "%+v", found)
			require.Equal(t, "b", found[i].Batch)
			require.NotEmpty(t, found[i].Evidence)
		})
	}
}

func TestEachRuleIsBrokenByATest(t *testing.T) {
	t.Parallel()
	for _, rule := range chaos.Rules() {
		require.True(t, slices.ContainsFunc(broken, func(c struct {
			name, rule string
			index      int
			change     func(e *chaos.Evidence, b *chaos.Batch)
		},
		) bool {
			return c.rule == rule
		}), rule)
	}
}

func TestWhatIsAllowedIsNoViolation(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(e *chaos.Evidence, b *chaos.Batch){
		"a message sent again where that was asked for": func(e *chaos.Evidence, b *chaos.Batch) {
			b.Account, b.Rows[0].Attempts = "resend", 2
			e.Requests = append(e.Requests, sent("a", 2*time.Second))
		},
		"unknown where nobody can be asked": func(e *chaos.Evidence, b *chaos.Batch) {
			e.Accounts["asked"] = chaos.Account{}
			b.Rows[1].State = message.Unknown
			b.Final.Counts[message.Failed], b.Final.Counts[message.Unknown] = 0, 1
		},
		"taken and unknown, as Temporal ended the batch": func(_ *chaos.Evidence, b *chaos.Batch) {
			b.Terminated, b.Cancels, b.Final.State = true, nil, message.BatchFailed
			b.Rows[0].State = message.Unknown
			b.Final.Counts[message.Sent], b.Final.Counts[message.Unknown] = 0, 1
		},
		"a question is no attempt": func(e *chaos.Evidence, _ *chaos.Batch) {
			q := refused("b", 11*time.Second)
			q.Question = true
			e.Requests = append(e.Requests, q)
		},
		"one request after the cancel of what was in flight": func(e *chaos.Evidence, b *chaos.Batch) {
			inFlight(b, "id-c")
			b.Rows[2].Attempts = 1
			e.Requests = append(e.Requests, refused("c", 11*time.Second))
		},
		"a reschedule that was taken in after its time": func(e *chaos.Evidence, b *chaos.Batch) {
			moved := noon.Add(time.Hour + 10*time.Second)
			e.Requests[1].Stamped, b.Rows[1].ExpiresAt, b.Cancels = moved, &moved, nil
			b.Reschedules = []chaos.Reschedule{{At: noon.Add(5 * time.Second), Answered: noon.Add(10 * time.Second)}}
		},
		"a cancel that nobody confirmed": func(e *chaos.Evidence, b *chaos.Batch) {
			b.Cancels[0].Result = message.CancelResult{}
			e.Requests[1].Stamped = noon.Add(11 * time.Second)
		},
		"what had left before the pause": func(e *chaos.Evidence, b *chaos.Batch) {
			b.Pauses[0].InFlight = []string{"id-b"}
			e.Requests[1].Stamped = noon.Add(5500 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := evidence()
			change(e, &e.Batches[0])
			require.Empty(t, chaos.Check(e))
		})
	}
}
