package sandbox_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
	"volley/internal/dialect"
	"volley/internal/message"
)

// Every request that a decoder's own tests call right is sent to the provider of
// its dialect. What arrives is compared with the request itself, not with what
// the decoder made of it, but for what docs/dialects says is added or replaced.
func TestARequestArrivesFieldForField(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]func(t *testing.T, request object, i int, arrived object) object{
		"bird": wantBird, "sinch": wantSinch, "imkit": wantIMKIT, "bluesky": wantBluesky,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob("../../internal/dialect/testdata/" + name + "/ok.*.json")
			require.NoError(t, err)
			files = append(files, "../../examples/"+name+".json")
			box := start(t, sandbox.Options{Slow: time.Millisecond})
			sender, _ := senders(t, box).Sender(name)
			arrived := 0
			for _, file := range files {
				if strings.HasSuffix(file, ".options.json") {
					continue
				}
				body, err := os.ReadFile(file)
				require.NoError(t, err)
				batch := decoded(t, name, body)
				for i := range batch.Messages {
					m := &batch.Messages[i]
					if len(m.Problems) > 0 || steered.Match(m.Body) {
						continue
					}
					policies := &message.Batch{Dialect: name, Policies: map[string]message.Policy{"a": {Provider: name}}}
					if _, reached := policies.HopAddress(m, message.Hop{Account: "a", Channels: m.Channels}); !reached {
						continue
					}
					content, text, err := batch.Template.Render(m)
					require.NoError(t, err)
					out := outgoing(name, string(content), m.To)
					out.Text, out.Channels, out.Addresses = text, m.Channels, m.Addresses
					_, err = sender.Send(t.Context(), out)
					require.NoError(t, err, "%s, message %d", file, i)
					all := box.Received()
					got := read(t, all[len(all)-1].Content)
					require.Equal(t, want(t, read(t, body), i, got), got, "%s, message %d", file, i)
					arrived++
				}
			}
			require.Greater(t, arrived, 10)
		})
	}
}

type object = map[string]any

// steered are recipients of the examples that make the sandbox refuse.
var steered = regexp.MustCompile(`\+(reject|flaky|drop|limit)|990[1235]"`)

func decoded(t *testing.T, name string, body []byte) *message.Batch {
	t.Helper()
	d, err := dialect.Named(name)
	require.NoError(t, err)
	batch, problems := d.Decode(body, dialect.Options{Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), MaySetSender: true})
	require.Empty(t, problems)
	return batch
}

func read(t *testing.T, raw []byte) object {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	dec.UseNumber()
	var v object
	require.NoError(t, dec.Decode(&v))
	return v
}

func item(request object, list string, i int) object {
	all, _ := request[list].([]any)
	one, _ := all[i].(object)
	return one
}

// below is the object at a key, which is made where there is none.
func below(o object, key string) object {
	inner, ok := o[key].(object)
	if !ok {
		inner = object{}
		o[key] = inner
	}
	return inner
}

// left checks what is left of a validity of which there was one.
func left(t *testing.T, arrived, want object, key string) {
	t.Helper()
	if _, ok := want[key]; ok {
		require.NotEmpty(t, arrived[key])
		want[key] = arrived[key]
	}
}

func wantBird(t *testing.T, request object, i int, arrived object) object {
	want := item(request, "messageRequests", i)
	delete(want, "scheduledFor")
	if want["validity"] == json.Number("0") {
		delete(want, "validity")
	}
	left(t, arrived, want, "validity")
	if reference, _ := want["reference"].(string); reference == "" {
		want["reference"] = idA
	} else {
		below(below(want, "meta"), "extraInformation")["volleyMessageId"] = idA
	}
	return want
}

func wantSinch(t *testing.T, request object, i int, arrived object) object {
	one := item(request, "recipient_and_params", i)
	want := object{"recipient": one["recipient"], "app_id": "app"}
	for key, v := range request {
		switch key {
		case "app_id", "recipient_and_params", "batch_metadata", "send_after":
		case "message":
			values, _ := one["parameters"].(object)
			want[key] = filled(v, pairs(values, "${", "}"))
		default:
			want[key] = v
		}
		if v == nil {
			delete(want, key)
		}
	}
	for key, v := range below(one, "message_metadata") {
		below(want, "message_metadata")[key] = v
	}
	if own, ok := one["conversation_metadata"].(object); ok {
		for key, v := range own {
			below(want, "conversation_metadata")[key] = v
		}
	}
	if _, ok := want["conversation_metadata"]; ok {
		below(want, "conversation_metadata")["_batch_id"] = "b"
	}
	metadata := below(want, "message_metadata")
	metadata["_batch_id"], metadata["_volley_id"] = "b", idA
	written, ok := arrived["message_metadata"].(string)
	require.True(t, ok, "messages:send takes a string")
	arrived["message_metadata"] = read(t, []byte(written))
	if order, ok := want["channel_priority_order"].([]any); ok {
		want["channel_priority_order"] = once(order)
	}
	left(t, arrived, want, "ttl")
	return want
}

func once(list []any) []any {
	out := []any{}
	seen := map[any]bool{}
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

func wantIMKIT(_ *testing.T, request object, i int, _ object) object {
	one := item(request, "paras", i)
	want := object{"push": false, "skipTotalBadge": false, "sender": "support"}
	values := pairs(one, "", "")
	for key, v := range request {
		if _, ours := want[key]; key != "paras" && (v != nil || !ours) {
			want[key] = filled(v, values)
		}
	}
	if extra, ok := want["extra"]; !ok || extra == nil {
		want["extra"] = object{}
	}
	if extra, ok := want["extra"].(object); ok {
		if _, taken := extra["_volley_id"]; !taken {
			extra["_volley_id"] = idA
		}
	}
	for _, key := range []string{"room", "receiver"} {
		if to, _ := one[key].(string); to != "" {
			want[key] = to
			break
		}
	}
	return want
}

func wantBluesky(_ *testing.T, request object, i int, _ object) object {
	return item(request, "items", i)
}

// pairs are what a strings.Replacer wants, longer names first: of two that begin
// at one place it takes the first.
func pairs(values object, before, after string) []string {
	var out []string
	for length := 200; length > 0; length-- {
		for key, v := range values {
			if s, ok := v.(string); ok && len(key) == length && (before != "" || strings.HasPrefix(key, "$")) {
				out = append(out, before+key+after, s)
			}
		}
	}
	return out
}

// filled is a value with every string in it filled in.
func filled(v any, values []string) any {
	switch v := v.(type) {
	case string:
		return strings.NewReplacer(values...).Replace(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = filled(v[i], values)
		}
		return out
	case object:
		out := make(object, len(v))
		for key := range v {
			out[key] = filled(v[key], values)
		}
		return out
	}
	return v
}
