package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
)

// Reconcile asks the provider about a doubtful attempt. Errors are as with Send.
func (a *Activities) Reconcile(ctx context.Context, in ReconcileInput) (ReconcileResult, error) {
	res := a.reconcile(ctx, in)
	res.V, res.At = message.Version, a.now().UnixMilli()
	activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": in.Send.Account, "verdict": res.Verdict}).
		Counter("volley_reconciles").Inc(1)
	return res, nil
}

func (a *Activities) reconcile(ctx context.Context, in ReconcileInput) ReconcileResult {
	sender, fault := a.sender(in.Send.Account)
	if fault != nil {
		return ReconcileResult{Verdict: VerdictLater, Code: fault.Code, Detail: fault.Detail}
	}
	asker, ok := sender.(provider.Reconciler)
	if !ok {
		return ReconcileResult{Verdict: VerdictCannotTell, Detail: "the provider has no way to ask"}
	}
	req, cancel := context.WithTimeout(ctx, 2*requestLimit)
	defer cancel()
	fault = a.read(req, &in.Send)
	if fault != nil && fault.Kind == KindNotStarted {
		return ReconcileResult{Verdict: VerdictLater, Code: message.CodeStore, Detail: fault.Detail}
	}
	var out message.Outgoing
	if fault == nil {
		out, fault = in.Send.outgoing(originOf(ctx))
	}
	if fault != nil {
		return ReconcileResult{Verdict: VerdictCannotTell, Code: fault.Code, Detail: fault.Detail}
	}
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
