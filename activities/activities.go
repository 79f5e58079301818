package activities

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/health"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/sabotage"
	"volley/internal/store"
	"volley/internal/tracing"
	"volley/workflows/contract"
)

// Times of a request.
const (
	// requestLimit is the longest that one request may take.
	requestLimit = 10 * time.Second
	// margin is what must be left of an attempt's StartToClose beyond the request,
	// to report its answer.
	margin = 5 * time.Second
)

// Senders finds the sender of an account; *provider.Registry is one.
type Senders interface {
	Sender(account string) (provider.Sender, bool)
}

// Heartbeater reports that an activity goes on, and returns when the server has
// taken the report; client.Client is one.
type Heartbeater interface {
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
}

// Options are what the activities of one process work with. The zero value knows
// no account and no large batch.
type Options struct {
	Senders Senders
	// Accounts bound the requests of an account in this process. One that is not
	// among them has the concurrency of an account that gives none, and no rate.
	Accounts []provider.Account
	// Store holds large batches; nil is none.
	Store *store.Store
	// Heartbeats are those of groups. Without it no group sends anything.
	Heartbeats Heartbeater
	// Reports brings delivery reports to batches; nil is nobody, and they wait for
	// another worker.
	Reports ReportRouter
	// Segments reaches the segments of large batches; nil leaves that to other workers.
	Segments Segments
	// Changes and Poster deliver callbacks; without both none are delivered.
	Changes Changes
	Poster  Poster
	// Suppressions know who wants no messages; nil is nobody.
	Suppressions Suppressions
	// Health keeps what is in flight and what accounts answer; nil is nobody.
	Health *health.Recorder
	// ServerNow is the time of the Temporal server, against which due times, validity and
	// the ends of attempts count; nil is this machine's.
	ServerNow func() time.Time
}

// Activities holds what the activities of one worker process share.
type Activities struct {
	Segments
	senders       Senders
	limiters      map[string]*accountLimiter
	otherAccounts *accountLimiter
	store         *store.Store
	heartbeats    Heartbeater
	reports       ReportRouter
	changes       Changes
	poster        Poster
	holds         *holds
	suppressions  Suppressions
	health        *health.Recorder
	// now is for durations within this process, serverNow for times that come from
	// workflows and from the server.
	now, serverNow func() time.Time
	// draining ends with drain.
	draining context.Context
	drain    context.CancelFunc
}

// New returns the activities. Every account may use its whole rate until Share
// says how many processes there are.
func New(o Options) *Activities {
	a := &Activities{
		Segments: o.Segments, senders: o.Senders, limiters: map[string]*accountLimiter{}, otherAccounts: newAccountLimiter(provider.Account{}),
		store: o.Store, heartbeats: o.Heartbeats, reports: o.Reports, changes: o.Changes, poster: o.Poster, suppressions: o.Suppressions, health: o.Health, now: time.Now,
	}
	if a.Segments == nil {
		a.Segments = noSegments{}
	}
	if a.serverNow = o.ServerNow; a.serverNow == nil {
		a.serverNow = func() time.Time { return a.now() }
	}
	for _, account := range o.Accounts {
		a.limiters[account.Name] = newAccountLimiter(account)
	}
	a.holds = newHolds(a.serverNow)
	a.draining, a.drain = context.WithCancel(context.Background())
	return a
}

// Send makes one attempt. Whatever the provider answers is a result; an error
// means that this package could not run, and the attempt then counts as one whose
// outcome is not known. Once the request is under way neither a cancel nor a
// worker that stops takes it back, so that its answer is not lost.
func (a *Activities) Send(ctx context.Context, in contract.SendInput) (contract.SendResult, error) {
	measure := measureOf(ctx, in.Account)
	res := a.send(ctx, in, measure)
	res.V, res.At = message.Version, a.serverNow().UnixMilli()
	measure.attempt(res.Kind)
	if in.Breaker && res.Kind != contract.KindNotStarted && res.Kind != contract.KindExpired {
		a.health.Probed(in.Account, res.Kind == string(provider.Unavailable))
	}
	if tracing.Active(ctx) {
		tracing.Set(ctx, tracing.Account.String(in.Account), tracing.Index.Int(in.Index), tracing.Attempt.Int(in.Attempt), tracing.Outcome.String(res.Kind))
	}
	return res, nil
}

func (a *Activities) send(ctx context.Context, in contract.SendInput, measure measure) contract.SendResult {
	limiter := a.limiter(in.Account)
	sender, out, fault := a.waitTurn(ctx, limiter, &in)
	if fault != nil {
		return *fault
	}
	defer limiter.release()
	facts := factsOf(ctx, in.Account, in.Metadata)
	if held := a.holds.passes(facts, in.Probe); held != nil {
		return *held
	}
	if barred := a.barred(facts.Tenant, &out); barred != nil {
		return *barred
	}
	looked := a.now()
	limit := a.limit(out.ExpiresAt)
	if limit <= 0 {
		return contract.SendResult{Kind: contract.KindExpired}
	}
	if a.until(endsOf(ctx)) < limit+margin {
		return contract.SendResult{Kind: contract.KindNotStarted}
	}
	if in.Attempt == 1 {
		measure.first(&out, a.serverNow())
	} else {
		measure.retries.Inc(1)
	}
	if sabotage.Active(sabotage.Retry) && in.Attempt > 1 {
		a.request(context.WithoutCancel(ctx), in.Account, sender, out, looked.Add(limit), measure)
	}
	return a.request(context.WithoutCancel(ctx), in.Account, sender, out, looked.Add(limit), measure)
}

