package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestPublicOnlyRefusesAddressesOfNoPublicHost(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1:80", "127.9.9.9:80", "0.0.0.0:80", "0.1.2.3:80", "10.1.2.3:80", "172.16.0.1:80", "172.31.255.255:80",
		"192.168.1.1:80", "169.254.169.254:80", "100.64.0.1:80", "100.127.255.255:80", "192.0.0.8:80", "198.18.0.1:80",
		"224.0.0.1:80", "239.1.1.1:80", "240.0.0.1:80", "255.255.255.255:80", "192.0.2.1:80", "198.51.100.1:80", "203.0.113.1:80",
		"[::1]:80", "[::]:80", "[fe80::1]:80", "[fe80::1%eth0]:80", "[fc00::1]:80", "[fd12::1]:80", "[ff02::1]:80",
		"[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "[64:ff9b::a00:1]:80", "[64:ff9b:1::1]:80", "[2002:7f00:1::]:80",
		"[::ffff:0:7f00:1]:80", "[::ffff:0:127.0.0.1]:80", "[64:ff9b::8.8.8.8]:80", "[64:ff9b:2::a00:1]:80", "[::127.0.0.1]:80", "[5f00::1]:80", "[4000::1]:80",
		"168.63.129.16:80", "100.100.100.200:80", "192.0.0.192:80", "[fd00:ec2::254]:80", "[fd20:ce::254]:80", "[::ffff:168.63.129.16]:80",
		"[2001::1]:80", "[2001:2::1]:80", "[2001:20::1]:80", "[3fff::1]:80", "[2001:db8::1]:80", "[100::1]:80", "[fec0::1]:80", "nonsense", "",
	} {
		require.Error(t, provider.PublicOnly("tcp", address, nil), address)
	}
	for _, address := range []string{
		"1.1.1.1:443", "8.8.8.8:80", "100.63.255.255:80", "100.128.0.1:80", "172.32.0.1:80", "168.63.129.17:80", "[2606:4700::1111]:443", "[2001:4860:4860::8888]:443", "[2001:200::1]:443", "[2a00:1450::1]:443", "[::ffff:8.8.8.8]:80",
	} {
		require.NoError(t, provider.PublicOnly("tcp", address, nil), address)
	}
}

func TestAWebhookReachesPrivateAddressesOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(srv.Close)
	m := outgoing("volley", "room", `{}`)
	for _, url := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)} {
		a := webhookAccount(url)
		a.AllowPrivate = false
		_, err := open(t, a).Send(t.Context(), m)
		e := failure(t, err)
		require.Equal(t, provider.Rejected, e.Kind)
		require.Equal(t, provider.CodePrivate, e.Code)
		require.Zero(t, requests.Load())
	}
	_, err := open(t, webhookAccount(srv.URL)).Send(t.Context(), m)
	require.NoError(t, err)
	require.EqualValues(t, 1, requests.Load())
}
