package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func refusing(err error) *sender {
	return &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
		return message.Receipt{}, err
	}}
}

func TestWhateverAProviderAnswersIsAResult(t *testing.T) {
	t.Parallel()
	refusal := func(k provider.Kind, after time.Duration) error {
		return &provider.Error{Kind: k, Code: "E1", Detail: "why", RetryAfter: after}
	}
	for name, c := range map[string]struct {
		s    *sender
		want contract.SendResult
	}{
		"taken":        {&sender{}, contract.SendResult{Kind: "sent", ProviderID: "p-1"}},
		"invalid":      {refusing(refusal(provider.Invalid, 0)), contract.SendResult{Kind: "invalid", Code: "E1", Detail: "why"}},
		"rejected":     {refusing(refusal(provider.Rejected, 0)), contract.SendResult{Kind: "rejected", Code: "E1", Detail: "why"}},
		"unauthorized": {refusing(refusal(provider.Unauthorized, 0)), contract.SendResult{Kind: "unauthorized", Code: "E1", Detail: "why"}},
		"throttled": {
			refusing(refusal(provider.Throttled, 90*time.Second)),
			contract.SendResult{Kind: "throttled", Code: "E1", Detail: "why", RetryAfter: 90_000},
		},
		"unavailable": {
			refusing(refusal(provider.Unavailable, 1500*time.Millisecond)),
			contract.SendResult{Kind: "unavailable", Code: "E1", Detail: "why", RetryAfter: 1500},
		},
		"ambiguous":         {refusing(refusal(provider.Ambiguous, 0)), contract.SendResult{Kind: "ambiguous", Code: "E1", Detail: "why"}},
		"an error in other": {refusing(fmt.Errorf("around: %w", refusal(provider.Rejected, 0))), contract.SendResult{Kind: "rejected", Code: "E1", Detail: "why"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				res := attempt(t, environment{}, c.s, input())
				c.want.V, c.want.At = message.Version, time.Now().UnixMilli()
				require.Equal(t, c.want, res)
				require.Equal(t, 1, c.s.requests())
			})
		})
	}
}

// What a sender says that breaks its contract is neither trusted nor shown: it
// may hold a credential, and a history keeps it.
func TestAForeignErrorIsADoubtAndIsNotShown(t *testing.T) {
	t.Parallel()
	res := attempt(t, environment{}, refusing(errors.New("POST https://user:hunter2@example.com: boom")), input())
	require.Equal(t, "ambiguous", res.Kind)
	require.Equal(t, "internal", res.Code)
	raw, err := json.Marshal(res)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "hunter2")
}

func TestAPanicOfASenderLeavesTheMessageInDoubtAndSaysNothing(t *testing.T) {
	t.Parallel()
	s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) { panic("a secret") }}
	res := attempt(t, environment{}, s, input())
	require.Equal(t, "ambiguous", res.Kind)
	require.Equal(t, "internal", res.Code)
	require.NotContains(t, res.Detail, "secret")
	require.Equal(t, 1, s.requests())
}

func TestAnAccountThatTheWorkerDoesNotHaveIsUnavailable(t *testing.T) {
	t.Parallel()
	in := input()
	in.Account = "gone"
	res := attempt(t, environment{}, &sender{}, in)
	require.Equal(t, "unavailable", res.Kind)
	require.Equal(t, "no_account", res.Code)
}

func TestContentThatCannotBeFilledInIsInvalid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*contract.SendInput)
		code  string
	}{
		"a parameter without a value": {func(in *contract.SendInput) { in.Message.Params = nil }, message.CodeParameter},
		"a body that is no object":    {func(in *contract.SendInput) { in.Message.Body = json.RawMessage(`[1]`) }, message.CodeFormat},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, s := input(), &sender{}
			c.spoil(&in)
			res := attempt(t, environment{}, s, in)
			require.Equal(t, "invalid", res.Kind)
			require.Equal(t, c.code, res.Code)
			require.NotEmpty(t, res.Detail)
			require.LessOrEqual(t, len(res.Detail), message.MaxDetail)
			require.Zero(t, s.requests())
		})
	}
}

func TestTheSenderGetsTheMessageFilledIn(t *testing.T) {
	t.Parallel()
	in, s := input(), &sender{}
	in.Channels = []string{"SMS", "WHATSAPP"}
	in.Message.Reference = "c-1"
	in.Message.Metadata, in.Metadata = json.RawMessage(`{"own":1}`), json.RawMessage(`{"batch":1}`)
	attempt(t, environment{}, s, in)
	require.Equal(t, []message.Outgoing{{
		ID: message.KeyOf("batch-b").MessageID(7), Batch: "b", Tenant: "default", Dialect: "volley", Index: 7,
		To: "+15550001111", Reference: "c-1", Metadata: json.RawMessage(`{"own":1}`), Channels: []string{"SMS", "WHATSAPP"},
		Content: json.RawMessage(`{"text":"Hi Ann","x":[1]}`), Text: "Hi Ann",
		Due: time.UnixMilli(in.Due), ExpiresAt: time.UnixMilli(in.Expires),
	}}, s.seen)
}

func TestAMessageWithoutMetadataHasItsBatchs(t *testing.T) {
	t.Parallel()
	in, s := input(), &sender{}
	in.Metadata = json.RawMessage(`{"batch":1}`)
	attempt(t, environment{}, s, in)
	require.JSONEq(t, `{"batch":1}`, string(s.seen[0].Metadata))
}

func TestIdsFollowFromTheWorkflowsId(t *testing.T) {
	t.Parallel()
	for workflowID, want := range map[string]message.Outgoing{
		"batch-spring":           {Tenant: "default", Batch: "spring", ID: message.KeyOf("batch-spring").MessageID(7)},
		"batch-acme/spring":      {Tenant: "acme", Batch: "spring", ID: message.KeyOf("batch-acme/spring").MessageID(7)},
		"batch-acme/spring~0003": {Tenant: "acme", Batch: "spring", ID: message.KeyOf("batch-acme/spring").MessageID(7)},
	} {
		t.Run(workflowID, func(t *testing.T) {
			t.Parallel()
			s := &sender{}
			attempt(t, environment{workflow: workflowID}, s, input())
			got := s.seen[0]
			require.Equal(t, want, message.Outgoing{Tenant: got.Tenant, Batch: got.Batch, ID: got.ID})
		})
	}
}
