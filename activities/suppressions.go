package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

// Suppressions knows who wants no messages; *suppression.List is one.
type Suppressions interface {
	// Suppressed reports whether a tenant's messages to one of the addresses are not sent.
	// Phone numbers without a country code are those of a region; empty is nowhere.
	Suppressed(tenant, region string, addresses []string) bool
	// Unknown reports whether messages of a tenant wait since the list cannot be read, and
	// since when.
	Unknown(tenant string) (since time.Time, unknown bool)
}

// releaseAfter is how long a wait for the suppression list takes at least: another process
// may still be without it.
const releaseAfter = 2 * time.Second

// barred is the outcome of a message that is not to be sent now; nil lets it leave. It is
// asked right before each request.
func (a *Activities) barred(tenant string, m *message.Outgoing) *contract.SendResult {
	if m.To == message.ForgottenRecipient {
		return suppressed("the recipient was forgotten")
	}
	if a.suppressions == nil {
		return nil
	}
	if held := a.listUnknown(tenant); held != nil {
		return held
	}
	if a.suppressions.Suppressed(tenant, m.Region, message.Reachable(m.To, m.Phone, m.Addresses)) {
		return suppressed("the recipient is on the suppression list")
	}
	return nil
}

// suppressed is the outcome of a message whose recipient gets none.
func suppressed(why string) *contract.SendResult {
	return &contract.SendResult{Kind: string(provider.Rejected), Code: message.CodeSuppressed, Detail: why}
}

// codeProviderSuppressed is what a provider's own code of that name becomes: its request was
// made.
const codeProviderSuppressed = "provider_suppressed"

// passes lets an attempt go on that is neither held nor without a suppression list, or says
// what keeps it back.
func (a *Activities) passes(f contract.HoldFacts, probes bool) *contract.SendResult {
	if held := a.holds.passes(f, probes); held != nil {
		return held
	}
	return a.listUnknown(f.Tenant)
}

// listUnknown holds the messages of a tenant whose suppression list cannot be read.
func (a *Activities) listUnknown(tenant string) *contract.SendResult {
	if a.suppressions == nil {
		return nil
	}
	since, unknown := a.suppressions.Unknown(tenant)
	if !unknown {
		return nil
	}
	return heldBack(&contract.Hold{
		Selector: contract.Selector{Tenant: tenant}, By: message.HeldBySuppression,
		Reason: "the suppression list cannot be read", Since: since.UnixMilli(),
	})
}

// awaitSuppressions waits until this process has the suppression list of a batch's tenant.
func (a *Activities) awaitSuppressions(ctx context.Context) bool {
	tenant := batchRefOf(ctx).tenant
	ticker := time.NewTicker(releaseAfter)
	defer ticker.Stop()
	for {
		activity.RecordHeartbeat(ctx)
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		if a.listUnknown(tenant) == nil {
			return true
		}
	}
}
