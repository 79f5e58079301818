package callback

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// The test is inside the package because no name of a test's own can be resolved to where
// it likes.
func TestANameThatLeadsInsideIsGivenUpAfterAWhile(t *testing.T) {
	t.Parallel()
	inside, outside := netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("192.88.98.1")
	translated := netip.MustParseAddr("2a00:64::a00:7")
	for name, tt := range map[string]struct {
		addresses []netip.Addr
		err       error
		every     time.Duration
		tries     int
		never     bool
	}{
		"private":                        {addresses: []netip.Addr{inside, inside}, every: time.Minute, tries: 5, never: true},
		"behind the operator's NAT64":    {addresses: []netip.Addr{translated}, every: time.Minute, tries: 5, never: true},
		"too few tries":                  {addresses: []netip.Addr{inside}, every: time.Minute, tries: 4},
		"many tries in no time":          {addresses: []netip.Addr{inside}, every: time.Second, tries: 100},
		"a public one too, that is down": {addresses: []netip.Addr{inside, outside}, every: time.Minute, tries: 100},
		"not resolved for now":           {err: errors.New("no answer"), every: time.Minute, tries: 100},
		"with hours between":             {addresses: []netip.Addr{inside}, every: 2 * time.Hour, tries: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
			p := New(Options{
				Tenants: map[string]Tenant{"acme": {Secret: "0123456789abcdef"}}, Now: func() time.Time { return now },
				NAT64Prefixes: []netip.Prefix{netip.MustParsePrefix("2a00:64::/96")},
			})
			defer p.Close()
			p.inside.resolve = func(_ context.Context, _, host string) ([]netip.Addr, error) {
				require.Equal(t, "hooks.example.com", host)
				return tt.addresses, tt.err
			}
			p.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, provider.ErrPrivate }
			var last *Failure
			for range tt.tries {
				last = p.Post(t.Context(), "acme", message.Callbacks{URL: "https://hooks.example.com/x"}, Event{Type: "batch.completed", ID: "evt"})
				require.Equal(t, CodePrivate, last.Code)
				now = now.Add(tt.every)
			}
			require.Equal(t, tt.never, last.Never)
		})
	}
}

func TestAnAddressBehindTheOperatorsNAT64IsRefused(t *testing.T) {
	t.Parallel()
	p := New(Options{Tenants: map[string]Tenant{"acme": {Secret: "0123456789abcdef"}}, NAT64Prefixes: []netip.Prefix{netip.MustParsePrefix("2a00:64::/96")}})
	defer p.Close()
	f := p.Post(t.Context(), "acme", message.Callbacks{URL: "https://[2a00:64::a00:7]/x"}, Event{Type: "batch.completed", ID: "evt"})
	require.Equal(t, &Failure{Code: CodePrivate, Detail: privateDetail, Never: true}, f)
	_, err := p.transport.DialContext(t.Context(), "tcp", "[2a00:64::a00:7]:443")
	require.ErrorIs(t, err, provider.ErrPrivate)
}
