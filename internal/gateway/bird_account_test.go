package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// Every row is a configuration, a path, and the way that a message takes: none where
// the path is not the tenant's.
func TestABirdChannelIsBoundToItsAccount(t *testing.T) {
	t.Parallel()
	const second = "77777777-7777-4777-8777-777777777777"
	main := provider.Account{Name: "bird-main", Provider: "bird", Workspace: workspace, Channel: channel}
	side := provider.Account{Name: "bird-side", Provider: "bird", Workspace: workspace, Channel: second}
	copyOf := provider.Account{Name: "bird-copy", Provider: "bird", Workspace: workspace, Channel: channel}
	foreign := provider.Account{Name: "sinch-eu", Provider: "sinch", Workspace: workspace, Channel: second}
	for name, c := range map[string]struct {
		accounts   []provider.Account
		mayUse     []string
		workspaces []string
		routes     []message.Route
		workspace  string
		channel    string
		way        []string
		account    string
	}{
		"the channel's account, not the routes'": {
			accounts: []provider.Account{main, side}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel, way: []string{"bird-main"}, account: "bird-main",
		},
		"the other channel's account": {
			accounts: []provider.Account{main, side}, routes: []message.Route{{Hops: []string{"bird-main", "hook"}}}, channel: second, way: []string{"bird-side"}, account: "bird-side",
		},
		"the routes where they begin with the account": {
			accounts: []provider.Account{main, side}, routes: []message.Route{
				{Dialect: "sinch", Hops: []string{"hook"}}, {Dialect: "bird", Channel: "SMS", Hops: []string{"hook"}}, {Dialect: "bird", Hops: []string{"bird-main", "hook"}},
			}, channel: channel, way: []string{"bird-main", "hook"},
		},
		"the routes where they begin with any account of the channel": {
			accounts: []provider.Account{main, copyOf}, routes: []message.Route{{Hops: []string{"bird-copy", "bird-main"}}}, channel: channel, way: []string{"bird-copy", "bird-main"},
		},
		"ids in capitals": {
			accounts: []provider.Account{{Name: "bird-main", Provider: "bird", Workspace: "ABCDEF00-0000-4000-8000-000000000000", Channel: "ABCDEF00-0000-4000-8000-000000000001"}},
			routes:   []message.Route{{Hops: []string{"hook"}}}, workspace: "abcdef00-0000-4000-8000-000000000000", channel: "ABCDEF00-0000-4000-8000-000000000001", way: []string{"bird-main"}, account: "bird-main",
		},
		"nothing for a channel that no account of the workspace has": {
			accounts: []provider.Account{main, foreign}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: second,
		},
		"nothing for the channel of an account that the tenant may not use": {
			accounts: []provider.Account{main, side}, mayUse: []string{"bird-main"}, routes: []message.Route{{Hops: []string{"bird-main"}}}, channel: second,
		},
		"nothing for a workspace whose accounts the tenant may not use": {
			accounts: []provider.Account{main}, mayUse: []string{"hook"}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel,
		},
		"nothing for a workspace that is not in the tenant's list": {
			accounts: []provider.Account{main}, workspaces: []string{elsewhere}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel,
		},
		"nothing for a tenant with an empty list": {
			accounts: []provider.Account{main}, workspaces: []string{}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel,
		},
		"the account also with a list": {
			accounts: []provider.Account{main}, workspaces: []string{workspace}, routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel, way: []string{"bird-main"}, account: "bird-main",
		},
		"the routes for a listed workspace without accounts": {
			accounts: []provider.Account{main}, workspaces: []string{elsewhere}, routes: []message.Route{{Hops: []string{"hook", "sinch-eu"}}}, workspace: elsewhere, channel: second, way: []string{"hook", "sinch-eu"},
		},
		"nothing for a channel that is no UUID where routes decide": {
			workspaces: []string{elsewhere}, routes: []message.Route{{Hops: []string{"hook"}}}, workspace: elsewhere, channel: "sms",
		},
		"nothing where no account has the workspace and no list names it": {
			routes: []message.Route{{Hops: []string{"hook"}}}, channel: channel,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBirdEnv(t, func(o *gateway.Options) {
				o.Accounts = c.accounts
				tenant := &o.Tenants[0]
				tenant.Accounts, tenant.BirdWorkspaces = c.mayUse, c.workspaces
				tenant.Router = &message.Router{
					Routes: c.routes, Allowed: c.mayUse,
					Accounts: map[string]message.Policy{"bird-main": {}, "bird-side": {}, "bird-copy": {}, "hook": {}, "sinch-eu": {}},
				}
			})
			if c.workspace == "" {
				c.workspace = workspace
			}
			r := b.bird("POST", "/workspaces/"+c.workspace+"/channels/"+c.channel+"/batch/messages", birdText("+15550001111"))
			if c.way == nil {
				require.Equal(t, "NotFound", r.json(http.StatusNotFound)["code"])
				require.Empty(t, b.batches)
				return
			}
			batch := b.batches[starter.Ref{Tenant: "acme", ID: r.json(http.StatusAccepted)["id"].(string)}]
			require.Equal(t, c.account, batch.Account)
			var way []string
			for _, hop := range batch.HopsOf(&batch.Messages[0]) {
				way = append(way, hop.Account)
			}
			require.Equal(t, c.way, way)
		})
	}
}
