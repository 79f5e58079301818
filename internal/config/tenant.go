package config

import (
	"errors"
	"fmt"
	"time"

	"volley/internal/message"
	"volley/internal/phone"
)

// Tenant is one caller, with what it may use.
type Tenant struct {
	// Keys are its credentials at the gateway; a tenant without any cannot use it.
	Keys []Secret
	// Operator lets its keys hold whole accounts, everything and other tenants' messages.
	Operator bool
	// Dialects it may use; nil is all.
	Dialects []string
	// Accounts it may use; nil is all.
	Accounts []string
	// Rate is the most submits a second; 0 is no limit.
	Rate float64
	// Priority of its batches that give none, 1 (first) to 5; 0 is the default.
	Priority int
	// DefaultRegion is where phone numbers without a country code are written, as
	// phone.Region returns it; empty is nowhere in particular.
	DefaultRegion string
	// Timezone is the zone of the local times of its people; nil is none.
	Timezone *time.Location
	// MaySetSender allows imkit requests to name a sender.
	MaySetSender bool
	// BirdWorkspaces and SinchProjects are the ids in paths that are its own.
	BirdWorkspaces []string
	SinchProjects  []string
	// CallbackURL is where its events go, signed with CallbackSecret; empty is
	// nowhere, unless a request names an address of its own.
	CallbackURL    string
	CallbackSecret Secret
	// CallbackFormat is one of message's Callback constants; empty follows from a
	// batch's dialect.
	CallbackFormat string
	// CallbackMessages asks for message events also above 1,000 messages.
	CallbackMessages bool
	// CallbackPreviousSecret signs too while the receiver changes to CallbackSecret.
	CallbackPreviousSecret Secret
	// CallbackEvents are the types of events that are told, of callback.Types; nil is
	// all.
	CallbackEvents []string
}

func (c *Config) readTenants(r *reader, o *object) {
	seen := map[string]bool{}
	for i, name := range o.names {
		f, ok := o.field(name)
		if !ok {
			f = o.fields[i]
		}
		if err := CheckName(name); err != nil {
			r.fail(f.key, f.path, "the name %v", err)
		}
		c.Tenants[name] = c.readTenant(r, r.object(f), seen)
	}
}

func (c *Config) readTenant(r *reader, o *object, seen map[string]bool) Tenant {
	var t Tenant
	t.readKeys(r, o, seen)
	t.Dialects = o.texts("dialects")
	f, _ := o.field("dialects")
	for i, d := range t.Dialects {
		if _, err := checkDialect(d); err != nil {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), err.Error())
		}
	}
	t.Accounts = c.accountNames(r, o, "accounts")
	parsed(o, "rate", &t.Rate, parseRate)
	o.integer("priority", &t.Priority, 1, 5)
	parsed(o, "default_region", &t.DefaultRegion, phone.Region)
	parsed(o, "timezone", &t.Timezone, parseZone)
	o.boolean("may_set_sender", &t.MaySetSender)
	o.boolean("operator", &t.Operator)
	bird, sinch := o.child("bird"), o.child("sinch")
	t.BirdWorkspaces, t.SinchProjects = bird.texts("workspaces"), sinch.texts("projects")
	bird.finish()
	sinch.finish()
	if _, ok := o.field("callbacks"); ok {
		cb := o.child("callbacks")
		cb.require("secret")
		cb.address("url", &t.CallbackURL)
		cb.secret("secret", &t.CallbackSecret)
		cb.secret("previous_secret", &t.CallbackPreviousSecret)
		parsed(cb, "format", &t.CallbackFormat, checkFormat)
		cb.boolean("messages", &t.CallbackMessages)
		t.CallbackEvents = callbackEvents(r, cb)
		cb.finish()
	}
	o.finish()
	return t
}

func checkFormat(s string) (string, error) {
	switch s {
	case message.CallbackVolley, message.CallbackSinch, message.CallbackBird:
		return s, nil
	}
	return "", errors.New("must be volley, sinch or bird")
}

// readKeys reads keys, none of which two tenants may share.
func (t *Tenant) readKeys(r *reader, o *object, seen map[string]bool) {
	f, ok := o.field("keys")
	if !ok {
		return
	}
	for _, e := range r.list(f) {
		s, ok := r.text(e, true)
		if !ok {
			continue
		}
		if seen[s] {
			r.fail(e.node, e.path, "the same key is given twice")
			continue
		}
		seen[s] = true
		t.Keys = append(t.Keys, NewSecret(s))
	}
}
