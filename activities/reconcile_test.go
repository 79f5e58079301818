package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func question() contract.ReconcileInput {
	in := input()
	return contract.ReconcileInput{
		V: message.Version, Send: in, Since: in.Due, Until: in.Due + 10_000, Taken: []string{"p-7", "p-8"},
	}
}

func answering(a provider.Answer, err error) *asker {
	return &asker{tell: func(context.Context, provider.Query) (provider.Answer, error) { return a, err }}
}

func TestWhatAProviderKnowsIsAVerdict(t *testing.T) {
	t.Parallel()
	later := &provider.Error{Kind: provider.Throttled, Code: "http_429", Detail: "slow down", RetryAfter: 7 * time.Second}
	for name, c := range map[string]struct {
		s    provider.Sender
		want contract.ReconcileResult
	}{
		"found": {
			answering(provider.Answer{Verdict: provider.Found, Receipt: message.Receipt{ProviderID: "p-9"}}, nil),
			contract.ReconcileResult{Verdict: "found", ProviderID: "p-9"},
		},
		"absent": {answering(provider.Answer{Verdict: provider.Absent}, nil), contract.ReconcileResult{Verdict: "absent"}},
		"cannot tell": {
			answering(provider.Answer{Detail: "two could be it"}, nil),
			contract.ReconcileResult{Verdict: "cannot_tell", Detail: "two could be it"},
		},
		"a verdict of no known kind": {answering(provider.Answer{Verdict: 9}, nil), contract.ReconcileResult{Verdict: "cannot_tell"}},
		"not answered": {
			answering(provider.Answer{}, later),
			contract.ReconcileResult{Verdict: "later", Code: "http_429", Detail: "slow down", RetryAfter: 7000},
		},
		"refused for good": {
			answering(provider.Answer{}, &provider.Error{Kind: provider.Unauthorized, Code: "http_401", Detail: "no"}),
			contract.ReconcileResult{Verdict: "later", Code: "http_401", Detail: "no"},
		},
		"no way to ask": {&sender{}, contract.ReconcileResult{Verdict: "cannot_tell", Detail: "the provider has no way to ask"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": c.s}}).Reconcile, question())
				require.NoError(t, err)
				c.want.V, c.want.At = message.Version, time.Now().UnixMilli()
				require.Equal(t, c.want, res)
			})
		})
	}
}

func TestAQuestionToAnAccountThatTheWorkerDoesNotHaveWaits(t *testing.T) {
	t.Parallel()
	res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{}}).Reconcile, question())
	require.NoError(t, err)
	require.Equal(t, contract.VerdictLater, res.Verdict)
	require.Equal(t, "no_account", res.Code)
}

func TestAForeignErrorOfAQuestionIsNotShown(t *testing.T) {
	t.Parallel()
	s := answering(provider.Answer{}, errors.New("GET https://user:hunter2@example.com: boom"))
	res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": s}}).Reconcile, question())
	require.NoError(t, err)
	require.Equal(t, contract.VerdictLater, res.Verdict)
	raw, err := json.Marshal(res)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "hunter2")
}

func TestContentThatCannotBeFilledInCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	in, asked := question(), false
	in.Send.Message.Params = nil
	s := &asker{tell: func(context.Context, provider.Query) (provider.Answer, error) {
		asked = true
		return provider.Answer{}, nil
	}}
	res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": s}}).Reconcile, in)
	require.NoError(t, err)
	require.Equal(t, contract.VerdictCannotTell, res.Verdict)
	require.Equal(t, message.CodeParameter, res.Code)
	require.False(t, asked)
}

func TestAQuestionNamesTheMessageAndItsTime(t *testing.T) {
	t.Parallel()
	in := question()
	var got provider.Query
	s := &asker{tell: func(_ context.Context, q provider.Query) (provider.Answer, error) {
		got = q
		return provider.Answer{Verdict: provider.Absent}, nil
	}}
	_, err := execute(t, environment{workflow: "batch-acme/spring"}, activities.New(activities.Options{Senders: accounts{"hook": s}}).Reconcile, in)
	require.NoError(t, err)
	require.Equal(t, message.KeyOf("batch-acme/spring").MessageID(7), got.Message.ID)
	require.Equal(t, "acme", got.Message.Tenant)
	require.JSONEq(t, `{"text":"Hi Ann","x":[1]}`, string(got.Message.Content))
	require.Equal(t, time.UnixMilli(in.Since), got.Since)
	require.Equal(t, time.UnixMilli(in.Until), got.Until)
	require.Equal(t, []string{"p-7", "p-8"}, got.Taken)
	require.Zero(t, s.requests(), "a question is no attempt")
}

func TestAQuestionTakesAtMostTwentySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &asker{tell: func(ctx context.Context, _ provider.Query) (provider.Answer, error) {
			<-ctx.Done()
			return provider.Answer{}, &provider.Error{Kind: provider.Ambiguous, Code: provider.CodeTimeout}
		}}
		res, err := execute(t, environment{}, activities.New(activities.Options{Senders: accounts{"hook": s}}).Reconcile, question())
		require.NoError(t, err)
		require.Equal(t, contract.VerdictLater, res.Verdict)
		require.Equal(t, 20*time.Second, time.Since(began))
	})
}
