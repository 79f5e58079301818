package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
)

// Who calls the gateway, and from where.
const (
	Tenant    = "bench"
	Key       = "bench-key"
	Workspace = "11111111-2222-4333-8444-555555555555"
	Channel   = "66666666-7777-4888-8999-000000000000"
)

// tenant is the one tenant of the gateway. Its messages take the one account.
func (r Role) tenant() intake.Caller {
	router := message.Router{
		Routes:   []message.Route{{Hops: []string{AccountName}}},
		Accounts: map[string]message.Policy{AccountName: r.Account().Policy()},
	}
	return intake.Caller{Tenant: Tenant, Router: &router, Keys: []intake.Key{{Name: "bench", Hash: intake.HashKey(Key)}}, BirdWorkspaces: []string{Workspace}}
}

// limits are the gateway's.
func limits() intake.Limits {
	return intake.Limits{BodyBytes: 64 << 20, IMKITParas: 1000, Messages: 1_000_000}
}

// BirdBatch is a request of n messages in Bird's format.
func BirdBatch(n int) []byte {
	var b strings.Builder
	text, _ := json.Marshal(Text()) // a text always encodes
	b.WriteString(`{"messageRequests":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":%q}]},"body":{"type":"text","text":{"text":%s}},"reference":"r-%d"}`,
			Recipient(i), text, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// serveGateway serves on a free port until stop is called.
func (r Role) serveGateway(ctx context.Context, c client.Client) (address string, stop func() error, err error) {
	large, err := store.Open(ctx, r.Store, store.Options{})
	if err != nil {
		return "", nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(err, large.Close())
	}
	profiled, err := profile(r.Profile)
	if err != nil {
		return "", nil, errors.Join(err, l.Close(), large.Close())
	}
	g := gateway.New(gateway.Options{
		Batches: starter.New(c, starter.Options{InFlight: r.InFlight, Store: large}),
		Tenants: []intake.Caller{r.tenant()}, Limits: limits(), Log: zap.NewNop(),
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		return errors.Join(<-done, profiled(), large.Close())
	}, nil
}
