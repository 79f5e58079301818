package dialect_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
)

func FuzzBird(f *testing.F)    { fuzz(f, "bird") }
func FuzzSinch(f *testing.F)   { fuzz(f, "sinch") }
func FuzzIMKIT(f *testing.F)   { fuzz(f, "imkit") }
func FuzzBluesky(f *testing.F) { fuzz(f, "bluesky") }
func FuzzVolley(f *testing.F)  { fuzz(f, "volley") }

// fuzz holds a decoder to its promises on whatever the fuzzer finds: no panic,
// what violation checks, and the same answer to the same input.
func fuzz(f *testing.F, name string) {
	f.Helper()
	d, err := dialect.Named(name)
	require.NoError(f, err)
	for _, seed := range seeds(f, name) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, o := range damageOptions() {
			b, whole := d.Decode(body, o)
			require.NoError(t, violation(d, o, b, whole))
			again, wholeAgain := d.Decode(body, o)
			require.Equal(t, whole, wholeAgain, "two decodings differ in their problems")
			require.True(t, reflect.DeepEqual(b, again), "two decodings differ")
		}
	})
}

// damageOptions are what fuzzed and malformed requests are decoded with: bare,
// and with all that opens a decoder's other ways.
func damageOptions() []dialect.Options {
	return []dialect.Options{
		{Now: accepted},
		{
			Now: accepted, Account: "main", SendAfter: accepted.Add(time.Hour), TTL: time.Minute,
			Channel: "SMS", Text: "Hi ${name}", MaySetSender: true, IMKITParas: 3, MaxMessages: 1_000,
		},
	}
}

// seeds are the requests of testdata and the documents that are wrong in every
// dialect.
func seeds(t testing.TB, name string) [][]byte {
	t.Helper()
	out := [][]byte{
		nil, []byte("null"), []byte("{}"), []byte("[]"), []byte(`""`), []byte("0"), []byte("true"),
		[]byte("{}{}"), []byte("\xef\xbb\xbf{}"), []byte("\xff\xfe{\x00}\x00"), []byte(`{"":null}`),
	}
	for _, r := range requests(t, name) {
		out = append(out, r.body)
	}
	return out
}
