package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

var contentKey = []byte("a key for tests")

func contentOf(b *message.Batch) message.Content {
	c := message.NewContentSum(contentKey, b)
	for i := range b.Messages {
		c.Add(&b.Messages[i])
	}
	return c.Sum()
}

// texts is a batch of Volley's own format.
func texts(text string, messages ...message.Message) *message.Batch {
	b := &message.Batch{
		Tenant: "default", Dialect: "volley", Messages: messages,
		Template: message.Template{Syntax: message.SyntaxBraces, Scope: []string{"text"}, TextPaths: [][]string{{"text"}}},
	}
	if text != "" {
		raw, _ := json.Marshal(map[string]string{"text": text})
		b.Template.Body = raw
	}
	return b
}

func named(to, name string) message.Message {
	return message.Message{To: to, Params: map[string]string{"name": name}}
}

func textMessage(to, text string) message.Message {
	raw, _ := json.Marshal(map[string]string{"text": text})
	return message.Message{To: to, Body: raw}
}

func TestTheSameContentHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	want := contentOf(texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+2", "Bob")))
	require.Len(t, want.Tag(), 10, "40 bits")
	scheduled := texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+2", "Bob"))
	scheduled.SendAfter, scheduled.TTL, scheduled.Account, scheduled.ID = 7, 8, "hook", "other"
	scheduled.Metadata = json.RawMessage(`{"campaign":"x"}`)
	scheduled.Messages[0].Due, scheduled.Messages[0].Reference, scheduled.Messages[0].Channels = 9, "r-1", []string{"SMS"}
	rejected := named("+3", "Eve")
	rejected.Problems.Add(2, "messages[2].to", message.CodeFormat, "no")
	for name, b := range map[string]*message.Batch{
		"another order":               texts("Hi ${name}!\nBye", named("+2", "Bob"), named("+1", "Ann")),
		"other line ends":             texts("Hi ${name}!\r\nBye", named("+1", "Ann"), named("+2", "Bob")),
		"old line ends":               texts("Hi ${name}!\rBye", named("+1", "Ann"), named("+2", "Bob")),
		"blanks around":               texts(" Hi ${name}!\nBye\n", named(" +1", "Ann"), named("+2 ", "Bob")),
		"times, flags, ids":           scheduled,
		"a text of each message":      texts("", textMessage("+1", "Hi Ann!\nBye"), textMessage("+2", "Hi Bob!\nBye")),
		"own texts over a batch's":    texts("no", textMessage("+1", "Hi Ann!\nBye"), textMessage("+2", "Hi Bob!\nBye")),
		"another name of a parameter": texts("Hi ${n}!\nBye", message.Message{To: "+1", Params: map[string]string{"n": "Ann"}}, message.Message{To: "+2", Params: map[string]string{"n": "Bob"}}),
		"a parameter nobody uses":     texts("Hi ${name}!\nBye", message.Message{To: "+1", Params: map[string]string{"name": "Ann", "x": "y"}}, named("+2", "Bob")),
		"a rejected message":          texts("Hi ${name}!\nBye", named("+1", "Ann"), rejected, named("+2", "Bob")),
	} {
		require.Equal(t, want, contentOf(b), name)
	}
	for name, b := range map[string]*message.Batch{
		"another text":         texts("Hi ${name}?\nBye", named("+1", "Ann"), named("+2", "Bob")),
		"another recipient":    texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+3", "Bob")),
		"texts changed places": texts("Hi ${name}!\nBye", named("+2", "Ann"), named("+1", "Bob")),
		"one more":             texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+2", "Bob"), named("+3", "Eve")),
		"one twice":            texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+2", "Bob"), named("+2", "Bob")),
		"one less":             texts("Hi ${name}!\nBye", named("+1", "Ann")),
		"what was to and text": texts("i ${name}!\nBye", named("+1H", "Ann"), named("+2H", "Bob")),
	} {
		require.NotEqual(t, want, contentOf(b), name)
	}
	require.Zero(t, contentOf(texts("Hi", rejected)), "nothing is said")
	require.Empty(t, contentOf(texts("Hi")).Tag())

	other := texts("Hi ${name}!\nBye", named("+1", "Ann"), named("+2", "Bob"))
	other.Tenant = "acme"
	require.NotEqual(t, want, contentOf(other), "a tenant's own")
	secret := message.NewContentSum([]byte("another key"), scheduled)
	for i := range scheduled.Messages {
		secret.Add(&scheduled.Messages[i])
	}
	require.NotEqual(t, want, secret.Sum())
}

// The hashes are those of versions that knew one address only.
func TestContentHasAllAddressesOfARecipient(t *testing.T) {
	t.Parallel()
	reached := func(all ...message.Address) string {
		m := named("", "Ann")
		m.Reach(all)
		return contentOf(texts("Hi ${name}", m)).String()
	}
	phone := message.Address{Kind: message.KindPhone, Value: "+15550001111"}
	mail := message.Address{Kind: message.KindEmail, Value: "ann@example.com"}
	room := message.Address{Kind: message.KindRoom, Value: "r-1"}
	require.Equal(t, "D3hyBKACM8NEeSCn7An71UAoAIw5CN-6aIv1HxcZKqI", reached(phone))
	require.Equal(t, "R7LQ7qdk1_vBDIK6Nic4naegm_SPgp-GNqds_eu7FUg", reached(room), "one that stands in Addresses, too")
	both := reached(phone, mail, room)
	require.Equal(t, both, reached(phone, room, mail), "those behind the first in any order")
	for name, other := range map[string]string{
		"fewer":           reached(phone, mail),
		"another value":   reached(phone, message.Address{Kind: message.KindEmail, Value: "bob@example.com"}, room),
		"another kind":    reached(phone, message.Address{Kind: message.KindContact, Value: mail.Value}, room),
		"another channel": reached(phone, message.Address{Kind: message.KindEmail, Channel: "EMAIL", Value: mail.Value}, room),
		"one alone":       reached(phone),
	} {
		require.NotEqual(t, both, other, name)
	}
}

