package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

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
	// AllowPrivateCallbacks lets callers' callback addresses be private ones.
	AllowPrivateCallbacks bool

	accounts map[string]account
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
		},
		ActivitySummaries: true,
		StoreRetention:    30 * 24 * time.Hour,
		BlueskyWait:       25 * time.Second,
		ActionPrice:       50,
		ConfirmAbove:      1000,
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
	parsed(top, "store", &c.Store, func(s string) (string, error) { return s, checkStore(s) })
	parsed(top, "task_queue", &c.TaskQueue, func(s string) (string, error) { return s, CheckName(s) })
	c.readAccounts(r, top.child("accounts"))
	c.readRoutes(r, top)
	c.readTenants(r, top.child("tenants"))
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
	callbacks := top.child("callbacks")
	callbacks.boolean("allow_private", &c.AllowPrivateCallbacks)
	callbacks.finish()
	top.finish()
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

// Callers are the tenants that can use a gateway, those with a key, by name.
func (c *Config) Callers() []intake.Caller {
	var all []intake.Caller
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		if len(c.Tenants[name].Keys) > 0 {
			all = append(all, c.Caller(name))
		}
	}
	return all
}

// Caller is a tenant as requests are read for it.
func (c *Config) Caller(tenant string) intake.Caller {
	router := c.Router(tenant)
	t := c.Tenants[tenant]
	caller := intake.Caller{
		Tenant: tenant, Router: &router, Priority: t.Priority, Region: t.DefaultRegion, MaySetSender: t.MaySetSender, HasCallbackSecret: !t.CallbackSecret.IsZero(),
		Operator: t.Operator, Dialects: t.Dialects, Accounts: t.Accounts, Rate: t.Rate, BirdWorkspaces: t.BirdWorkspaces, SinchProjects: t.SinchProjects,
	}
	for _, key := range t.Keys {
		caller.Keys = append(caller.Keys, intake.HashKey(key.Reveal()))
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
