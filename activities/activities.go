package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/time/rate"

	"volley/internal/message"
	"volley/internal/provider"
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

// Activities holds what the activities of one worker process share.
type Activities struct {
	senders Senders
	limits  map[string]*rate.Limiter
	now     func() time.Time
}

// New returns the activities for the accounts that senders knows. limits spaces
// the requests of an account within this process; an account without one is not
// slowed.
func New(senders Senders, limits map[string]*rate.Limiter) *Activities {
	return &Activities{senders: senders, limits: limits, now: time.Now}
}

// Send makes one attempt. Whatever the provider answers is a result; an error
// means that this package could not run, and the attempt then counts as one whose
// outcome is not known. Once the request is under way neither a cancel nor a
// worker that stops takes it back, so that its answer is not lost.
func (a *Activities) Send(ctx context.Context, in SendInput) (SendResult, error) {
	res := a.send(ctx, in)
	res.V, res.At = message.Version, a.now().UnixMilli()
	a.observe(ctx, in, res)
	return res, nil
}

func (a *Activities) send(ctx context.Context, in SendInput) SendResult {
	sender, ok := a.senders.Sender(in.Account)
	if !ok {
		return SendResult{Kind: string(provider.Unavailable), Code: "no_account", Detail: "this worker does not have the account"}
	}
	out, fault := in.outgoing(ctx)
	if fault != nil {
		return *fault
	}
	if fault := a.wait(ctx, in); fault != nil {
		return *fault
	}
	limit := min(requestLimit, time.UnixMilli(in.Expires).Sub(a.now()))
	if limit <= 0 {
		return SendResult{Kind: KindExpired}
	}
	if a.left(ctx) < limit+margin {
		return SendResult{Kind: KindNotStarted}
	}
	req, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	began := a.now()
	measure := activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": in.Account})
	if in.Attempt == 1 {
		measure.Timer("volley_lateness").Record(max(began.Sub(time.UnixMilli(in.Due)), 0))
	}
	receipt, err := attempt(req, sender, out)
	measure.Timer("volley_send_latency").Record(a.now().Sub(began))
	if err == nil {
		return SendResult{Kind: KindSent, ProviderID: receipt.ProviderID}
	}
	e := asError(err)
	return SendResult{Kind: string(e.Kind), Code: e.Code, Detail: e.Detail, RetryAfter: e.RetryAfter.Milliseconds()}
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

// wait spaces the account's requests in this process. The server's own rate for
// the queue is what holds across workers; this only evens it out.
func (a *Activities) wait(ctx context.Context, in SendInput) *SendResult {
	l := a.limits[in.Account]
	if l == nil {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, max(a.left(ctx)-requestLimit-margin, 0))
	defer cancel()
	if err := l.Wait(patience); err != nil {
		return &SendResult{Kind: KindNotStarted}
	}
	return nil
}

// left is how long the attempt may still take, from when the server handed it
// out: the deadline of ctx counts from when this process looked at it, and a
// process may have slept in between.
func (a *Activities) left(ctx context.Context) time.Duration {
	info := activity.GetInfo(ctx)
	return min(info.Deadline.Sub(a.now()), info.StartedTime.Add(info.StartToCloseTimeout).Sub(a.now()))
}

// Reconcile asks the provider about a doubtful attempt. Errors are as with Send.
func (a *Activities) Reconcile(ctx context.Context, in ReconcileInput) (ReconcileResult, error) {
	res := a.reconcile(ctx, in)
	res.V, res.At = message.Version, a.now().UnixMilli()
	activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": in.Send.Account, "verdict": res.Verdict}).
		Counter("volley_reconciles").Inc(1)
	return res, nil
}

func (a *Activities) reconcile(ctx context.Context, in ReconcileInput) ReconcileResult {
	sender, ok := a.senders.Sender(in.Send.Account)
	if !ok {
		return ReconcileResult{Verdict: VerdictLater, Code: "no_account", Detail: "this worker does not have the account"}
	}
	asker, ok := sender.(provider.Reconciler)
	if !ok {
		return ReconcileResult{Verdict: VerdictCannotTell, Detail: "the provider has no way to ask"}
	}
	out, fault := in.Send.outgoing(ctx)
	if fault != nil {
		return ReconcileResult{Verdict: VerdictCannotTell, Code: fault.Code, Detail: fault.Detail}
	}
	req, cancel := context.WithTimeout(ctx, 2*requestLimit)
	defer cancel()
	answer, err := asker.Reconcile(req, provider.Query{
		Message: out, Since: time.UnixMilli(in.Since), Until: time.UnixMilli(in.Until), Taken: in.Taken,
	})
	if err != nil {
		e := asError(err)
		return ReconcileResult{Verdict: VerdictLater, Code: e.Code, Detail: e.Detail, RetryAfter: e.RetryAfter.Milliseconds()}
	}
	res := ReconcileResult{Verdict: VerdictCannotTell, Detail: answer.Detail}
	switch answer.Verdict {
	case provider.Found:
		res.Verdict, res.ProviderID = VerdictFound, answer.Receipt.ProviderID
	case provider.Absent:
		res.Verdict = VerdictAbsent
	}
	return res
}

// asError is a sender's error. One that is not a *provider.Error breaks the
// sender's contract; nothing is known of the message then.
func asError(err error) *provider.Error {
	var e *provider.Error
	if errors.As(err, &e) {
		return e
	}
	return &provider.Error{Kind: provider.Ambiguous, Code: "internal", Detail: "the sender failed in a way that it should not"}
}

// outgoing fills in the message's content.
func (in SendInput) outgoing(ctx context.Context) (message.Outgoing, *SendResult) {
	content, text, err := in.Template.Render(&in.Message)
	if err != nil {
		code := message.CodeFormat
		var p *message.ParameterError
		if errors.As(err, &p) {
			code = message.CodeParameter
		}
		return message.Outgoing{}, &SendResult{Kind: string(provider.Invalid), Code: code, Detail: message.Clip(err.Error(), message.MaxDetail)}
	}
	workflowID := activity.GetInfo(ctx).WorkflowExecution.ID
	tenant, batch, _ := message.ParseWorkflowID(workflowID)
	m := message.Outgoing{
		ID:    message.KeyOf(message.WorkflowID(tenant, batch)).MessageID(in.Index),
		Batch: batch, Tenant: tenant, Dialect: in.Dialect, Index: in.Index,
		To: in.Message.To, Reference: in.Message.Reference, Metadata: in.Message.Metadata,
		Channels: in.Channels, Content: content, Text: text,
		Due: time.UnixMilli(in.Due), ExpiresAt: time.UnixMilli(in.Expires), Twin: in.Message.Twin,
	}
	if m.Metadata == nil {
		m.Metadata = in.Metadata
	}
	return m, nil
}

// observe counts an attempt.
func (a *Activities) observe(ctx context.Context, in SendInput, res SendResult) {
	activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": in.Account, "kind": res.Kind}).
		Counter("volley_attempts").Inc(1)
}