func TestTheSameContentInAProvidersFormat(t *testing.T) {
	t.Parallel()
	bird := func(bodies ...string) *message.Batch {
		b := &message.Batch{Dialect: "bird"}
		for _, body := range bodies {
			b.Messages = append(b.Messages, message.Message{To: "+1", Body: json.RawMessage(body)})
		}
		return b
	}
	sinch := func(template, body string, params map[string]string) *message.Batch {
		return &message.Batch{
			Dialect:  "sinch",
			Template: message.Template{Body: json.RawMessage(template), Syntax: message.SyntaxBraces, Scope: []string{"message"}},
			Messages: []message.Message{{To: "+1", Body: json.RawMessage(body), Params: params}},
		}
	}
	for name, same := range map[string][2]*message.Batch{
		"bird": {
			bird(`{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text","text":{"text":"Hi"}},"reference":"a"}`),
			bird(`{ "body":{"text":{"text":"\u0048i "},"type":"text"}, "reference":"b", "receiver":{"contacts":[{"identifierValue":"+1"}]}, "tags":["x"]}`),
		},
		"sinch": {
			sinch(`{"app_id":"a","message":{"text_message":{"text":"Hi ${n}"}},"correlation_id":"1"}`, `{"recipient":{"contact_id":"c"},"message_metadata":{"a":1}}`, map[string]string{"n": "Ann", "m": "x"}),
			sinch(`{"message":{"text_message":{"text":"Hi ${n}"}},"app_id":"a","ttl":"5s"}`, `{"recipient":{ "contact_id":"c" }}`, map[string]string{"m": "x", "n": "Ann"}),
		},
	} {
		require.Equal(t, contentOf(same[0]), contentOf(same[1]), name)
	}
	require.NotEqual(t,
		contentOf(bird(`{"receiver":{"contacts":[{"identifierValue":"+1"}]},"body":{"type":"text","text":{"text":"Hi"}}}`)),
		contentOf(bird(`{"receiver":{"contacts":[{"identifierValue":"+1"},{"type":"cc","identifierValue":"+2"}]},"body":{"type":"text","text":{"text":"Hi"}}}`)))
	require.NotEqual(t,
		contentOf(sinch(`{"message":{"text_message":{"text":"Hi ${n}"}}}`, `{"recipient":{"contact_id":"c"}}`, map[string]string{"n": "Ann"})),
		contentOf(sinch(`{"message":{"text_message":{"text":"Hi ${n}"}}}`, `{"recipient":{"contact_id":"c"}}`, map[string]string{"n": "Bob"})))
	require.NotEqual(t,
		contentOf(sinch(`{"message":{"card":[1,[2],3]}}`, `{}`, nil)), contentOf(sinch(`{"message":{"card":[1,2,[3]]}}`, `{}`, nil)))
}

func TestAVeryLongTextCountsByItsParts(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("${name}", 1000)
	long := strings.Repeat("x", 1000)
	one, two := contentOf(texts(text, named("+1", long))), contentOf(texts(text, named("+1", long+"y")))
	require.NotEqual(t, one, two)
	require.Equal(t, one, contentOf(texts(text+"\r\n", named("+1", long))))
	require.NotEqual(t, one, contentOf(texts(text+"!", named("+1", long))))
}

// What counts as filled in is what a recipient gets.
func FuzzTheTextThatCountsIsTheOneThatIsSent(f *testing.F) {
	for _, s := range []string{"Hi ${a}", "${a}${b}", "$${a}", "${${a}}", "${a$b}", "${}", "${", "a\r\nb${b}\r", "${a", `"\`} {
		f.Add(s, "Ann", "Bob")
	}
	f.Fuzz(func(t *testing.T, text, a, b string) {
		if text == "" || !utf8.ValidString(text) || !utf8.ValidString(a) || !utf8.ValidString(b) {
			return
		}
		batch := texts(text, message.Message{To: "+1", Params: map[string]string{"a": a, "b": b}})
		_, sent, err := batch.Template.Render(&batch.Messages[0])
		if err != nil || sent == "" || strings.Contains(sent, "${") {
			return
		}
		require.Equal(t, contentOf(texts("", textMessage("+1", sent))), contentOf(batch), "%q", sent)
	})
}

func BenchmarkContentSum(b *testing.B) {
	bench := func(name string, batch *message.Batch) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := message.NewContentSum(contentKey, batch)
			for i := 0; b.Loop(); i++ {
				c.Add(&batch.Messages[i%len(batch.Messages)])
			}
		})
	}
	var rows []message.Message
	for i := range 1000 {
		rows = append(rows, message.Message{
			To: fmt.Sprintf("+1555%07d", i), Reference: "order", Params: map[string]string{"name": "Ann-Kathrin", "code": fmt.Sprintf("%06d", i)},
		})
	}
	bench("text", texts("Hi ${name}, your code is ${code}. It holds until tomorrow evening.", rows...))
	bench("own text", texts("", textMessage("+15550001111", "Hi Ann, your code is 4711. It holds until tomorrow evening.")))
	bench("bird", &message.Batch{Dialect: "bird", Messages: []message.Message{{
		To: "+1", Body: json.RawMessage(`{"receiver":{"contacts":[{"identifierValue":"+31612345678"}]},"body":{"type":"text","text":{"text":"Hi Ann"}}}`),
	}}})
}
