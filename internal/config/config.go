package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"volley/internal/access"
	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
)

// Config is everything that volley.yaml says, with the defaults filled in.
type Config struct {
	// Store is the address of the bucket for large batches.
	Store string
	// TaskQueue is the queue of workflows.
	TaskQueue string
	// Routes are tried in order.
	Routes []message.Route
	// Tenants holds the callers of the gateway by name.
	Tenants map[string]Tenant
	Limits  Limits
	// SearchMetadata lists the metadata keys that batches can be found by. Nil means
	// that there is no configuration file to say so.
	SearchMetadata []string
	// ActivitySummaries puts a line on every activity in the Web UI.
	ActivitySummaries bool
	// StoreRetention is how long the store keeps what belongs to no open batch.
	StoreRetention time.Duration
	// BlueskyWait is how long the gateway's Bluesky calls wait for the result.
	BlueskyWait time.Duration
	// ActionPrice is dollars per million Temporal Cloud actions.
	ActionPrice float64
	// ConfirmAbove is how many messages a command sends without asking a person first;
	// 0 is any number.
	ConfirmAbove int
	// ContentKey is the secret under which contents of batches are compared; empty
	// means one derived from the namespace. ContentKeyUnset means that the file names a
	// variable for it that is not set here, so contents cannot be compared.
	ContentKey      Secret
	ContentKeyUnset bool
	// Keyset is where the keyset is that seals what Temporal and the store keep, as
	// encryption.Load reads it; empty is that nothing is sealed. KeysetUnset means that the
	// file names a variable for it that is not set here.
	Keyset      Secret
	KeysetUnset bool
	// CodecKey is what callers of the codec endpoint give; empty is none.
	CodecKey Secret
	// AllowPrivateCallbacks lets callers' callback addresses be private ones.
	AllowPrivateCallbacks bool
	// NAT64Prefixes are networks of IPv6 whose addresses stand for others of IPv4, beside
	// those that everybody knows; no callback goes there.
	NAT64Prefixes []netip.Prefix
	// Traces says where spans go.
	Traces Traces
	// Index is where batches and messages can be asked for in SQL.
	Index Index
	// AuditFile gets a line for every action; "-" is standard error, and empty is the
	// gateway's log, and nothing for commands.
	AuditFile string

	accounts map[string]account
	// access are the people who may log in, and the proxies that know them.
	access access.Options
}

// Limits bound what one request may ask for.
type Limits struct {
	// BatchMessages bounds the dialects that have no bound of their own.
	BatchMessages int
	// BodyBytes is the largest request.
	BodyBytes int64
	// InlineMessages and InlineBytes bound a batch that runs without the store.
	InlineMessages int
	InlineBytes    int
	// GroupAbove is the size from which batches use group dispatch; 0 is as
	// message.Batch.DispatchFor decides.
	GroupAbove int
	// IMKITParas is the most paras of an imkit request.
	IMKITParas int
	// InFlight is how many attempts one workflow has under way at most.
	InFlight int
	// Connections is how many connections a gateway has at once.
	Connections int
}

// maxCount bounds every configured count.
const maxCount = 1_000_000_000

// Default is the configuration without a file: no account, no route.
func Default() *Config {
	return &Config{
		Store:     "file:///var/lib/volley",
		TaskQueue: "volley",
		Tenants:   map[string]Tenant{},
		Limits: Limits{
			BatchMessages:  1_000_000,
			BodyBytes:      64 << 20,
			InlineMessages: 1000,
			InlineBytes:    1 << 20,
			IMKITParas:     1000,
			InFlight:       48,
			Connections:    4096,
		},
		ActivitySummaries: true,
		StoreRetention:    30 * 24 * time.Hour,
		BlueskyWait:       25 * time.Second,
		ActionPrice:       50,
		ConfirmAbove:      1000,
		Index:             Index{Retention: 30 * 24 * time.Hour, StatsRetention: 400 * 24 * time.Hour},
		accounts:          map[string]account{},
	}
}

// Load reads a file. lookup is the environment, as os.LookupEnv. When something
// is wrong with the content, the error is an *Error that holds all of it.
func Load(path string, lookup func(string) (string, bool)) (*Config, error) {
	return load(path, lookup, false)
}

// LoadWithoutSecrets is Load for callers that never send: secrets may refer to
// variables that are not set, and are then empty.
func LoadWithoutSecrets(path string, lookup func(string) (string, bool)) (*Config, error) {
	return load(path, lookup, true)
}

func load(path string, lookup func(string) (string, bool), bare bool) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	r := &reader{lookup: lookup, bare: bare}
	c := Default()
	c.read(r, r.parse(text))
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, &Error{File: path, Problems: r.problems}
	}
	return c, nil
}

