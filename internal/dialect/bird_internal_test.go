package dialect

// These tests are internal: the repairs and the schema behind the bird dialect
// are seen from outside only through the requests that it accepts.

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func published(t *testing.T) birdTree {
	t.Helper()
	var tree birdTree
	require.NoError(t, json.Unmarshal(birdDocument, &tree))
	return tree
}

func repaired(t *testing.T) birdTree {
	t.Helper()
	tree := published(t)
	for _, repair := range birdRepairs() {
		require.NoError(t, repair.apply(tree), repair.name)
	}
	return tree
}

func openAPI(t *testing.T, tree birdTree) *openapi3.T {
	t.Helper()
	document, err := json.Marshal(tree)
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(document)
	require.NoError(t, err)
	return doc
}

func TestBirdDocument(t *testing.T) {
	t.Parallel()

	t.Run("is not valid OpenAPI as Bird publishes it", func(t *testing.T) {
		t.Parallel()
		require.Error(t, openAPI(t, published(t)).Validate(t.Context()))
	})

	t.Run("is valid OpenAPI once it is repaired", func(t *testing.T) {
		t.Parallel()
		doc, err := birdRepaired(birdDocument)
		require.NoError(t, err)
		require.NoError(t, doc.Validate(t.Context()))
		parameters := doc.Paths.Find("/workspaces/{workspaceId}/channels/{channelId}/batch/messages").Parameters
		require.NotNil(t, parameters.GetByInAndName("path", "workspaceId"))
		require.NotNil(t, parameters.GetByInAndName("path", "channelId"))
		require.Equal(t, "apiKey", doc.Components.SecuritySchemes["accessKey"].Value.Type)
	})

	t.Run("holds no prose", func(t *testing.T) {
		t.Parallel()
		for i, line := range strings.Split(string(birdDocument), "\n") {
			_, value, _ := strings.Cut(line, `"description": `)
			require.LessOrEqualf(t, len(value), len(`"validationError"`), "line %d", i+1)
		}
	})
}

func TestBirdRepairs(t *testing.T) {
	t.Parallel()

	t.Run("have names of their own", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, repair := range birdRepairs() {
			require.NotEmpty(t, repair.name)
			require.False(t, seen[repair.name], repair.name)
			seen[repair.name] = true
		}
	})

	for i, repair := range birdRepairs() {
		t.Run(repair.name+": fails where the document has no such place", func(t *testing.T) {
			t.Parallel()
			require.Error(t, repair.apply(birdTree{}))
			bare := published(t)
			bare["components"] = map[string]any{"schemas": map[string]any{}, "securitySchemes": map[string]any{}}
			bare["paths"] = map[string]any{}
			require.Error(t, repair.apply(bare))
		})

		t.Run(repair.name+": fails where the document is repaired already", func(t *testing.T) {
			t.Parallel()
			require.Error(t, repair.apply(repaired(t)))
		})

		t.Run(repair.name+": needs no other repair", func(t *testing.T) {
			t.Parallel()
			tree := published(t)
			require.NoError(t, repair.apply(tree))
			require.NotEqual(t, published(t), tree)
			for j, other := range birdRepairs() {
				if j != i {
					require.NoError(t, other.apply(tree), other.name)
				}
			}
			require.Equal(t, repaired(t), tree, "the order of repairs matters")
		})
	}

	t.Run("stop the load of a document that they do not fit", func(t *testing.T) {
		t.Parallel()
		_, err := loadBird([]byte(`{"openapi":"3.0.3"}`))
		require.ErrorContains(t, err, `repair "path parameters are declared"`)
		_, err = loadBird([]byte(`not JSON`))
		require.Error(t, err)
	})
}

