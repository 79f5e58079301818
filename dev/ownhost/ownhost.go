package ownhost

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Only lets requests through to h whose Host is localhost, an address of the loopback, or
// one of more, in any case and with any port. It answers all others with 421.
func Only(h http.Handler, more ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwn(r.Host, more) {
			http.Error(w, fmt.Sprintf("%q is no name of this host: expected localhost, 127.0.0.1, [::1], or one that --allow-host gives", r.Host), http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func isOwn(host string, more []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(more, func(own string) bool {
		return strings.EqualFold(strings.Trim(own, "[]"), host)
	})
}
