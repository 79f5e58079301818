package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/sabotage"
	"volley/internal/tracing"
	"volley/workflows/contract"
)

// Reconcile asks the provider about a doubtful attempt. It waits for no turn. Errors
// are as with Send.
func (a *Activities) Reconcile(ctx context.Context, in contract.ReconcileInput) (contract.ReconcileResult, error) {
	Started(ctx)
	res := a.reconcile(ctx, in)
	res.V, res.At = message.Version, a.serverNow().UnixMilli()
	activity.GetMetricsHandler(ctx).WithTags(map[string]string{"account": in.Send.Account, "verdict": res.Verdict}).
		Counter("volley_reconciles").Inc(1)
	if tracing.Active(ctx) {
		tracing.Set(ctx, tracing.Account.String(in.Send.Account), tracing.Index.Int(in.Send.Index), tracing.Outcome.String(res.Verdict))
	}
	return res, nil
}

func (a *Activities) reconcile(ctx context.Context, in contract.ReconcileInput) contract.ReconcileResult {
	sender, fault := a.sender(in.Send.Account)
	if fault != nil {
		return contract.ReconcileResult{Verdict: contract.VerdictLater, Code: fault.Code, Detail: fault.Detail}
	}
	if sabotage.Active(sabotage.Reconcile) {
		return contract.ReconcileResult{Verdict: contract.VerdictAbsent}
	}
	asker, ok := sender.(provider.Reconciler)
	if !ok {
		return contract.ReconcileResult{Verdict: contract.VerdictCannotTell, Detail: "the provider has no way to ask"}
	}
	req, cancel := context.WithTimeout(ctx, 2*requestLimit)
	defer cancel()
	out, fault := a.outgoing(req, &in.Send)
	if fault != nil && fault.Kind == contract.KindNotStarted {
		return contract.ReconcileResult{Verdict: contract.VerdictLater, Code: message.CodeStore, Detail: fault.Detail}
	}
	if fault != nil {
		return contract.ReconcileResult{Verdict: contract.VerdictCannotTell, Code: fault.Code, Detail: fault.Detail}
	}
	answer, err := asker.Reconcile(req, provider.Query{
		Message: out, Since: time.UnixMilli(in.Since), Until: time.UnixMilli(in.Until), Taken: in.Taken,
	})
	if err != nil {
		e := asError(err)
		return contract.ReconcileResult{Verdict: contract.VerdictLater, Code: e.Code, Detail: e.Detail, RetryAfter: e.RetryAfter.Milliseconds()}
	}
	res := contract.ReconcileResult{Verdict: contract.VerdictCannotTell, Detail: answer.Detail}
	switch answer.Verdict {
	case provider.Found:
		res.Verdict, res.ProviderID = contract.VerdictFound, answer.Receipt.ProviderID
	case provider.Absent:
		res.Verdict = contract.VerdictAbsent
	}
	return res
}
