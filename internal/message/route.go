package message

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Route sends messages of a dialect, and of a channel where it names one, over
// accounts in order. An empty Dialect or Channel matches every one.
type Route struct {
	Dialect string
	Channel string
	Hops    []string
}

// Router knows the accounts and the routes of a configuration. The zero value
// knows none, and every message is unroutable.
type Router struct {
	// Routes are tried in order; the first that matches decides.
	Routes []Route
	// Accounts holds each account's policy by its name.
	Accounts map[string]Policy
	// Allowed limits the accounts of a tenant; nil allows all.
	Allowed []string
}

// Accept fixes which way every message takes, with the policies that hold now,
// A message without a way gets the problem unroutable. path
// names the place of a message's recipient in the caller's document.
func (r Router) Accept(b *Batch, path func(i int) string) {
	a := r.Acceptance(b, path)
	for i := range b.Messages {
		a.Accept(i, &b.Messages[i])
	}
}

// Acceptance does what Accept does for messages that come one by one: it adds their
// hops and policies to b.
func (r Router) Acceptance(b *Batch, path func(i int) string) *Acceptance {
	b.Hops, b.Policies = nil, map[string]Policy{}
	return &Acceptance{router: r, batch: b, path: path, hopIndex: map[string]int{}, ways: map[string]int{}, uses: b.Template.uses()}
}

// Acceptance finds the ways of the messages of one batch.
type Acceptance struct {
	router   Router
	batch    *Batch
	path     func(i int) string
	hopIndex map[string]int // of an order of channels, in batch.Hops
	ways     map[string]int // of hops as text, in batch.Hops
	uses     map[string]int // of each parameter in the template
}

// Accept fixes the way of the message with index i.
func (a *Acceptance) Accept(i int, m *Message) {
	if len(m.Problems) == 0 && a.tooLarge(m) {
		m.Problems.Add(i, a.path(i), CodeTooLong, m.AtLine()+"with its parameters the content has more than %d bytes", MaxContent)
	}
	if len(m.Problems) > 0 {
		m.Route = -1
		return
	}
	wanted := strings.Join(m.Channels, "\x00")
	if at, ok := a.hopIndex[wanted]; ok {
		m.Route = at
		return
	}
	way, err := a.router.hops(a.batch.Dialect, a.batch.Account, m.Channels)
	if err != nil {
		m.Route = -1
		m.Problems.Add(i, a.path(i), CodeUnroutable, m.AtLine()+err.Error())
		return
	}
	same := fmt.Sprint(way)
	at, ok := a.ways[same]
	if !ok {
		if at = len(a.batch.Hops); at == maxWays {
			m.Route = -1
			m.Problems.Add(i, a.path(i), CodeTooMany, m.AtLine()+"the messages of a batch go at most %d different ways, by their channels", maxWays)
			return
		}
		a.ways[same] = at
		a.batch.Hops = append(a.batch.Hops, way)
		for _, h := range way {
			a.batch.Policies[h.Account] = a.router.Accounts[h.Account]
		}
	}
	if len(a.hopIndex) < maxHopLists {
		a.hopIndex[wanted] = at
	}
	m.Route = at
}

// tooLarge reports whether a message's parameters alone make its content too large.
// What its own body makes of them is seen when it is rendered.
func (a *Acceptance) tooLarge(m *Message) bool {
	n := 0
	for name, value := range m.Params {
		if n += a.uses[name] * len(value); n > MaxContent {
			return true
		}
	}
	return false
}

const (
	// maxHopLists bounds how many orders of channels are remembered.
	maxHopLists = 10_000
	// maxWays bounds Batch.Hops, which every run of the batch is given.
	maxWays = 1000
)

