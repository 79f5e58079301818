package provider

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// NewTransport is a Transport of our own, with room for idle connections to one
// host. It speaks HTTP/1.1 only: there each request has a connection to itself,
// so a broken one leaves a single message in doubt, and whether a request's first
// byte left is known exactly. A guarded one reaches public addresses only, and
// for that uses no proxy.
func NewTransport(idle int, guarded bool) *http.Transport {
	dialer := &net.Dialer{Timeout: RequestTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		MaxIdleConns:           4 * idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    RequestTimeout,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if guarded {
		t.Proxy, dialer.Control = nil, PublicOnly
	}
	return t
}

// ErrPrivate is in the error of a guarded transport that would have left the public
// internet.
var ErrPrivate = errors.New("the address is not public")

// PublicOnly is a net.Dialer's Control that refuses addresses which are not on
// the public internet. It sees the address after the name was resolved, so no
// name can get around it.
func PublicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !public(ap.Addr().Unmap().WithZone("")) {
		return ErrPrivate
	}
	return nil
}

// public reports whether an address is on the public internet (the IANA
// special-purpose registries for IPv4 and IPv6).
func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(a) })
}

func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("100.64.0.0/10"),   // shared by carriers
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved
		netip.MustParsePrefix("::/96"),           // IPv4 in an old form
		netip.MustParsePrefix("64:ff9b::/96"),    // IPv4 behind NAT64
		netip.MustParsePrefix("64:ff9b:1::/48"),  // IPv4 behind local NAT64
		netip.MustParsePrefix("100::/64"),        // discard
		netip.MustParsePrefix("2001::/32"),       // Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4
		netip.MustParsePrefix("3fff::/20"),       // documentation
		netip.MustParsePrefix("5f00::/16"),       // segment routing
		netip.MustParsePrefix("fec0::/10"),       // site-local
	}
}
