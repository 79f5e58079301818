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
// byte left is known exactly. A guarded one reaches public addresses only, and none in
// refused, and for that uses no proxy.
func NewTransport(idle int, guarded bool, refused ...netip.Prefix) *http.Transport {
	dialer := &net.Dialer{Timeout: RequestTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            timed(dialer.DialContext),
		MaxIdleConns:           4 * idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    RequestTimeout,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if guarded {
		t.Proxy, dialer.Control = nil, func(_, address string, _ syscall.RawConn) error { return publicOnly(address, refused) }
	}
	return t
}

// ErrPrivate is in the error of a guarded transport that would have left the public
// internet.
var ErrPrivate = errors.New("the address is not public")

// PublicOnly is a net.Dialer's Control that refuses addresses which are not on
// the public internet. It sees the address after the name was resolved, so no
// name can get around it.
func PublicOnly(_, address string, _ syscall.RawConn) error { return publicOnly(address, nil) }

func publicOnly(address string, refused []netip.Prefix) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Public(ap.Addr(), refused...) {
		return ErrPrivate
	}
	return nil
}

// Public reports whether an address is on the public internet (the IANA special-purpose
// registries for IPv4 and IPv6), and no service of a cloud that only its machines reach.
// The services for metadata at 169.254.169.254, 100.100.100.200, 192.0.0.192 and in
// fd00::/8 are in networks that are not public anyway. What is in refused is not public
// either.
func Public(a netip.Addr, refused ...netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !globalIPv6.Contains(a) {
		return false
	}
	holds := func(p netip.Prefix) bool { return p.Contains(a) }
	return !slices.ContainsFunc(special(), holds) && !slices.ContainsFunc(refused, holds)
}

// globalIPv6 has every global address of IPv6. Outside of it are those that stand for
// IPv4: mapped, translated (::ffff:0:0:0/96) and behind NAT64 (64:ff9b::/96,
// 64:ff9b:1::/48).
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),        // this network
		netip.MustParsePrefix("100.64.0.0/10"),    // shared by carriers
		netip.MustParsePrefix("168.63.129.16/32"), // Azure's service for its machines
		netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),     // documentation
		netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),    // benchmarking
		netip.MustParsePrefix("198.51.100.0/24"),  // documentation
		netip.MustParsePrefix("203.0.113.0/24"),   // documentation
		netip.MustParsePrefix("240.0.0.0/4"),      // reserved
		netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo among them
		netip.MustParsePrefix("2001:db8::/32"),    // documentation
		netip.MustParsePrefix("2002::/16"),        // 6to4
		netip.MustParsePrefix("3fff::/20"),        // documentation
	}
}
