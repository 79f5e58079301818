package config

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"volley/internal/message"
	"volley/internal/provider"
)

// account is one account as it stands in the file.
type account struct {
	kind    string
	texts   map[string]string
	secrets map[string]Secret

	reconcile   bool
	stores      bool
	rate        float64
	concurrency int
	onUnknown   message.OnUnknown
	twoFactor   bool
	sensitive   bool
	// settle 0 is none; the default of 5 s is filled in before reading.
	settle                 time.Duration
	retryInitial, retryMax time.Duration
	attempts               int
}

// shape says which keys of its own a provider has.
type shape struct {
	provider string
	// required and optional are texts, urls addresses (required unless they have a
	// default), secrets are required.
	required, optional []string
	urls               []string
	defaults           map[string]string
	secrets            []string
}

func shapes() []shape {
	return []shape{
		{
			provider: "bird", required: []string{"workspace", "channel"}, secrets: []string{"access_key"},
			urls: []string{"base_url"}, defaults: map[string]string{"base_url": "https://api.bird.com"},
		},
		{
			provider: "sinch", required: []string{"project", "app", "key_id"}, secrets: []string{"key_secret"},
			urls:     []string{"base_url", "token_url"},
			defaults: map[string]string{"token_url": "https://auth.sinch.com/oauth2/token"},
		},
		{provider: "imkit", optional: []string{"sender"}, urls: []string{"base_url"}, secrets: []string{"api_key"}},
		{
			provider: "bluesky", required: []string{"identifier"}, secrets: []string{"password"},
			urls: []string{"base_url"}, defaults: map[string]string{"base_url": "https://bsky.social"},
		},
		{provider: "webhook", urls: []string{"url"}, secrets: []string{"secret"}},
	}
}

func (c *Config) readAccounts(r *reader, o *object) {
	for i, name := range o.names {
		f, ok := o.field(name)
		if !ok {
			f = o.fields[i]
		}
		if err := message.CheckName(name); err != nil {
			r.fail(f.key, f.path, "the name %v", err)
		}
		c.accounts[name] = readAccount(r.object(f))
	}
}

func readAccount(o *object) account {
	a := account{settle: 5 * time.Second, onUnknown: message.Hold, texts: map[string]string{}, secrets: map[string]Secret{}}
	var own shape
	o.require("provider")
	parsed(o, "provider", &a.kind, func(s string) (string, error) {
		all := shapes()
		i := slices.IndexFunc(all, func(p shape) bool { return p.provider == s })
		if i < 0 {
			return "", errors.New("must be one of bird, sinch, imkit, bluesky, webhook")
		}
		own = all[i]
		return s, nil
	})
	if a.kind == "" {
		return a // which keys it has is not known
	}
	own.read(o, &a)
	if a.kind == "webhook" {
		o.boolean("reconcile", &a.reconcile)
		var previous Secret
		o.secret("previous_secret", &previous)
		a.secrets["previous_secret"] = previous
	}
	if a.kind == "sinch" {
		o.boolean("stores_messages", &a.stores)
	}
	parsed(o, "rate", &a.rate, parseRate)
	o.integer("concurrency", &a.concurrency, 1, 10_000)
	parsed(o, "on_unknown", &a.onUnknown, func(s string) (message.OnUnknown, error) {
		if u := message.OnUnknown(s); u == message.Hold || u == message.Resend {
			return u, nil
		}
		return "", errors.New("must be hold (at most once) or resend (at least once)")
	})
	o.boolean("two_factor", &a.twoFactor)
	o.boolean("sensitive", &a.sensitive)
	o.duration("settle", &a.settle, 0, time.Hour)
	a.readRetry(o.child("retry"))
	var report Secret
	o.secret("report_secret", &report)
	a.secrets["report_secret"] = report
	o.finish()
	return a
}

func (s shape) read(o *object, a *account) {
	o.require(s.required...)
	o.require(s.secrets...)
	for _, key := range slices.Concat(s.required, s.optional) {
		var v string
		parsed(o, key, &v, func(s string) (string, error) {
			if s == "" {
				return "", errors.New("must not be empty")
			}
			return s, nil
		})
		a.texts[key] = v
	}
	for _, key := range s.urls {
		v, ok := s.defaults[key]
		if !ok {
			o.require(key)
		}
		o.address(key, &v)
		a.texts[key] = v
	}
	for _, key := range s.secrets {
		var v Secret
		o.secret(key, &v)
		a.secrets[key] = v
	}
}

func (a *account) readRetry(o *object) {
	o.duration("initial", &a.retryInitial, time.Millisecond, 30*24*time.Hour)
	o.duration("max", &a.retryMax, time.Millisecond, 30*24*time.Hour)
	if a.retryMax > 0 && a.retryInitial > a.retryMax {
		o.r.fail(o.at, o.path, "initial must not be above max")
	}
	o.integer("attempts", &a.attempts, 0, 1_000_000)
	o.finish()
}

// provider is the account as senders want it.
func (a account) provider(name string) provider.Account {
	settle := a.settle
	if settle == 0 {
		settle = -1 // 0 means the default there
	}
	return provider.Account{
		Name: name, Provider: a.kind, BaseURL: a.texts["base_url"],
		Workspace: a.texts["workspace"], Channel: a.texts["channel"], AccessKey: a.secrets["access_key"].Reveal(),
		Project: a.texts["project"], App: a.texts["app"], KeyID: a.texts["key_id"],
		KeySecret: a.secrets["key_secret"].Reveal(), TokenURL: a.texts["token_url"],
		APIKey: a.secrets["api_key"].Reveal(), Sender: a.texts["sender"],
		Identifier: a.texts["identifier"], Password: a.secrets["password"].Reveal(),
		URL: a.texts["url"], Secret: a.secrets["secret"].Reveal(), PreviousSecret: a.secrets["previous_secret"].Reveal(),
		Reconcile: a.reconcile, StoresMessages: a.stores,
		ReportSecret: a.secrets["report_secret"].Reveal(),
		Rate:         a.rate, Concurrency: a.concurrency, AllowPrivate: true,
		OnUnknown: a.onUnknown, TwoFactor: a.twoFactor, Sensitive: a.sensitive, Settle: settle,
		RetryInitial: a.retryInitial, RetryMax: a.retryMax, Attempts: a.attempts,
	}
}

func parsePrice(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 1e6) {
		return 0, errors.New("must be a number of dollars from 0 to 1000000")
	}
	return v, nil
}