func (r Router) hops(dialect, account string, channels []string) ([]Hop, error) {
	if account != "" {
		if err := r.Known(account); err != nil {
			return nil, err
		}
		return []Hop{{Account: account, Channels: channels}}, nil
	}
	wanted := channels
	if len(wanted) == 0 {
		wanted = []string{""}
	}
	var way []Hop
	for _, ch := range wanted {
		i := slices.IndexFunc(r.Routes, func(rt Route) bool {
			return (rt.Dialect == "" || rt.Dialect == dialect) && (rt.Channel == "" || rt.Channel == ch)
		})
		if i < 0 {
			continue
		}
		for _, name := range r.Routes[i].Hops {
			if err := r.Known(name); err != nil {
				return nil, err
			}
			way = r.extend(way, name, ch)
		}
	}
	if len(way) == 0 {
		if len(channels) > 0 {
			return nil, fmt.Errorf("no account was named and no route matches dialect %s, channel %s", dialect, Excerpt(strings.Join(channels, ", ")))
		}
		return nil, fmt.Errorf("no account was named and no route matches dialect %s", dialect)
	}
	return way, nil
}

// First is the account on which a message with an order of channels goes out first
// when its request names none; it is empty where no way leads out.
func (r Router) First(dialect string, channels []string) string {
	way, err := r.hops(dialect, "", channels)
	if err != nil {
		return ""
	}
	return way[0].Account
}

// extend appends a hop. Neighbouring hops on one Sinch account are one request,
// in which Sinch itself falls back from channel to channel.
func (r Router) extend(way []Hop, account, channel string) []Hop {
	if n := len(way); n > 0 && way[n-1].Account == account && r.Accounts[account].Provider == "sinch" {
		if channel != "" && !slices.Contains(way[n-1].Channels, channel) {
			way[n-1].Channels = append(way[n-1].Channels, channel)
		}
		return way
	}
	h := Hop{Account: account}
	if channel != "" {
		h.Channels = []string{channel}
	}
	return append(way, h)
}

// Known says why an account cannot be used; nil is that it can.
func (r Router) Known(account string) error {
	if _, ok := r.Accounts[account]; !ok {
		return fmt.Errorf("account %q is not in the configuration", Excerpt(account))
	}
	if r.Allowed != nil && !slices.Contains(r.Allowed, account) {
		return fmt.Errorf("account %q is not one that this tenant may use", Excerpt(account))
	}
	return nil
}

// HashFor is the same for messages to a recipient that say the same, and in practice for
// no others. The recipient comes in a form in which two ways to write it are the same. Of
// the body, the keys of except do not count.
func (m *Message) HashFor(to string, except ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	part := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		_, _ = d.Write(n[:]) // never fails
		_, _ = d.WriteString(s)
	}
	part(to)
	part(meaning(m.plainBody(), except))
	var few [8]string
	keys := slices.AppendSeq(few[:0], maps.Keys(m.Params))
	slices.Sort(keys)
	for _, k := range keys {
		part(k)
		part(m.Params[k])
	}
	return d.Sum64()
}

// plainBody is the body with the recipient's number in its normal form, so that two
// ways to write it are the same.
func (m *Message) plainBody() json.RawMessage {
	if m.Phone == "" || len(m.Body) == 0 {
		return m.Body
	}
	return bytes.ReplaceAll(m.Body, []byte(`"`+m.To+`"`), []byte(`"`+m.Phone+`"`))
}

// meaning is the same for two bodies that say the same: the order of keys, the
// way characters are escaped, blanks around texts and the keys of except do not count.
func meaning(body json.RawMessage, except []string) string {
	if len(body) == 0 || isPlain(body) {
		return string(body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return string(body)
	}
	if o, ok := v.(map[string]any); ok {
		for _, key := range except {
			delete(o, key)
		}
	}
	same, err := EncodeJSON(trimmed(v)) // a plain body has no escapes
	if err != nil {
		return string(body)
	}
	return string(same)
}

// isPlain reports whether a body is {"key":"text"} with nothing in it that could be
// written in another way, so that it is its own meaning. Most bodies are.
func isPlain(body json.RawMessage) bool {
	key, text, ok := bytes.Cut(body, []byte(`":"`))
	key, begins := bytes.CutPrefix(key, []byte(`{"`))
	text, ends := bytes.CutSuffix(text, []byte(`"}`))
	if !ok || !begins || !ends || len(text) == 0 || bytes.ContainsAny(key, `"\`) || bytes.ContainsAny(text, `"\`) {
		return false
	}
	for _, c := range body {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return text[0] != ' ' && text[len(text)-1] != ' '
}

func trimmed(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		for i := range v {
			v[i] = trimmed(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = trimmed(v[k])
		}
	}
	return v
}
