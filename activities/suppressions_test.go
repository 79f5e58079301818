package activities_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

// listing is a suppression list of one tenant.
type listing struct {
	tenant     string
	recipients []string
	unknown    bool
}

func (l *listing) Suppressed(tenant, _ string, addresses []string) bool {
	return tenant == l.tenant && slices.ContainsFunc(addresses, func(a string) bool { return slices.Contains(l.recipients, a) })
}

func (l *listing) Unknown(tenant string) (time.Time, bool) {
	return time.Now(), tenant == l.tenant && l.unknown
}

func TestASuppressedRecipientGetsNoRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		list   *listing
		change func(in *contract.SendInput)
		want   string
	}{
		"on the list":    {&listing{tenant: "default", recipients: []string{"+1555"}}, nil, message.CodeSuppressed},
		"another's list": {&listing{tenant: "acme", recipients: []string{"+1555"}}, nil, ""},
		"a further address": {&listing{tenant: "default", recipients: []string{"ann"}}, func(in *contract.SendInput) {
			in.Message.Addresses = []message.Address{{Value: "+1555"}, {Value: "ann"}}
		}, message.CodeSuppressed},
		"a probe":            {&listing{tenant: "default", recipients: []string{"+1555"}}, func(in *contract.SendInput) { in.Probe = true }, message.CodeSuppressed},
		"forgotten":          {&listing{}, func(in *contract.SendInput) { in.Message.To = message.ForgottenRecipient }, message.CodeSuppressed},
		"unknown":            {&listing{tenant: "default", unknown: true}, nil, message.CodeHeld},
		"unknown to another": {&listing{tenant: "acme", unknown: true}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sender{}
			a := activities.New(activities.Options{Senders: accounts{"hook": s}, Suppressions: tt.list})
			in := input()
			in.Message.To = "+1555"
			if tt.change != nil {
				tt.change(&in)
			}
			res, err := execute(t, environment{}, a.Send, in)
			require.NoError(t, err)
			require.Equal(t, tt.want, res.Code)
			switch tt.want {
			case "":
				require.Equal(t, contract.KindSent, res.Kind)
				return
			case message.CodeSuppressed:
				require.True(t, res.Suppressed())
			case message.CodeHeld:
				require.Equal(t, contract.KindNotStarted, res.Kind)
				require.Equal(t, message.HeldBySuppression, res.Held.By)
			}
			require.Zero(t, s.requests())
		})
	}
}

func TestAProvidersOwnCodeIsNoSuppression(t *testing.T) {
	t.Parallel()
	s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
		return message.Receipt{}, &provider.Error{Kind: provider.Rejected, Code: message.CodeSuppressed}
	}}
	res := attempt(t, environment{}, s, input())
	require.False(t, res.Suppressed(), "a request was made")
	require.Equal(t, "provider_suppressed", res.Code)
}
