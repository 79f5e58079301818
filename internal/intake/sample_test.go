package intake_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/intake"
	"volley/internal/message"
)

// chosen is which messages with these names in "Hi ${n}!" are chosen, and why.
func chosen(n int, names ...string) map[int]string {
	b := &message.Batch{Dialect: "volley", Template: message.Template{
		Body: []byte(`{"text":"Hi ${n}!"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}},
	}}
	s := intake.NewSamples(n)
	for i, name := range names {
		s.Add(b, i, &message.Message{To: "+15550001111", Params: map[string]string{"n": name}})
	}
	out := map[int]string{}
	for _, c := range s.List() {
		out[c.Index] = c.Why
	}
	return out
}

func TestSamplesAreTheOnesThatAreWorthALook(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	require.Equal(t, map[int]string{1: "longest", 3: "shortest", 0: "first"}, chosen(3, "Ann", long, "Bob", "Al"))
	require.Equal(t, map[int]string{0: "longest"}, chosen(3, "Ann"), "one is one")
	require.Equal(t, map[int]string{0: "longest", 1: "first"}, chosen(3, "Ann", "Bob"), "of the same length the first")
	require.Empty(t, chosen(3))
	require.Empty(t, chosen(0, "Ann"))

	for _, odd := range []string{"", " ", "NULL", "undefined", " Ann", "Zoë ‘Z’", "{{first_name}}", "Ann &amp; Bob", "A\x00n", "#N/A"} {
		names := []string{"Ann", "Annabelle Amanda", "Bob", "A", "Cid", odd, "Dora"}
		require.Contains(t, chosen(3, names...), 5, "%q", odd)
	}
	require.Equal(t, map[int]string{0: "longest", 1: "shortest", 5: "parameters", 3: "parameters"},
		chosen(4, "Annabelle Amanda", "A", "Bob", " Ann", "Cid", "NULL"), "the oddest first")
}

// UCS-2 makes more parts of a shorter text.
func TestTheLongestTextIsTheOneOfMostParts(t *testing.T) {
	t.Parallel()
	require.Equal(t, "longest", chosen(2, strings.Repeat("x", 150), strings.Repeat("ж", 80))[1])
}

func TestSamplesAreFewHoweverManyAreShown(t *testing.T) {
	t.Parallel()
	names := make([]string, 5000)
	for i := range names {
		names[i] = "NULL"
	}
	require.Len(t, chosen(1000, names...), intake.MaxSamples)
}

func TestARejectedMessageIsNoSample(t *testing.T) {
	t.Parallel()
	b := &message.Batch{Template: message.Template{Body: []byte(`{"text":"Hi ${n}"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}}}}
	s := intake.NewSamples(3)
	rejected := message.Message{Params: map[string]string{"n": "Ann"}}
	rejected.Problems.Add(0, "to", message.CodeRequired, "is missing")
	s.Add(b, 0, &rejected)
	s.Add(b, 1, &message.Message{}) // a parameter has no value
	require.Empty(t, s.List())
}

func BenchmarkSamples(b *testing.B) {
	batch := &message.Batch{Template: message.Template{
		Body: []byte(`{"text":"Hi ${n}, your parcel ${p} arrives today between 9 and 12."}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}},
	}}
	m := message.Message{To: "+15550001111", Params: map[string]string{"n": "Ann", "p": "P-1001"}}
	s := intake.NewSamples(5)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(batch, i, &m)
	}
}
