package main

import "strings"

// hookSecret signs what the webhook account sends. It is no secret: it is the
// same for everyone, and so are the other credentials below.
const hookSecret = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gtc2FuZGJveCE="

// sandboxConfig is a configuration whose accounts are the sandbox at url. An empty index is
// none.
func sandboxConfig(url, store, index, keyset string) string {
	if index != "" {
		index = "index: {url: \"sqlite://" + index + "\"}\n"
	}
	return strings.NewReplacer("SANDBOX", url, "STORE", store, "INDEX\n", index, "KEYSET", keyset, "HOOK_SECRET", hookSecret, "GATEWAY_KEY", gatewayKey).Replace(`# Written by dev: every account is the sandbox, and no credential is a real one.
store: file://STORE
INDEX
encryption: {keyset: "file://KEYSET"}
accounts:
  bird-main:
    provider: bird
    base_url: SANDBOX/bird
    workspace: 11111111-2222-4333-8444-555555555555
    channel: 66666666-7777-4888-8999-000000000000
    access_key: sandbox
    report_secret: HOOK_SECRET
    settle: 1s
  sinch-eu:
    provider: sinch
    base_url: SANDBOX/sinch
    token_url: SANDBOX/sinch/oauth2/token
    project: 22222222-3333-4444-8555-666666666666
    app: 01EB37HMH1M6SV18ASNS3G135H
    key_id: sandbox
    key_secret: sandbox
    stores_messages: true
    report_secret: HOOK_SECRET
    settle: 1s
  imkit-main:
    provider: imkit
    base_url: SANDBOX/imkit
    api_key: sandbox
    sender: support
    settle: 1s
  bsky-main:
    provider: bluesky
    base_url: SANDBOX/bluesky
    identifier: shop.example.com
    password: sandbox
    settle: 1s
  hook:
    provider: webhook
    url: SANDBOX/webhook
    secret: HOOK_SECRET
    reconcile: true
    report_secret: HOOK_SECRET
    settle: 1s
routes:
  - {dialect: bird, hops: [bird-main]}
  - {dialect: sinch, channel: SMS, hops: [sinch-eu, bird-main]}
  - {dialect: sinch, hops: [sinch-eu]}
  - {dialect: imkit, hops: [imkit-main]}
  - {dialect: bluesky, hops: [bsky-main]}
  - {dialect: volley, hops: [hook]}
# Who may use the gateway. The tenant "default" is also whose batches the commands show.
tenants:
  default: {keys: [GATEWAY_KEY], callbacks: {secret: HOOK_SECRET}}
callbacks: {allow_private: true} # on this machine everything is
limits: {in_flight: 100}
search_metadata: [campaign]
`)
}
