package provider

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"volley/internal/message"
)

// field is one setting that an account of a provider must have.
type field struct {
	// name is the key in the configuration.
	name, value string
	// secret keeps the value out of every error; address demands an http URL.
	secret, address bool
}

func text(name, value string) field    { return field{name: name, value: value} }
func secret(name, value string) field  { return field{name: name, value: value, secret: true} }
func address(name, value string) field { return field{name: name, value: value, address: true} }

// defaultConcurrency is Account.Concurrency where it is 0.
const defaultConcurrency = 64

// Open builds the sender of every account. It names all that is wrong with all
// accounts at once, by account and setting, and never a value.
func Open(accounts []Account, o Options) (*Registry, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Registry{accounts: slices.Clone(accounts), senders: make(map[string]Sender, len(accounts)), reports: map[string]ReportReader{}}
	slices.SortStableFunc(r.accounts, byName)
	if err := checkAll(r.accounts); err != nil {
		return nil, err
	}
	idle := 0
	for _, a := range r.accounts {
		idle += a.concurrency()
	}
	open, guarded := NewTransport(idle, false), NewTransport(idle, true)
	r.transports = append(r.transports, open, guarded)
	base := client{transport: open, now: o.Now, log: o.Log}
	var errs []error
	for _, a := range r.accounts {
		i := slices.IndexFunc(vendors(), func(v vendor) bool { return v.name == a.Provider })
		base.provider = a.Provider
		if err := r.add(a, vendors()[i], base, guarded); err != nil {
			errs = append(errs, fmt.Errorf("account %q: %w", a.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

func checkAll(accounts []Account) error {
	var errs []error
	for i, a := range accounts {
		if i > 0 && accounts[i-1].Name == a.Name {
			errs = append(errs, fmt.Errorf("account %q: there are two of this name", a.Name))
		}
		for _, problem := range a.problems() {
			errs = append(errs, fmt.Errorf("account %q: %s", a.Name, problem))
		}
	}
	return errors.Join(errs...)
}

// problems lists what keeps an account from working, each with its setting.
func (a Account) problems() []string {
	var out []string
	add := func(bad bool, problem string) {
		if bad {
			out = append(out, problem)
		}
	}
	add(a.Name == "", "name is missing")
	if i := slices.IndexFunc(vendors(), func(v vendor) bool { return v.name == a.Provider }); i < 0 {
		add(true, fmt.Sprintf("provider %q is unknown, expected one of %s", a.Provider, strings.Join(names(), ", ")))
	} else {
		for _, f := range vendors()[i].fields(a) {
			problem := f.problem()
			add(problem != "", f.name+" "+problem)
		}
	}
	add(a.Rate < 0, "rate is negative")
	add(a.Concurrency < 0, "concurrency is negative")
	add(a.Attempts < 0, "retry.attempts is negative")
	add(a.RetryInitial < 0, "retry.initial is negative")
	add(a.RetryMax < 0, "retry.max is negative")
	add(a.RetryMax > 0 && a.RetryInitial > a.RetryMax, "retry.initial is above retry.max")
	add(a.OnUnknown != "" && a.OnUnknown != message.Hold && a.OnUnknown != message.Resend,
		fmt.Sprintf("on_unknown is %q, expected hold or resend", a.OnUnknown))
	return out
}

func (f field) problem() string {
	if f.value == "" {
		return "is missing"
	}
	// A header with such a character would never leave and be tried for ever.
	if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "has a control character in it"
	}
	if f.address {
		if u, err := url.Parse(f.value); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "is not an http or https URL"
		}
	}
	return ""
}
