package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/starter"
)

func TestATenantHoldsItsOwnMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, call, body string
		operator         bool
		status           int
		want             any
	}{
		{
			name: "an account", call: "/v1/accounts/hook:hold", body: `{"reason":"why","for":"1h"}`, status: http.StatusOK,
			want: starter.HoldRequest{Selector: starter.Selector{Account: "hook"}, Reason: "why", Until: now.Add(time.Hour), ByTenant: "acme"},
		},
		{
			name: "an operator's account", call: "/v1/accounts/hook:hold", operator: true, status: http.StatusOK,
			want: starter.HoldRequest{Selector: starter.Selector{Account: "hook"}},
		},
		{name: "an account that is not its own", call: "/v1/accounts/secret:hold", status: http.StatusNotFound},
		{name: "an account that is not its own, by body", call: "/v1/holds", body: `{"account":"secret"}`, status: http.StatusNotFound},
		{name: "everything", call: "/v1/holds", body: `{"all":true}`, status: http.StatusForbidden},
		{name: "another tenant", call: "/v1/holds", body: `{"tenant":"other"}`, status: http.StatusForbidden},
		{name: "to release another tenant", call: "/v1/holds:release", body: `{"tenant":"other"}`, status: http.StatusForbidden},
		{
			name: "an operator's everything", call: "/v1/holds", body: `{"all":true,"priority":"3-5"}`, operator: true, status: http.StatusOK,
			want: starter.HoldRequest{Selector: starter.Selector{All: true, From: 3, To: 5}},
		},
		{
			name: "a release", call: "/v1/accounts/hook:release", status: http.StatusOK,
			want: starter.ReleaseRequest{Selector: starter.Selector{Account: "hook"}, ByTenant: "acme"},
		},
		{name: "a priority that is none", call: "/v1/holds", body: `{"priority":"5-3"}`, status: http.StatusUnprocessableEntity},
		{name: "a time that is none", call: "/v1/holds", body: `{"for":"soon"}`, status: http.StatusUnprocessableEntity},
		{name: "an unknown field", call: "/v1/holds", body: `{"forever":true}`, status: http.StatusBadRequest},
		{name: "an action that is none", call: "/v1/accounts/hook:stop", status: http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, func(o *gateway.Options) {
				for i := range o.Tenants {
					o.Tenants[i].Operator = c.operator
					o.Tenants[i].Accounts = []string{"hook"}
				}
			})
			r := b.acme("POST", c.call, c.body)
			require.Equal(t, c.status, r.Code, r.Body.String())
			if c.want == nil {
				require.Empty(t, b.holds)
				return
			}
			require.Equal(t, []any{c.want}, b.holds)
		})
	}
}