func (c *Config) read(r *reader, top *object) {
	c.readStore(r, top)
	parsed(top, "task_queue", &c.TaskQueue, func(s string) (string, error) { return s, message.CheckName(s) })
	c.readAccounts(r, top.child("accounts"))
	c.readRoutes(r, top)
	keys := map[string]bool{}
	c.readTenants(r, top.child("tenants"), keys)
	c.readPeople(r, top, keys)
	c.readLimits(top.child("limits"))
	if c.SearchMetadata = top.texts("search_metadata"); c.SearchMetadata == nil {
		c.SearchMetadata = []string{}
	}
	top.boolean("activity_summaries", &c.ActivitySummaries)
	top.duration("store_retention", &c.StoreRetention, time.Hour, 100*365*24*time.Hour)
	top.duration("bluesky_wait", &c.BlueskyWait, time.Second, 5*time.Minute)
	parsed(top, "action_price", &c.ActionPrice, parsePrice)
	top.integer("confirm_above", &c.ConfirmAbove, 0, maxCount)
	c.readContentKey(r, top)
	c.readEncryption(r, top)
	c.readIndex(r, top)
	callbacks := top.child("callbacks")
	callbacks.boolean("allow_private", &c.AllowPrivateCallbacks)
	c.readNAT64(r, callbacks)
	callbacks.finish()
	c.readTraces(r, top)
	audit := top.child("audit")
	parsed(audit, "file", &c.AuditFile, checkAuditFile)
	audit.finish()
	top.finish()
}

// readStore reads the store's address, which no error repeats: it may hold keys.
func (c *Config) readStore(r *reader, top *object) {
	f, ok := top.field("store")
	if !ok {
		return
	}
	s, ok := r.text(f, false)
	if !ok {
		return
	}
	if err := checkStore(s); err != nil {
		r.fail(f.node, f.path, "%v", err)
		return
	}
	c.Store = s
}

// readNAT64 reads networks of IPv6 of the lengths that NAT64 has (RFC 6052, 2.2).
func (c *Config) readNAT64(r *reader, callbacks *object) {
	f, _ := callbacks.field("nat64_prefixes")
	for i, s := range callbacks.texts("nat64_prefixes") {
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() || !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()) {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), "%q: must be a network of IPv6 of 32, 40, 48, 56, 64 or 96 bits, such as \"2001:db8:64::/96\"", s)
			continue
		}
		c.NAT64Prefixes = append(c.NAT64Prefixes, p.Masked())
	}
}

// checkAuditFile accepts a path from the root: commands run in any directory.
func checkAuditFile(s string) (string, error) {
	if s != "-" && !filepath.IsAbs(s) {
		return "", errors.New("must be a path from the root such as /var/log/volley/audit.jsonl, or - for standard error")
	}
	return s, nil
}

// minContentKey is the shortest content_key: a shorter one can be found by trying.
const minContentKey = 16

func (c *Config) readContentKey(r *reader, top *object) {
	f, ok := top.field("content_key")
	if !ok {
		return
	}
	top.secret("content_key", &c.ContentKey)
	c.ContentKeyUnset = c.ContentKey.IsZero()
	if n := len(c.ContentKey.Reveal()); n > 0 && n < minContentKey {
		r.fail(f.node, f.path, "must have at least %d characters", minContentKey)
	}
}

// readEncryption reads where the keyset is. That the key is there and says nothing is
// an error, as nobody wants it to mean that nothing is encrypted.
func (c *Config) readEncryption(r *reader, top *object) {
	o := top.child("encryption")
	if slices.Contains(top.names, "encryption") {
		o.at = cmp.Or(o.at, top.at)
		o.require("keyset")
		o.secret("keyset", &c.Keyset)
		c.KeysetUnset = r.bare && c.Keyset.IsZero()
	}
	o.finish()
	codec := top.child("codec")
	codec.secret("key", &c.CodecKey)
	if f, _ := codec.field("key"); !c.CodecKey.IsZero() && len(c.CodecKey.Reveal()) < MinKey {
		r.fail(f.node, f.path, "must have at least %d characters", MinKey)
	}
	codec.finish()
}

func (c *Config) readLimits(o *object) {
	l := &c.Limits
	o.integer("batch_messages", &l.BatchMessages, 1, message.MaxIndex+1)
	parsed(o, "body_bytes", &l.BodyBytes, parseSize)
	o.integer("inline_messages", &l.InlineMessages, 1, 1000)
	parsed(o, "inline_bytes", &l.InlineBytes, func(s string) (int, error) {
		n, err := parseSize(s)
		if err == nil && n > 1<<20 {
			err = errors.New("must be at most 1MiB: what is known of a batch must fit beside it into one payload of Temporal's")
		}
		return int(n), err
	})
	o.integer("group_above", &l.GroupAbove, 0, maxCount)
	o.integer("imkit_paras", &l.IMKITParas, 1, maxCount)
	o.integer("in_flight", &l.InFlight, 1, 1000)
	o.integer("connections", &l.Connections, 16, 1_000_000)
	o.finish()
}