// waitTurn fills in the message and waits for its turn. Without a fault, the caller
// releases the limiter.
func (a *Activities) waitTurn(ctx context.Context, g *accountLimiter, in *contract.SendInput) (provider.Sender, message.Outgoing, *contract.SendResult) {
	defer Started(ctx)
	var out message.Outgoing
	if a.draining.Err() != nil {
		return nil, out, &contract.SendResult{Kind: contract.KindNotStarted}
	}
	sender, fault := a.sender(in.Account)
	if fault != nil {
		return nil, out, fault
	}
	if in.Expires <= a.serverNow().UnixMilli() {
		return nil, out, &contract.SendResult{Kind: contract.KindExpired}
	}
	patience, cancel := a.starting(ctx, a.until(endsOf(ctx))-requestLimit-margin)
	defer cancel()
	if out, fault = a.outgoing(patience, in); fault != nil {
		return nil, out, fault
	}
	facts := factsOf(ctx, in.Account, in.Metadata)
	if fault = a.passes(facts, in.Probe); fault != nil {
		return nil, out, fault
	}
	if !in.Probe {
		defer a.holds.watch(facts, cancel)()
	}
	if g.acquire(patience) != nil {
		if fault = a.passes(facts, in.Probe); fault != nil {
			return nil, out, fault
		}
		return nil, out, &contract.SendResult{Kind: contract.KindNotStarted}
	}
	return sender, out, nil
}

func (a *Activities) sender(account string) (provider.Sender, *contract.SendResult) {
	if a.senders != nil {
		if s, ok := a.senders.Sender(account); ok {
			return s, nil
		}
	}
	return nil, &contract.SendResult{Kind: string(provider.Unavailable), Code: "no_account", Detail: "this worker does not have the account"}
}

// limit is how long a request that begins now may take; it is not positive when
// the message's validity is over.
func (a *Activities) limit(expires time.Time) time.Duration {
	return min(requestLimit, expires.Sub(a.serverNow()))
}

// request makes a request through an account and tells what came of it. It ends by a time
// that the caller has counted from before the look whether it may leave: the process may
// stand still between that and the request.
func (a *Activities) request(ctx context.Context, account string, s provider.Sender, m message.Outgoing, by time.Time, measure measure) contract.SendResult {
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	began, left := a.now(), a.serverNow()
	ended := a.health.Began(account)
	receipt, err := attempt(ctx, s, m)
	measure.took(a.now().Sub(began))
	if err == nil {
		ended("")
		a.holds.answered(account, left, nil)
		return contract.SendResult{Kind: contract.KindSent, ProviderID: receipt.ProviderID}
	}
	e := asError(err)
	if sabotage.Active(sabotage.Doubt) && e.Kind == provider.Ambiguous {
		e.Kind = provider.Unavailable
	}
	code := e.Code
	if code == message.CodeSuppressed {
		code = codeProviderSuppressed
	}
	ended(cmp.Or(code, string(e.Kind)))
	held := a.holds.answered(account, left, e)
	return contract.SendResult{Kind: string(e.Kind), Code: code, Detail: e.Detail, RetryAfter: e.RetryAfter.Milliseconds(), Held: held}
}

// attempt makes the request. A sender that panics has broken its contract: nothing
// is known of the message then, and what it panicked with may hold anything.
func attempt(ctx context.Context, s provider.Sender, m message.Outgoing) (r message.Receipt, err error) {
	defer func() {
		if recover() != nil {
			r, err = message.Receipt{}, asError(errPanic)
		}
	}()
	return s.Send(ctx, m)
}

var errPanic = errors.New("the sender panicked")

// asError is a sender's error. One that is not a *provider.Error breaks the
// sender's contract; nothing is known of the message then.
func asError(err error) *provider.Error {
	var e *provider.Error
	if errors.As(err, &e) {
		return e
	}
	return &provider.Error{Kind: provider.Ambiguous, Code: "internal", Detail: "the sender failed in a way that it should not"}
}

// until is how long it is until the first of two times, of which one is by this machine's
// clock and the other by the server's.
func (a *Activities) until(ends [2]time.Time) time.Duration {
	return min(ends[0].Sub(a.now()), ends[1].Sub(a.serverNow()))
}

// endsOf are the times at which an attempt must have ended: the deadline of ctx counts
// from when this process looked at it, the other from when the server handed it out, as a
// process may have slept in between.
func endsOf(ctx context.Context) [2]time.Time {
	info := activity.GetInfo(ctx)
	return [2]time.Time{info.Deadline, info.StartedTime.Add(info.StartToCloseTimeout)}
}
