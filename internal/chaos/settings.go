package chaos

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// writeConfig writes a configuration in which the sink has an address, and the store that
// of a proxy unless it is nil.
func (r *run) writeConfig(name, sink string, before *proxy) (string, error) {
	store, err := r.storeURL(before)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if r.o.Keyset != "" {
		fmt.Fprintf(&b, "encryption: {keyset: \"${%s}\"}\n", KeysetVariable)
	}
	fmt.Fprintf(&b, "store: %q\ntask_queue: %s\nlimits: {inline_messages: %d}\nsearch_metadata: []\naccounts:\n", store, r.name, inline)
	for _, role := range []string{roleAsked, roleHeld, roleBlind, roleResend} {
		a, onUnknown := r.accounts()[r.account(role)], "hold"
		if a.Resends {
			onUnknown = "resend"
		}
		fmt.Fprintf(&b, "  %s: {provider: webhook, url: %q, secret: %s, reconcile: %v, on_unknown: %s, settle: %s, rate: %d/s, concurrency: 64, retry: {initial: 200ms, max: 3s}}\n",
			r.account(role), sink+"/"+r.account(role), sinkSecret, a.Asked, onUnknown, settle, r.rate())
	}
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return "", fmt.Errorf("configuration of the run: %w", err)
	}
	return file, nil
}

// storeURL is the store with a folder of the run's own, by way of a proxy unless it is nil.
func (r *run) storeURL(before *proxy) (string, error) {
	u, err := url.Parse(r.o.Store)
	if err != nil {
		return "", errors.New("the store's address cannot be read") // it may hold keys
	}
	if u.Scheme == "file" {
		u.Path = path.Join(u.Path, r.name)
		return u.String(), nil
	}
	q := u.Query()
	q.Set("prefix", q.Get("prefix")+r.name+"/")
	if before != nil {
		endpoint := *r.o.storeEndpoint()
		endpoint.Host = before.address()
		q.Set("endpoint", endpoint.String())
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// ownStore is the folder of the run in a file:// store, else empty.
func (r *run) ownStore() string {
	if dir := r.o.storeDir(); dir != "" {
		return filepath.Join(dir, r.name)
	}
	return ""
}