func (c *Config) readRoutes(r *reader, top *object) {
	f, ok := top.field("routes")
	if !ok {
		return
	}
	for _, f := range r.list(f) {
		o := r.object(f)
		var rt message.Route
		parsed(o, "dialect", &rt.Dialect, checkDialect)
		o.text("channel", &rt.Channel)
		o.require("hops")
		rt.Hops = c.accountNames(r, o, "hops")
		if rt.Hops != nil && len(rt.Hops) == 0 {
			r.fail(o.at, join(o.path, "hops"), "must name at least one account")
		}
		o.finish()
		c.Routes = append(c.Routes, rt)
	}
}

// accountNames reads a list of accounts, each of which must be configured.
func (c *Config) accountNames(r *reader, o *object, name string) []string {
	names := o.texts(name)
	f, _ := o.field(name)
	for i, n := range names {
		if _, ok := c.accounts[n]; !ok {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), "account %q is not configured", n)
		}
	}
	return names
}

// Accounts lists the accounts by name. The webhooks among them may reach private
// addresses, because the operator wrote their URLs.
func (c *Config) Accounts() []provider.Account {
	out := make([]provider.Account, 0, len(c.accounts))
	for _, name := range c.names() {
		out = append(out, c.accounts[name].provider(name))
	}
	return out
}

// Router decides the ways of a tenant's messages. A tenant that is neither
// configured nor "default" may use no account.
func (c *Config) Router(tenant string) message.Router {
	r := message.Router{Routes: c.Routes, Accounts: make(map[string]message.Policy, len(c.accounts))}
	for name, a := range c.accounts {
		r.Accounts[name] = a.provider(name).Policy()
	}
	t, ok := c.Tenants[tenant]
	switch {
	case ok:
		r.Allowed = t.Accounts
	case tenant != "default":
		r.Allowed = []string{}
	}
	return r
}

// Callers are all tenants by name, the default one among them. Those without a key are
// there for people.
func (c *Config) Callers() []intake.Caller {
	names := slices.Collect(maps.Keys(c.Tenants))
	if _, ok := c.Tenants[message.DefaultTenant]; !ok {
		names = append(names, message.DefaultTenant)
	}
	slices.Sort(names)
	all := make([]intake.Caller, len(names))
	for i, name := range names {
		all[i] = c.Caller(name)
	}
	return all
}

// HasLogins reports whether anybody can use a gateway: a tenant with a key, or a person.
func (c *Config) HasLogins() bool {
	for _, t := range c.Tenants {
		if len(t.Keys) > 0 {
			return true
		}
	}
	return len(c.access.People) > 0
}

// readsPerSubmit is how many reads a tenant has beside each submit, unless it has a rate of
// reads.
const readsPerSubmit = 10

// Caller is a tenant as requests are read for it.
func (c *Config) Caller(tenant string) intake.Caller {
	router := c.Router(tenant)
	t := c.Tenants[tenant]
	caller := intake.Caller{
		Tenant: tenant, Router: &router, Priority: t.Priority, MaxPriority: cmp.Or(t.MaxPriority, t.Priority), Region: t.DefaultRegion, MaySetSender: t.MaySetSender, HasCallbackSecret: !t.CallbackSecret.IsZero(),
		Operator: t.Operator, Dialects: t.Dialects, Accounts: t.Accounts, Rate: t.Rate, ReadRate: cmp.Or(t.ReadRate, readsPerSubmit*t.Rate), BirdWorkspaces: t.BirdWorkspaces, SinchProjects: t.SinchProjects,
	}
	for _, key := range t.Keys {
		caller.Keys = append(caller.Keys, intake.Key{Name: key.Name, Hash: intake.HashKey(key.Secret.Reveal())})
	}
	if caller.HasCallbackSecret {
		caller.Callbacks = &message.Callbacks{URL: t.CallbackURL, Format: t.CallbackFormat, Messages: t.CallbackMessages}
	}
	return caller
}

// Intake bounds the requests that are read.
func (c *Config) Intake() intake.Limits {
	return intake.Limits{BodyBytes: c.Limits.BodyBytes, IMKITParas: c.Limits.IMKITParas, Messages: c.Limits.BatchMessages}
}

// Estimates are what estimates of batches follow from.
func (c *Config) Estimates() intake.Estimates {
	return intake.Estimates{
		Rates: c.Rates(), Price: c.ActionPrice, InlineMessages: c.Limits.InlineMessages, InlineBytes: c.Limits.InlineBytes, GroupAbove: c.Limits.GroupAbove,
	}
}

// Rates are the messages a second of the accounts that have a rate, by name.
func (c *Config) Rates() map[string]float64 {
	rates := map[string]float64{}
	for name, a := range c.accounts {
		if a.rate > 0 {
			rates[name] = a.rate
		}
	}
	return rates
}

func (c *Config) names() []string {
	names := make([]string, 0, len(c.accounts))
	for n := range c.accounts {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func checkDialect(s string) (string, error) {
	_, err := dialect.Named(s)
	return s, err
}
