package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
)

const (
	// malformedInputs is how many damaged requests each dialect gets.
	malformedInputs = 100_000
	// seedBytes bounds the requests that are damaged, so that the damage is not
	// lost in them.
	seedBytes = 4 << 10
)

// sample is how many of n random cases a test tries: all, or with -short one in part.
func sample(n, part int) int {
	if testing.Short() {
		return max(1, n/part)
	}
	return n
}

// A third of the inputs stay JSON and get other values, the rest are damaged as
// bytes.
func TestMalformedInputs(t *testing.T) {
	t.Parallel()
	for _, d := range dialect.All() {
		if *only != "" && *only != d.Name {
			continue
		}
		t.Run(d.Name+" answers every one with problems or a batch", func(t *testing.T) {
			t.Parallel()
			var from [][]byte
			for _, s := range seeds(t, d.Name) {
				if len(s) > 0 && len(s) <= seedBytes {
					from = append(from, s)
				}
			}
			options := damageOptions()
			rng := rand.New(rand.NewPCG(20261120, 12))
			for i := range sample(malformedInputs, 20) {
				body := from[rng.IntN(len(from))]
				if i%3 == 0 {
					body = misshape(rng, body)
				} else {
					body = mutate(rng, body)
				}
				if err := attempt(d, options[i%2], body); err != nil {
					require.NoErrorf(t, err, "input %d: %q", i, body)
				}
			}
		})
	}
}

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	const depth = 200_000
	bodies := map[string]string{
		"arrays":  strings.Repeat("[", depth) + strings.Repeat("]", depth),
		"objects": strings.Repeat(`{"a":`, depth) + "0" + strings.Repeat("}", depth),
		"open":    strings.Repeat(`[{"a":`, depth),
	}
	for _, d := range dialect.All() {
		for shape, body := range bodies {
			t.Run(d.Name+" refuses 200,000 levels of "+shape, func(t *testing.T) {
				t.Parallel()
				o := dialect.Options{Now: accepted}
				b, whole := d.Decode([]byte(body), o)
				require.NotEmpty(t, whole)
				require.NoError(t, violation(d, o, b, whole))
			})
		}
	}
}

// attempt decodes one input and turns a panic into an error.
func attempt(d dialect.Dialect, o dialect.Options, body []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	b, whole := d.Decode(body, o)
	return violation(d, o, b, whole)
}

// misshape changes the values of a JSON request, or of one line of JSON lines, so
// that it stays JSON: then the damage reaches the rules behind the grammar. What
// is no JSON is mutated.
func misshape(rng *rand.Rand, seed []byte) []byte {
	lines := [][]byte{seed}
	if !json.Valid(seed) {
		lines = bytes.Split(bytes.TrimSpace(seed), []byte("\n"))
	}
	at := rng.IntN(len(lines))
	dec := json.NewDecoder(bytes.NewReader(lines[at]))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return mutate(rng, seed)
	}
	for range 1 + rng.IntN(3) {
		v = misshapeValue(rng, v)
	}
	line, err := json.Marshal(v)
	if err != nil {
		return mutate(rng, seed)
	}
	lines = slices.Clone(lines)
	lines[at] = line
	return bytes.Join(lines, []byte("\n"))
}

// misshapeValue changes one value somewhere in v.
func misshapeValue(rng *rand.Rand, v any) any {
	here := rng.IntN(8) == 0
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || here {
			break
		}
		keys := slices.Sorted(maps.Keys(v))
		key := keys[rng.IntN(len(keys))]
		switch rng.IntN(8) {
		case 0:
			delete(v, key)
		case 1:
			v[keys[rng.IntN(len(keys))]] = v[key]
		case 2:
			v[key+"x"] = v[key]
		default:
			v[key] = misshapeValue(rng, v[key])
		}
		return v
	case []any:
		if len(v) == 0 || here {
			break
		}
		i := rng.IntN(len(v))
		if rng.IntN(8) == 0 {
			return append(slices.Clone(v[:i]), v[i/2:]...)
		}
		v[i] = misshapeValue(rng, v[i])
		return v
	}
	return json.RawMessage(values[rng.IntN(len(values))])
}

// values are what stands where another value is expected.
var values = []string{
	"null", "true", "0", "-1", "1e400", "9223372036854775808", "0.5", `""`, `"x"`, `"\ud800"`, `" "`, "[]", "{}",
	"[null]", `{"":0}`, `"${x}"`, `"${"`, `"$x$"`, `"$"`, `"2026-02-30T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"-1ns"`,
	`"9999999h"`, `"315576000000s"`, `"315576000001s"`, `"\u0000"`, `"👩‍👩‍👧"`, `{"$type":"x"}`, `[{}]`, `[[]]`,
}

// mutate damages a request in one to three ways.
func mutate(rng *rand.Rand, seed []byte) []byte {
	b := bytes.Clone(seed)
	for range 1 + rng.IntN(3) {
		if len(b) == 0 {
			return b
		}
		b = mutations[rng.IntN(len(mutations))](rng, b)
	}
	return b
}

var mutations = []func(*rand.Rand, []byte) []byte{
	truncate, flip, remove, duplicate, swapType, swapByte, nest,
}

func truncate(rng *rand.Rand, b []byte) []byte { return b[:rng.IntN(len(b))] }

func flip(rng *rand.Rand, b []byte) []byte {
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	return b
}

func remove(rng *rand.Rand, b []byte) []byte {
	from, to := part(rng, b)
	return append(b[:from], b[to:]...)
}

func duplicate(rng *rand.Rand, b []byte) []byte {
	from, to := part(rng, b)
	at := rng.IntN(len(b))
	return splice(b, at, at, b[from:to])
}

// swapType puts another value where one stands.
func swapType(rng *rand.Rand, b []byte) []byte {
	value := []byte(values[rng.IntN(len(values))])
	at := rng.IntN(len(b))
	colon := bytes.IndexByte(b[at:], ':')
	if colon < 0 {
		return splice(b, at, at, value)
	}
	from := at + colon + 1
	to := from
	for to < len(b) && !bytes.ContainsRune([]byte(",}]\n"), rune(b[to])) {
		to++
	}
	return splice(b, from, to, value)
}

// swapByte puts a byte of the grammars in place of another.
func swapByte(rng *rand.Rand, b []byte) []byte {
	const grammar = "{}[]\":,\\\n\r\x00$;' \t-+.eE0\xef\xbb\xbf"
	b[rng.IntN(len(b))] = grammar[rng.IntN(len(grammar))]
	return b
}

// nest wraps a place in some levels of arrays or objects. Great depths are rare
// because they cost the most.
func nest(rng *rand.Rand, b []byte) []byte {
	depth := 1 + rng.IntN(8)
	if rng.IntN(100) == 0 {
		depth = 2_000
	}
	open, end := "[", "]"
	if rng.IntN(2) == 0 {
		open, end = `{"a":`, "}"
	}
	at := rng.IntN(len(b))
	return splice(b, at, at, []byte(strings.Repeat(open, depth)+"0"+strings.Repeat(end, depth)))
}

func splice(b []byte, from, to int, in []byte) []byte {
	out := make([]byte, 0, len(b)+len(in))
	out = append(out, b[:from]...)
	out = append(out, in...)
	return append(out, b[to:]...)
}

// part picks a stretch of up to 32 bytes.
func part(rng *rand.Rand, b []byte) (from, to int) {
	from = rng.IntN(len(b))
	return from, min(len(b), from+1+rng.IntN(32))
}
