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
// and marks twins. A message without a way gets the problem unroutable. path
// names the place of a message's recipient in the caller's document.
func (r Router) Accept(b *Batch, path func(i int) string) {
	a := r.Acceptance(b, path)
	for i := range b.Messages {
		a.Accept(i, &b.Messages[i])
	}
	b.markTwins()
}

// Acceptance does what Accept does for messages that come one by one and stand in
// no batch: it adds their hops and policies to b, and marks no twins.
func (r Router) Acceptance(b *Batch, path func(i int) string) *Acceptance {
	b.Hops, b.Policies = nil, map[string]Policy{}
	return &Acceptance{router: r, batch: b, path: path, ways: map[string]int{}, uses: b.Template.uses()}
}

// Acceptance finds the ways of the messages of one batch.
type Acceptance struct {
	router Router
	batch  *Batch
	path   func(i int) string
	ways   map[string]int
	uses   map[string]int // of each parameter in the template
}

// Accept fixes the way of the message with index i.
func (a *Acceptance) Accept(i int, m *Message) {
	if len(m.Problems) == 0 && a.tooLarge(m) {
		m.Problems.Add(i, a.path(i), CodeTooLong, "with its parameters the content has more than %d bytes", MaxContent)
	}
	if len(m.Problems) > 0 {
		m.Route = -1
		return
	}
	wanted := strings.Join(m.Channels, "\x00")
	if at, ok := a.ways[wanted]; ok {
		m.Route = at
		return
	}
	way, err := a.router.way(a.batch.Dialect, a.batch.Account, m.Channels)
	if err != nil {
		m.Route = -1
		m.Problems.Add(i, a.path(i), CodeUnroutable, err.Error())
		return
	}
	at := slices.IndexFunc(a.batch.Hops, func(h []Hop) bool { return fmt.Sprint(h) == fmt.Sprint(way) })
	if at < 0 {
		at = len(a.batch.Hops)
		a.batch.Hops = append(a.batch.Hops, way)
		for _, h := range way {
			a.batch.Policies[h.Account] = a.router.Accounts[h.Account]
		}
	}
	if len(a.ways) < maxWays {
		a.ways[wanted] = at
	}
	m.Route = at
}

// tooLarge reports whether a message's parameters alone make its content too large.
// What its own body makes of them is seen when it is rendered.
func (a *Acceptance) tooLarge(m *Message) bool {
	n := 0
	for name, times := range a.uses {
		if n += times * len(m.Params[name]); n > MaxContent {
			return true
		}
	}
	return false
}

// maxWays bounds how many orders of channels are remembered.
const maxWays = 10_000

func (r Router) way(dialect, account string, channels []string) ([]Hop, error) {
	if account != "" {
		if err := r.known(account); err != nil {
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
			if err := r.known(name); err != nil {
				return nil, err
			}
			way = r.extend(way, name, ch)
		}
	}
	if len(way) == 0 {
		if len(channels) > 0 {
			return nil, fmt.Errorf("no account was named and no route matches dialect %s, channel %s", dialect, strings.Join(channels, ", "))
		}
		return nil, fmt.Errorf("no account was named and no route matches dialect %s", dialect)
	}
	return way, nil
}

// First is the account on which a message with an order of channels goes out first
// when its request names none; it is empty where no way leads out.
func (r Router) First(dialect string, channels []string) string {
	way, err := r.way(dialect, "", channels)
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

func (r Router) known(account string) error {
	if _, ok := r.Accounts[account]; !ok {
		return fmt.Errorf("account %q is not in the configuration", account)
	}
	if r.Allowed != nil && !slices.Contains(r.Allowed, account) {
		return fmt.Errorf("account %q is not one that this tenant may use", account)
	}
	return nil
}

// markTwins finds messages that nothing but their ids tells apart.
func (b *Batch) markTwins() {
	first := make(map[uint64]int, len(b.Messages))
	for i := range b.Messages {
		m := &b.Messages[i]
		m.Twin = false
		k := m.TwinHash()
		if j, ok := first[k]; ok {
			m.Twin, b.Messages[j].Twin = true, true
			continue
		}
		first[k] = i
	}
}

// TwinHash is the same for messages that have the same recipient and say the
// same. Two others have the same by accident once in millions of the largest batches, and are
// then taken for twins, which is the careful side.
func (m *Message) TwinHash() uint64 {
	d := xxhash.New()
	part := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		_, _ = d.Write(n[:]) // never fails
		_, _ = d.WriteString(s)
	}
	part(m.To)
	part(meaning(m.Body))
	for _, k := range slices.Sorted(maps.Keys(m.Params)) {
		part(k)
		part(m.Params[k])
	}
	return d.Sum64()
}

// meaning is the same for two bodies that say the same: the order of keys, the
// way characters are escaped and blanks around texts do not count.
func meaning(body json.RawMessage) string {
	if len(body) == 0 || isPlain(body) {
		return string(body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return string(body)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as a plain body has them
	if enc.Encode(trimmed(v)) != nil {
		return string(body)
	}
	return strings.TrimSuffix(b.String(), "\n")
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