// TestBirdRepairsChange shows what each repair is for: a request that the
// document, as published, gets wrong.
func TestBirdRepairsChange(t *testing.T) {
	t.Parallel()
	const to = `"receiver":{"contacts":[{"id":"c"}]}`
	body := func(b string) string { return `{"messageRequests":[{` + to + `,"body":` + b + `}]}` }
	text := `{"type":"text","text":{"text":"x"}}`
	cases := []struct {
		repair  string
		request string
		// accepted is the verdict after the repair; the published document's is
		// the opposite.
		accepted bool
	}{
		{"messageRequests is required", `{}`, false},
		{"a batch has no other fields", strings.Replace(body(text), `{"messageRequests"`, `{"x":1,"messageRequests"`, 1), false},
		{"a batch has at most 100 messages", `{"messageRequests":[` + strings.Repeat(`{`+to+`,"body":`+text+`},`, 100) + `{` + to + `,"body":` + text + `}]}`, false},
		{"contacts are not empty", `{"messageRequests":[{"receiver":{"contacts":[]},"body":` + text + `}]}`, false},
		{"template parameters are not empty", `{"messageRequests":[{` + to + `,"template":{"name":"t","parameters":[]}}]}`, false},
		{"images are not empty", body(`{"type":"image","image":{"images":[]}}`), false},
		{"files are not empty", body(`{"type":"file","file":{"files":[]}}`), false},
		{"section items are not empty", body(`{"type":"section","section":{"items":[]}}`), false},
		{"nested section items are not empty", body(`{"type":"section","section":{"items":[{"type":"section","section":{"items":[]}}]}}`), false},
		{"a body or a template is an object", body(`null`), false},
		{"body type action is usable", body(`{"type":"action","permission_request":{"resource":"call"}}`), true},
		{"body type action is usable", body(`{"type":"action","action":{"type":"permission_request","permission_request":{"resource":"call"}}}`), true},
	}
	before, after := openAPI(t, published(t)), openAPI(t, repaired(t))
	covered := []string{"path parameters are declared", "the access key is a header", "body type template does not exist"}
	for _, c := range cases {
		covered = append(covered, c.repair)
		t.Run(c.repair, func(t *testing.T) {
			t.Parallel()
			var request any
			require.NoError(t, json.Unmarshal([]byte(c.request), &request))
			accepts := func(doc *openapi3.T) bool {
				return doc.Components.Schemas["CreateBatchMessages"].Value.IsMatching(request)
			}
			require.Equal(t, !c.accepted, accepts(before), "as published")
			require.Equal(t, c.accepted, accepts(after), "repaired")

			b, whole := decodeBird([]byte(c.request), Options{})
			ok := len(whole) == 0 && b.Rejected() == 0
			require.Equal(t, c.accepted, ok, "decoded")
		})
	}
	for _, repair := range birdRepairs() {
		require.Contains(t, covered, repair.name, "a repair without a request that shows it")
	}

	t.Run("body type template does not exist", func(t *testing.T) {
		t.Parallel()
		b, whole := decodeBird([]byte(body(`{"type":"template"}`)), Options{})
		require.Empty(t, whole)
		require.Len(t, b.Messages[0].Problems, 1)
		p := b.Messages[0].Problems[0]
		require.Equal(t, message.CodeEnum, p.Code)
		require.Equal(t, "messageRequests[0].body.type", p.Path)
		require.NotContains(t, p.Detail, "template", "the caller is told to use what he used")
	})
}

// TestBirdExplains damages messages and holds that a message has a fault exactly
// when the library refuses it, and that every fault stands at a place of it.
func TestBirdExplains(t *testing.T) {
	t.Parallel()
	schema, err := birdSchemas()
	require.NoError(t, err)
	var seeds []any
	files, err := filepath.Glob("testdata/bird/*.json")
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var request struct {
			MessageRequests []any `json:"messageRequests"`
		}
		if json.Unmarshal(raw, &request) == nil && len(request.MessageRequests) < 100 {
			seeds = append(seeds, request.MessageRequests...)
		}
	}
	require.Greater(t, len(seeds), 100)
	rng := rand.New(rand.NewPCG(20261120, 35))
	refused := 0
	for i := range 5_000 {
		value := corrupt(rng, seeds[i%len(seeds)], seeds)
		faults := schema.check("m", value, schema.message)
		require.Equalf(t, schema.message.VisitJSON(value, schema.options...) == nil, len(faults) == 0, "%v: %v", value, faults)
		if len(faults) > 0 {
			refused++
		}
		for _, f := range faults {
			require.True(t, strings.HasPrefix(f.path, "m"), f)
			require.NotEmpty(t, f.detail)
			require.NotEqual(t, "does not fit the schema", f.detail, "%v", value)
		}
	}
	require.Greater(t, refused, 1_000)
}

// corrupt copies a value and, in some places, removes a part or puts a part of
// another message there.
func corrupt(rng *rand.Rand, value any, from []any) any {
	if rng.IntN(40) == 0 {
		strange := []any{nil, true, "", "x", 0.5, 1e20, []any{}, map[string]any{}, from[rng.IntN(len(from))]}
		return strange[rng.IntN(len(strange))]
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if rng.IntN(40) > 0 {
				out[key] = corrupt(rng, v[key], from)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, corrupt(rng, item, from))
		}
		return out
	default:
		return v
	}
}
